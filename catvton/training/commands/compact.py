"""`python -m catvton train compact`: the built-in model from raw photos, resumable at any point."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import WeightsError

if TYPE_CHECKING:
    from catvton.training.compact import CompactRun

SUMMARY = "the built-in model from raw photos, stage by stage"

STAGES = ("all", "parser", "vae", "placement", "sleeves", "unet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", required=True, type=Path, metavar="ROOT", help="folder with ccp/ and clothing/ (see the model card)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/compact"), metavar="FOLDER", help="default: runs/compact"
    )
    parser.add_argument("--stage", choices=STAGES, default="all", help="one stage, or all in order (default)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, metavar="N", help="training time of a stage, earlier runs counted in")
    length.add_argument("--steps", type=int, metavar="N", help="steps of a stage instead: such a run can be repeated")
    parser.add_argument("--dry-run", action="store_true", help="only say what it would take: memory, hours")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoints")
    parser.add_argument(
        "--start", type=Path, metavar="MODEL", help="begin with a saved model's weights, e.g. resource/compact"
    )
    parser.add_argument("--learning-rate", type=float, metavar="R", help="peak rate (default: the stage's own)")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16, where the processor is fast at it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    parser.add_argument("--figures", type=int, default=1200, metavar="N", help="rendered people for the parser (1200)")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: torch's choice)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")


def run(args: argparse.Namespace) -> int:
    """Train; ctrl-C finishes the step, writes the checkpoint and the model as far as it is."""
    from catvton.training.processes import join

    job = open_job(args)
    main = join(job.device).main
    for name in STAGES[1:] if args.stage == "all" else (args.stage,):
        done, told = _foretell(job, name, args) if args.dry_run else _run_stage(job, name, args)
        if main:
            print(told)
        if not done:
            return 0
    if main and args.stage == "all" and not args.dry_run:
        print(f"The model is in {job.assemble()}")
    return 0


def open_job(args: argparse.Namespace) -> CompactRun:
    """The run the arguments describe, on this process's device."""
    import torch

    from catvton.devices import choose
    from catvton.training.compact import CompactRun
    from catvton.training.processes import join

    if args.threads:
        torch.set_num_threads(args.threads)
    device = join(choose(args.device, "float32")[0]).device
    changes = {"bf16": args.bf16} | ({"learning_rate": args.learning_rate} if args.learning_rate else {})
    options = {"figures": args.figures, "seed": args.seed, "start": args.start, "changes": changes}
    return CompactRun(args.data, args.out, device, **options)


def _foretell(job: CompactRun, name: str, args: argparse.Namespace) -> tuple[bool, str]:
    if name == "vae":
        return True, "vae\n  solved in closed form, in seconds"
    try:
        return True, job.budget(name, minutes=args.minutes, steps=args.steps).table()
    except WeightsError as error:
        return True, f"{name}\n  cannot be measured yet. {error}"


def _run_stage(job: CompactRun, name: str, args: argparse.Namespace) -> tuple[bool, str]:
    """False when the stage was asked to stop before its time; and what to say."""
    if name == "vae":
        return True, "vae: " + ", ".join(f"{key} {value:.4g}" for key, value in job.fit_vae().items())
    from catvton.training.bar import run_with_bar

    trainer = job.trainer(name, minutes=args.minutes, steps=args.steps)
    if args.resume:
        trainer.resume()
    state = run_with_bar(trainer)
    told = f"{name}: {state.step} steps, {state.seconds / 60:.1f} min, in {trainer.folder}"
    if not trainer.done:
        told += f"\nStopped in stage {name}. To go on: the same command with --resume."
    return trainer.done, told
