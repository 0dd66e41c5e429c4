"""`python -m catvton evaluate undressing`: what the embedded check against undressed people refuses."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from catvton.evaluation.bar import bar

SUMMARY = "what the embedded check refuses: people undressed on purpose, untouched ones, garments alone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, type=Path, metavar="ROOT", help="folder with ccp/ and clothing/")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N people and garments, spread evenly")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page here, its figures beside it as JSON")


def run(args: argparse.Namespace) -> int:
    """What the embedded check refuses. With --write the figures go beside the page too, as JSON."""
    from catvton.bench import machine, machine_lines
    from catvton.ccp import CCP, Clothing
    from catvton.evaluation.refusing import GARMENTS, figures, garments, page, people
    from catvton.evaluation.suite import spread
    from catvton.masking import BuiltInMasker
    from catvton.safety.undress import UndressChecker

    checker, ccp, clothing = UndressChecker(BuiltInMasker().parse), CCP(args.data), Clothing(args.data)
    numbers = spread(ccp.numbers("validation"), args.limit)
    ids = spread(clothing.ids()[:: GARMENTS.every], args.limit)
    outcomes = [
        *people(checker, ccp, bar(numbers, "people", len(numbers))),
        *garments(checker, clothing, bar(ids, "garments", len(ids))),
    ]
    found = machine()
    text = page(outcomes, machine_lines(found))
    if args.write is not None:
        args.write.write_text(text, encoding="utf-8")
        said = json.dumps({"machine": found, **figures(outcomes)})
        args.write.with_suffix(".json").write_text(said + "\n", encoding="utf-8")
    print(text)
    return 0

