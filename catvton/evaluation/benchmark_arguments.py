"""The arguments of `evaluate vitonhd` and `evaluate dresscode`, and what they may be."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import InputError
from catvton.options import whole
from catvton.result import MAX_SEED

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.evaluation.benchmark_engine import How

RUNS = Path("runs/evaluation")
FEWEST, MOST = 4, 1_000_000  # cases: FID's interval needs a covariance of half of them
MOST_STEPS, MOST_GUIDANCE = 1000, 20

_EPILOG = """examples:
  python -m catvton evaluate {name} --root {root} --paired
  python -m catvton evaluate {name} --root {root} --engine compact --limit 200
  accelerate launch --multi_gpu -m catvton evaluate {name} --root {root}

A run may be stopped at any time; the same command with --resume goes on where it was.
"""


def add_arguments(parser: argparse.ArgumentParser, *, name: str, root: str, engine: str) -> None:
    """name, root: for the examples; engine: the one that is measured when none is named."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, _EPILOG.format(name=name, root=root)
    parser.add_argument("--root", required=True, type=Path, metavar="FOLDER", help=f"the data set, e.g. {root}")
    parser.add_argument("--paired", action="store_true", help="each person in their own garment: adds SSIM and LPIPS")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N cases, spread evenly (default: all)")

    how = parser.add_argument_group("how pictures are made")
    how.add_argument("--engine", default=engine, metavar="E", help=f"an engine, or engine@version (default: {engine})")
    how.add_argument("--weights", type=Path, metavar="FOLDER", help="a saved pipeline instead of the engine's weights")
    how.add_argument("--size", metavar="WxH", help="of the results, 3:4 (default: 384x512 for CatVTON's and compact)")
    how.add_argument("--steps", type=int, metavar="N", help="denoising steps (default: the engine's own)")
    how.add_argument("--guidance", type=float, metavar="X", help="how firmly to follow the garment; acts above 1")
    how.add_argument("--seed", type=int, default=555, metavar="N", help="same seed, same pictures (default: 555)")
    how.add_argument("--batch", type=int, default=8, metavar="N", help="pictures at once (default: 8)")

    keep = parser.add_argument_group("what is kept and scored")
    pasted = "only results pasted into the photo outside the mask, or only results as generated (default: both)"
    keep.add_argument("--repaint", action=argparse.BooleanOptionalAction, help=pasted)
    keep.add_argument("--out", type=Path, metavar="FOLDER", help=f"for the results (default: a folder in {RUNS})")
    beside = "for the masks that the data set lacks (default: beside the results)"
    keep.add_argument("--masks", type=Path, metavar="FOLDER", help=beside)
    keep.add_argument("--resume", action="store_true", help="go on with the results that are there already")
    keep.add_argument("--scores-only", action="store_true", help="score the pictures in --out, whoever made them")
    keep.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def check_options(args: argparse.Namespace) -> None:
    """Raises InputError "option.<name>"."""
    for name, fewest, most in (("limit", FEWEST, MOST), ("batch", 1, MOST), ("steps", 1, MOST_STEPS),
                               ("seed", 0, MAX_SEED)):  # fmt: skip
        if getattr(args, name) is not None:
            whole(name, getattr(args, name), minimum=fewest, maximum=most)
    if args.guidance is not None and not 0 <= args.guidance <= MOST_GUIDANCE:
        raise InputError(
            f"Guidance {args.guidance:g} is not possible: a number from 0 to {MOST_GUIDANCE}.", code="option.guidance"
        )
    if args.scores_only and args.out is None:
        raise InputError("--scores-only needs --out, the folder with the pictures to score.", code="option.out")


def how_of(args: argparse.Namespace, card: ModelCard) -> How:
    from catvton.evaluation.benchmark_engine import How, size_of

    return How(
        size=size_of(card) if args.size is None else _size(args.size),
        steps=int(card.steps.default) if args.steps is None else args.steps,
        guidance=card.guidance.default if args.guidance is None else args.guidance,
    )


def _size(text: str) -> tuple[int, int]:
    """(W, H) of "WxH"."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.lower())
    width, height = map(int, found.groups()) if found else (0, 0)
    if not width or width % 24 or width * 4 != height * 3:
        raise InputError(
            f'Size "{text}" is not possible: WIDTHxHEIGHT of 3:4 in steps of 24x32 is accepted, as 384x512.',
            code="option.size",
        )
    return width, height
