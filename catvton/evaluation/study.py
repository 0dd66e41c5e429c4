"""What the studies (`evaluate sweep`, `robustness`, `garment`) share: their options, their tables, where they write."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from catvton.errors import InputError


def add_arguments(parser: argparse.ArgumentParser, *, data: bool = True, limit: int) -> None:
    """The options of every study. `data`: whether it needs a data folder; `limit`: the number of cases it takes."""
    parser.add_argument("--data", required=data, type=Path, metavar="ROOT", help="folder with ccp/ and clothing/")
    parser.add_argument("--engine", default="compact", help="the engine to measure (default: compact)")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="a trained model's folder instead of its own")
    parser.add_argument(
        "--limit", type=int, default=limit, metavar="N", help=f"at most N cases, spread evenly (default: {limit})"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write pictures to look at into this folder")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page here, its figures beside it as JSON")
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def check_arguments(args: argparse.Namespace) -> None:
    """Before hours of work, what would only fail after it. Raises InputError."""
    if args.limit < 1:
        raise InputError(
            f"--limit {args.limit} is not possible: a whole number from 1 is accepted.", code="option.limit"
        )
    if args.write is not None and (args.write.suffix != ".md" or not args.write.parent.is_dir()):
        raise InputError(
            f"Cannot write {args.write}: a file ending in .md, in a folder that is there, is accepted.",
            code="output.write",
        )


def hand_over(args: argparse.Namespace, page: str, figures: dict[str, Any]) -> str:
    """What to print: the page, or the figures with --json. With --write both are written, with --out the figures.

    Raises:
        InputError: a file cannot be written.
    """
    text = json.dumps(figures, indent=1)
    try:
        if args.write is not None:
            args.write.write_text(page, encoding="utf-8")
            args.write.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        if args.out is not None:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write {error.filename}: {error.strerror or error}.", code="output.write") from error
    return text if args.json else page


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; the first column is words, the others are figures. A float has three digits, None is a dash."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *([_cell(each) for each in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
