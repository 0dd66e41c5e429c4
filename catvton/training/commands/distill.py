"""`python -m catvton train distill`: a student that needs a few steps where its teacher needs many."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from catvton.errors import InputError
from catvton.training import teaching

if TYPE_CHECKING:
    from catvton.training.distill_stage import Plan

SUMMARY = "a student of the same network that needs few steps and no guidance, by consistency distillation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    teaching.add_arguments(parser)
    parser.add_argument("--steps", metavar="N,N", help="steps it must be good at (default: 1,2 for compact, else 4,8)")
    parser.add_argument("--path", type=int, metavar="N", help="steps of the teacher's way (compact 4, others 50)")
    parser.add_argument(
        "--guidance", type=float, metavar="G", help="the teacher's, folded into the student (compact 1, others 2.5)"
    )


def run(args: argparse.Namespace) -> int:
    """Teach; ctrl-C finishes the step and saves the student as far as it is."""
    from catvton.training.distill_stage import DistillStage
    from catvton.training.lessons import is_compact

    teacher = teaching.open_teacher(args)
    compact = is_compact(teacher)
    plan = _plan(args, compact=compact)
    stage = DistillStage(teacher, args.teacher, teaching.open_lessons(args, teacher), plan)
    rates = teaching.Rates(2e-4, 0.99) if compact else teaching.Rates(8e-6, 0.995)
    trainer = teaching.trainer_of(stage, args, rates, device=teacher.device)
    title = f"distilled to {' or '.join(map(str, plan.steps))} steps"
    teaching.teach(trainer, args, title=title, how=_how(plan), say=print)
    return 0


def _plan(args: argparse.Namespace, *, compact: bool) -> Plan:
    import dataclasses

    from catvton.training.distill_stage import COMPACT, OFFICIAL

    plan = COMPACT if compact else OFFICIAL
    steps = _numbers(args.steps) if args.steps else plan.steps
    path = plan.path if args.path is None else args.path
    _check(steps, path, compact=compact)
    hops = path if compact else plan.hops
    guidance = plan.guidance if args.guidance is None else args.guidance
    return dataclasses.replace(plan, steps=steps, path=path, hops=hops, guidance=guidance)


def _check(steps: Sequence[int], path: int, *, compact: bool) -> None:
    """A compact student must be run at steps of the path itself; another's sampler chooses among them."""
    if 1 <= path <= 1000 and not (any(path % count for count in steps) if compact else max(steps) > path):
        return
    accepted = "a multiple of each" if compact else "at least as many"
    raise InputError(
        f"--steps {','.join(map(str, steps))} does not go with --path {path}: {accepted}, up to 1000, is accepted.",
        code="distill.path",
    )


def _numbers(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise InputError(
            f'--steps "{text}" is not possible: whole numbers with commas between, like 1,2.', code="distill.steps"
        )
    return tuple(sorted(int(word) for word in words))


def _how(plan: Plan) -> str:
    way = "to its end" if plan.hops >= plan.path else f"{plan.hops} of {plan.path} steps at a time"
    truth = " and the photo itself" if plan.truth else ""
    return (
        f"The student follows its teacher's way ({plan.path} DDIM steps, guidance {plan.guidance:g}) {way}{truth}. Run "
        f"it with {' or '.join(map(str, plan.steps))} steps and guidance 1: what guidance does is folded in."
    )
