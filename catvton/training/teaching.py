"""What the commands `distill` and `prune` share: their arguments, the teacher, its lessons, and the run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.pipeline import CatVTONPipeline
    from catvton.training.lessons import Lessons
    from catvton.training.loop import Trainer
    from catvton.training.schedule import State
    from catvton.training.stage import Stage

MINUTES = 30.0


@dataclass(frozen=True)
class Rates:
    """How fast a student learns, and how slowly the averaged weights that are saved follow."""

    learning_rate: float
    ema: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of a run that follows a teacher."""
    parser.add_argument(
        "teacher", type=Path, metavar="TEACHER", help="a saved pipeline's folder, e.g. resource/compact"
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="for a compact teacher the folder with ccp/ in it; for others vitonhd:ROOT, dresscode:ROOT, csv:FILE or "
        "shards:PATTERN",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="checkpoints, curve, samples; model/")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, metavar="N", help="training time, earlier runs counted in (30)")
    length.add_argument("--iterations", type=int, metavar="N", help="steps in all instead of minutes")
    parser.add_argument("--resume", action="store_true", help="go on from the folder's newest checkpoint")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="pairs a step (default: 8)")
    parser.add_argument("--learning-rate", type=float, metavar="R", help="peak rate (default: by the kind of teacher)")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16, where the processor is fast at it")
    parser.add_argument("--low-memory", action="store_true", help="compute activations twice: less memory, more time")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: torch's choice)")
    parser.add_argument("--figures", type=int, default=300, metavar="N", help="rendered people among the photos (300)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")


def open_teacher(args: argparse.Namespace) -> CatVTONPipeline:
    """The teacher in float32 on its device, frozen.

    Raises:
        InputError: a number among the arguments is not possible.
        WeightsError: the folder is no saved pipeline, or a weight is missing.
    """
    _check(args)
    import torch

    from catvton.devices import choose
    from catvton.pipeline import CatVTONPipeline
    from catvton.training.processes import join

    if args.threads:
        torch.set_num_threads(args.threads)
    pipe = CatVTONPipeline.from_pretrained(args.teacher).to(join(choose(args.device, "float32")[0]).device)
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.requires_grad_(False).eval().to(memory_format=torch.channels_last)
    return pipe


def _check(args: argparse.Namespace) -> None:
    for name in ("minutes", "iterations", "batch", "threads", "learning_rate"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise InputError(
                f"--{name.replace('_', '-')} {value} is not possible: more than 0.", code="teaching.number"
            )


def open_lessons(args: argparse.Namespace, teacher: CatVTONPipeline) -> Lessons:
    """The pictures `--data` names, for this teacher.

    Raises:
        InputError: the data is not of a kind the teacher can use.
    """
    from catvton.training.lessons import SourceLessons, compact_lessons, is_compact

    if not is_compact(teacher):
        from catvton.datasets import open_source

        return SourceLessons(open_source(args.data), teacher, batch_size=args.batch)
    from catvton.training.compact import CompactRun
    from catvton.training.processes import join

    _require_parser(args.teacher)
    options = {"figures": args.figures, "seed": args.seed, "start": args.teacher}
    run = CompactRun(Path(args.data), args.out, teacher.device, **options)
    with join(teacher.device).main_first():  # the others find its figures and labels on disk
        photos, shown = run.dressed, run.validation
    return compact_lessons(teacher, args.teacher, photos, validation=shown, batch_size=args.batch)


def _require_parser(folder: Path) -> None:
    if missing := [name for name in ("parser", "placement") if not (folder / name).is_dir()]:
        raise InputError(
            f"{folder} lacks {' and '.join(missing)}: pairs are made with them. Copy them there from resource/compact.",
            code="teacher.parts",
        )


def trainer_of(stage: Stage, args: argparse.Namespace, rates: Rates, *, device: Any) -> Trainer:
    """The trainer of a stage, taken up where it was if `--resume` says so."""
    from catvton.training.loop import Trainer
    from catvton.training.schedule import Recipe

    length = {"steps": args.iterations} if args.iterations else {"minutes": args.minutes or MINUTES}
    recipe = Recipe(
        **length,
        learning_rate=args.learning_rate or rates.learning_rate,
        ema=rates.ema,
        bf16=args.bf16,
        gradient_checkpointing=args.low_memory,
        seed=args.seed,
    )
    trainer = Trainer(stage, recipe, args.out, device=device)
    if args.resume:
        trainer.resume()
    return trainer


def teach(trainer: Trainer, args: argparse.Namespace, *, title: str, how: str, say: Callable[[str], None]) -> None:
    """Run to the end, or until asked to stop, and put a card beside the student as far as it is."""
    from catvton.training.students import Made, compared, name_of, teacher_of

    each, folder = EachMinute(say), args.out / "model"
    state = trainer.run(each)
    if not trainer.processes.main:
        return
    training = {
        "steps": state.step,
        "pairs_a_step": args.batch * trainer.processes.count,
        "minutes": round(state.seconds / 60, 1),
        "precision": "bfloat16" if args.bf16 else "float32",
        "losses_at_the_end": each.figures(),
    }
    title = f"{name_of(args.teacher)}, {title}"
    Made(title, [how], teacher_of(args.teacher), compared(args.teacher, folder), training).write(folder)
    say(f"The student is in {folder}" if trainer.done else "Stopped. To go on: the same command with --resume.")


class EachMinute:
    """Says a line of smoothed figures once a minute of training."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._smooth, self._minute = say, {}, -1

    def __call__(self, state: State, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._smooth[name] = 0.95 * self._smooth.get(name, value) + 0.05 * value
        if (minute := int(state.seconds // 60)) > self._minute:
            self._minute = minute
            self._say(f"{state.seconds / 60:6.1f} min  step {state.step:5d}  {self.figures()}")

    def figures(self) -> str:
        """The smoothed figures in one line."""
        return "  ".join(f"{name} {value:.4g}" for name, value in self._smooth.items())
