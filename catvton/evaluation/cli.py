"""`python -m catvton evaluate`: prints the figures of the built-in model beside what is required of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from catvton.errors import InputError
from catvton.evaluation import SECTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        default="compact",
        help="which engine (default: compact), or masks: the official masker, or undressing: the embedded check",
    )
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
    parser.add_argument(
        "--densepose", action="append", default=[], metavar="NAME=FOLDER", help="masks: compare with this network too"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="masks, undressing: write the page here")
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    """Measure and print. Exit code 0 whether or not the figures are reached: the table says which are."""
    if args.model in ("masks", "undressing"):
        return {"masks": _masks, "undressing": _undressing}[args.model](args)
    options = _options(args)
    from catvton.evaluation.report import table
    from catvton.evaluation.subject import subject
    from catvton.evaluation.suite import Suite

    suite = Suite(subject(args.model, folder=args.weights), args.data, options, watch=_bar)
    found = suite.run(args.only)
    text = json.dumps({"rows": [row.json() for row in found.rows], **found.figures}, indent=2)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "figures.json").write_text(text + "\n", encoding="utf-8")
    print(text if args.json else table(found.rows))
    return 0


def _masks(args: argparse.Namespace) -> int:
    """The official masker's figures; where its weights are missing, a page that says so, and exit code 0."""
    from catvton.cards import read_cards
    from catvton.ccp import CCP
    from catvton.evaluation.masks import maskers, report, score_masks, without_weights
    from catvton.evaluation.protocol import cases
    from catvton.evaluation.suite import spread
    from catvton.settings import Settings

    settings = Settings()
    card = read_cards(overlay=settings.registry, models_dir=settings.models_dir)["catvton"]
    ccp = CCP(args.data)
    if card.missing_files():
        text = without_weights(card)
    else:
        chosen = spread(cases(ccp), args.limit)
        watched = _bar(chosen, "masks", len(chosen))
        text = report(*score_masks(ccp, watched, maskers(card, dict(map(_named, args.densepose)))))
    if args.write is not None:
        args.write.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _undressing(args: argparse.Namespace) -> int:
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
        *people(checker, ccp, _bar(numbers, "people", len(numbers))),
        *garments(checker, clothing, _bar(ids, "garments", len(ids))),
    ]
    found = machine()
    text = page(outcomes, machine_lines(found))
    if args.write is not None:
        args.write.write_text(text, encoding="utf-8")
        said = json.dumps({"machine": found, **figures(outcomes)})
        args.write.with_suffix(".json").write_text(said + "\n", encoding="utf-8")
    print(text)
    return 0


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder).is_dir()):
        raise InputError(f'--densepose "{text}" is not possible: NAME=FOLDER is needed.', code="option.densepose")
    return name, Path(folder)


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


def _bar(things: Iterable[Any], what: str, count: int) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(things, desc=f"{what:<9}", total=count, leave=False)
