"""`python -m catvton train tradeoff`: seconds against quality for students of the built-in model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

SUMMARY = "seconds against quality: models of the built-in kind side by side, and the best bargain among them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "variants",
        nargs="+",
        metavar="NAME=FOLDER[@STEPS]",
        help="models to measure, the one they are compared with first, e.g. compact=resource/compact",
    )
    parser.add_argument("--data", required=True, type=Path, metavar="ROOT", help="folder with ccp/ and clothing/")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N cases and people, spread evenly")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: torch's choice)")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="STEM",
        help="write STEM.md and STEM.json, e.g. benchmarks/compact_fast; a second call measures only what is new",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    """Measure and print; about a quarter of an hour for each model without --limit."""
    import torch

    from catvton.evaluation.bar import bar
    from catvton.training.trade_off import Variant, page, tell_cards, trade_off, write

    if args.threads:
        torch.set_num_threads(args.threads)
    variants = [Variant.parse(text) for text in args.variants]
    found = trade_off(variants, args.data, limit=args.limit, known=_known(args.write), watch=bar)
    if args.write is not None:
        write(found, args.write)
        tell_cards(found, variants)
    print(json.dumps(found, indent=2) if args.json else page(found))
    return 0


def _known(stem: Path | None) -> dict:
    """What an earlier call wrote."""
    path = stem and stem.with_suffix(".json")
    return json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}
