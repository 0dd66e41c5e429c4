"""`python -m catvton evaluate compare`: folders of results beside each other and beside published figures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.evaluation.compare import Key, Table
    from catvton.evaluation.compare_folders import Folder

SUMMARY = "put folders of results beside each other and beside what published systems print"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER",
        help="what `evaluate vitonhd` or `evaluate dresscode` wrote; none: only the published tables",
    )  # fmt: skip
    parser.add_argument(
        "--dataset", choices=("vitonhd", "dresscode"), help="only this data set (default: those of the folders)"
    )
    settings = parser.add_mutually_exclusive_group()
    settings.add_argument(
        "--paired", action="store_true", default=None, help="only results whose right answer is known"
    )
    settings.add_argument(
        "--unpaired", action="store_false", dest="paired", help="only people in clothes they did not wear"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write compare.html (opens offline), .md, .csv and .json here"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    """Compare and print. Exit code 0 also where the folders do not compare: the tables say so."""
    from catvton.evaluation.compare import compare
    from catvton.evaluation.compare_folders import read_folders
    from catvton.evaluation.compare_text import as_json, as_markdown
    from catvton.evaluation.published import read_published

    folders, published = read_folders(args.folders), read_published()
    keys = _keys([(each.dataset, each.paired) for each in folders or published], args)
    tables = compare(folders, published, keys=keys)
    if args.out is not None:
        _write(args.out, tables, folders)
    print(json.dumps(as_json(tables), indent=2) if args.json else as_markdown(tables), end="\n" if args.json else "")
    return 0


def _keys(found: Sequence[Key], args: argparse.Namespace) -> list[Key]:
    """What tables are about: each of what was found once, as far as it is asked for."""
    keys = [
        (dataset, paired)
        for dataset, paired in dict.fromkeys(found)
        if args.dataset in (None, dataset) and args.paired in (None, paired)
    ]
    if not keys:
        there = ", ".join(f"{dataset} {'paired' if paired else 'unpaired'}" for dataset, paired in dict.fromkeys(found))
        raise InputError(f"No folder is about what was asked for; they are about {there}.", code="compare.nothing")
    return keys


def _write(out: Path, tables: Sequence[Table], folders: Sequence[Folder]) -> None:
    from catvton.evaluation.compare_page import as_page
    from catvton.evaluation.compare_text import as_csv, as_json, as_markdown

    files = {
        "compare.json": json.dumps(as_json(tables), indent=2) + "\n",
        "compare.csv": as_csv(tables),
        "compare.md": as_markdown(tables),
        "compare.html": as_page(tables, folders),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write to {out}: {error.strerror or error}.", code="output.write") from error
