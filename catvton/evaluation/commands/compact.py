"""`python -m catvton evaluate compact`: prints the figures of the built-in model beside what is required of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from catvton.errors import InputError
from catvton.evaluation import SECTIONS
from catvton.evaluation.bar import bar

SUMMARY = "the figures of the built-in model on its validation photos, beside what is required of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", default="compact", help="the built-in engine to measure (default: compact)")
    parser.add_argument("--data", required=True, type=Path, metavar="ROOT", help="folder with ccp/ and clothing/")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="a trained model's folder instead of its own")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="these sections (default: all)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N cases and people, spread evenly")
    parser.add_argument("--network", choices=("on", "off", "both"), default="both", help="off: without the UNet")
    parser.add_argument("--steps", type=int, metavar="N", help="denoising steps (default: the engine's own)")
    parser.add_argument(
        "--size", default="576x768", metavar="WxH", help="size of the person pictures (default: 576x768)"
    )
    parser.add_argument(
        "--reach", type=float, metavar="X", help="mask dilation, a share of the height (default: 0.025)"
    )
    parser.add_argument("--stages", action="store_true", help="also with one stage replaced by the truth")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write sheets to look at here, and figures.json")
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    """Measure and print. Exit code 0 whether or not the figures are reached: the table says which are."""
    options = _options(args)
    from catvton.evaluation.report import table
    from catvton.evaluation.subject import subject
    from catvton.evaluation.suite import Suite

    suite = Suite(subject(args.engine, folder=args.weights), args.data, options, watch=bar)
    found = suite.run(args.only)
    text = json.dumps({"rows": [row.json() for row in found.rows], **found.figures}, indent=2)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    print(text if args.json else table(found.rows))
    return 0


def _options(args: argparse.Namespace) -> Any:
    from catvton.evaluation.protocol import REACH
    from catvton.evaluation.suite import Options

    if args.limit is not None and args.limit < 1:
        raise InputError(
            f"--limit {args.limit} is not possible: a whole number from 1 is accepted.", code="option.limit"
        )
    reach = REACH if args.reach is None else args.reach
    if not 0 < reach <= 0.25:
        raise InputError(f"--reach {reach:g} is not possible: more than 0, up to 0.25.", code="option.reach")
    return Options(
        limit=args.limit,
        network=args.network,
        size=_size(args.size),
        reach=reach,
        steps=args.steps,
        stages=args.stages,
        out=args.out,
    )


def _size(text: str) -> tuple[int, int]:
    wide, by, high = text.lower().partition("x")
    if not (by and wide.isdigit() and high.isdigit()) or int(wide) * 4 != int(high) * 3 or int(wide) < 48:
        raise InputError(f'--size "{text}" is not possible: WIDTHxHEIGHT of 3:4, from 48x64.', code="option.size")
    return int(wide), int(high)

