"""`python -m catvton evaluate masks`: the masks the official maskers give, compared with each other."""

from __future__ import annotations

import argparse
from pathlib import Path

from catvton.errors import InputError
from catvton.evaluation.bar import bar

SUMMARY = "the masks of the official masker, one DensePose network beside another"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, type=Path, metavar="ROOT", help="folder with ccp/")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N cases, spread evenly")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page here")
    parser.add_argument(
        "--densepose", action="append", default=[], metavar="NAME=FOLDER", help="compare with this network too"
    )


def run(args: argparse.Namespace) -> int:
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
        watched = bar(chosen, "masks", len(chosen))
        text = report(*score_masks(ccp, watched, maskers(card, dict(map(named, args.densepose)))))
    if args.write is not None:
        args.write.write_text(text, encoding="utf-8")
    print(text)
    return 0


def named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and Path(folder).is_dir()):
        raise InputError(f'--densepose "{text}" is not possible: NAME=FOLDER is needed.', code="option.densepose")
    return name, Path(folder)

