"""`python -m catvton train maskfree`: a network that needs no mask, on people an engine with masks redressed."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import InputError
from catvton.training import tryon_command, tryon_options

if TYPE_CHECKING:
    from catvton.training.synthetic_pairs import RedressedSource
    from catvton.training.tryon_command import TryOnRun

SUMMARY = "a network without a mask, on people that an engine with masks redressed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tryon_options.add_arguments(parser, preset="maskfree", base="instruct-pix2pix")
    group = parser.add_argument_group("redressing")
    group.add_argument("--engine", default="catvton", metavar="NAME", help="which engine redresses (default: catvton)")
    group.add_argument("--pairs", type=Path, metavar="FOLDER", help="redressed people; runs may share them (OUT/pairs)")
    group.add_argument("--engine-steps", type=int, metavar="N", help="denoising steps (default: the engine's)")


def run(args: argparse.Namespace) -> int:
    """Redress everyone, then train; each part is taken up where it was."""
    job = tryon_command.open_run(args, preset="maskfree")
    if args.dry_run:
        return tryon_command.foretell(job, print)
    return tryon_command.train(job, lambda: redressed(job), print)


def redressed(job: TryOnRun) -> RedressedSource:
    """The pairs with everyone redressed; what is missing is made.

    Raises:
        InputError: the engine has no mask itself, or the folder was made with another one.
    """
    from catvton.evaluation.benchmark_engine import How, dresser, find_engine
    from catvton.training.synthetic_pairs import SyntheticPairs

    args, device = job.args, str(job.processes.device)
    card = find_engine(args.engine, job.settings)
    if card.mask_free:
        raise InputError(f"{card.id} has no mask: an engine with one redresses people.", code="option.engine")
    how = How(size=job.size, steps=args.engine_steps or round(card.steps.default), guidance=card.guidance.default)
    maker = SyntheticPairs(
        source=job.source,
        folder=args.pairs or args.out / "pairs",
        dresser=functools.cache(lambda: dresser(card, how, device=device, dtype="auto")),
        size=job.size,
        facts={"engine": card.id, "steps": how.steps, "guidance": how.guidance},
        masker=job.draw_mask,
        together=args.batch,
        seed=args.seed,
    )
    with job.processes.main_first():
        return maker.make(job.watch("redressing"))
