"""`python -m catvton train prune`: a smaller network, taught by the one it was cut from."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from catvton.training import teaching

if TYPE_CHECKING:
    from catvton.training.cuts import Cuts, Kept
    from catvton.training.prune_stage import PruneStage

SUMMARY = "a smaller student: the parts that matter least are cut, then it learns from its teacher"

KEPT = "kept.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    teaching.add_arguments(parser)
    parser.add_argument(
        "--keep",
        type=float,
        default=0.5,
        metavar="X",
        help="share of what can be cut that stays, 0 to 1 (default: 0.5)",
    )
    parser.add_argument(
        "--drop-blocks",
        nargs="+",
        default=[],
        metavar="NAME",
        help="blocks to leave out whole; a wrong name lists them",
    )
    parser.add_argument(
        "--importance",
        choices=("taylor", "weights"),
        default="taylor",
        help="judge parts by what the loss would lose on some batches, or by the size of their weights",
    )
    parser.add_argument("--batches", type=int, default=12, metavar="N", help="batches to judge by (default: 12)")


def run(args: argparse.Namespace) -> int:
    """Cut and teach; ctrl-C finishes the step and saves the student as far as it is."""
    from catvton.training.lessons import is_compact
    from catvton.training.prune import choose, cuts_of
    from catvton.training.prune_stage import PruneStage

    teacher = teaching.open_teacher(args)
    cuts = cuts_of(teacher.unet)
    by_weights = choose(cuts.parts, cuts.norms(), keep=args.keep, drop=args.drop_blocks)
    lessons = teaching.open_lessons(args, teacher)
    kept = _known(args)
    if kept is None and args.importance == "taylor":
        kept = _by_loss(args, cuts, PruneStage(teacher, args.teacher, teacher.unet, lessons))
    kept = kept or by_weights
    stage = PruneStage(teacher, args.teacher, cuts.without(kept), lessons)
    rates = teaching.Rates(6e-4, 0.995) if is_compact(teacher) else teaching.Rates(5e-5, 0.999)
    trainer = teaching.trainer_of(stage, args, rates, device=teacher.device)
    if trainer.processes.main:
        (args.out / KEPT).write_text(json.dumps(kept) + "\n", encoding="utf-8")
    teaching.teach(trainer, args, title="pruned", how=_how(args, cuts, kept), say=print)
    return 0


def _known(args: argparse.Namespace) -> Kept | None:
    """What the first part of a resumed run chose."""
    path = args.out / KEPT
    return json.loads(path.read_text(encoding="utf-8")) if args.resume and path.is_file() else None


def _by_loss(args: argparse.Namespace, cuts: Cuts, stage: PruneStage) -> Kept:
    from catvton.training.prune import choose, importance

    scores = importance(cuts, stage.task_losses(cuts.network, batches=args.batches, seed=args.seed))
    return choose(cuts.parts, scores, keep=args.keep, drop=args.drop_blocks)


def _how(args: argparse.Namespace, cuts: Cuts, kept: Kept) -> str:
    from catvton.training.prune import share

    left = ", ".join(f"{name} {len(units)} of {cuts.parts[name].units}" for name, units in kept.items())
    judged = f"the loss on {args.batches} batches" if args.importance == "taylor" else "the size of weights"
    cut = f"Cut to {share(cuts.parts, kept):.0%} of what can be cut, judged by {judged}, then taught by the teacher."
    return f"{cut} What stays: {left}."
