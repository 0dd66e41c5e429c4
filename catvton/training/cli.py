"""`python -m catvton train`: the built-in model from raw photos, resumable at any point."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catvton.training.compact import CompactRun
    from catvton.training.loop import State

STAGES = ("all", "parser", "vae", "placement", "unet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", choices=("compact",), help="what to train")
    parser.add_argument(
        "--data", required=True, type=Path, metavar="ROOT", help="folder with ccp/ (see the model card)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/compact"), metavar="FOLDER", help="default: runs/compact"
    )
    parser.add_argument("--stage", choices=STAGES, default="all", help="one stage, or all in order (default)")
    parser.add_argument("--minutes", type=float, metavar="N", help="training time of a stage, earlier runs counted in")
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
    import torch

    from catvton.devices import choose
    from catvton.training.compact import STAGES as ORDER
    from catvton.training.compact import CompactRun

    if args.threads:
        torch.set_num_threads(args.threads)
    device, _ = choose(args.device, "float32")
    changes = {"bf16": args.bf16} | ({"learning_rate": args.learning_rate} if args.learning_rate else {})
    options = {"figures": args.figures, "seed": args.seed, "start": args.start, "changes": changes}
    job = CompactRun(args.data, args.out, torch.device(device), **options)
    for name in ORDER if args.stage == "all" else (args.stage,):
        if not _run_stage(job, name, args):
            print(f"Stopped in stage {name}. To go on: the same command with --resume.")
            return 0
    if args.stage == "all":
        print(f"The model is in {job.assemble()}")
    return 0


def _run_stage(job: CompactRun, name: str, args: argparse.Namespace) -> bool:
    """True when the stage is done, False when it was asked to stop before its time."""
    if name == "vae":
        print("vae:", ", ".join(f"{key} {value:.4g}" for key, value in job.fit_vae().items()))
        return True
    trainer = job.trainer(name, minutes=args.minutes)
    if args.resume:
        trainer.resume()
    with _Bar(name, trainer.recipe.minutes) as bar:
        state = trainer.run(bar)
    print(f"{name}: {state.step} steps, {state.seconds / 60:.1f} min, in {trainer.folder}")
    return state.seconds >= trainer.recipe.minutes * 60


class _Bar:
    """A progress bar in minutes with the smoothed figures beside it."""

    def __init__(self, name: str, minutes: float) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=round(minutes, 1), desc=name, unit="min", bar_format="{l_bar}{bar}| {n:.1f}/{total:.1f} min {postfix}"
        )
        self._smooth: dict[str, float] = {}

    def __call__(self, state: State, figures: dict[str, float]) -> None:
        for key, value in figures.items():
            self._smooth[key] = 0.98 * self._smooth.get(key, value) + 0.02 * value
        self._bar.n = min(state.seconds / 60, self._bar.total)
        self._bar.set_postfix({"step": state.step, **{k: f"{v:.4g}" for k, v in self._smooth.items()}}, refresh=False)
        self._bar.update(0)

    def __enter__(self) -> Callable[..., None]:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
