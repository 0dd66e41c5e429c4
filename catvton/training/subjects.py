"""What `train sweep` can sweep: recipes as functions of the options that differ from run to run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from catvton.errors import InputError
from catvton.training.compact import CompactRun
from catvton.training.schedule import Recipe
from catvton.training.stage import Stage
from catvton.training.sweep import Options, Subject

OPTIONS = {
    "parser": ("learning_rate",),
    "placement": ("learning_rate",),
    "sleeves": ("learning_rate",),
    "unet": ("learning_rate", "dropout"),
}


@dataclass
class CompactSubject:
    """A stage of the built-in model.

    Args:
        job: gives its photos, which are read once for all runs.
        part: the stage, one of `OPTIONS`.
        steps: of each run.
    """

    job: CompactRun
    part: str
    steps: int

    @property
    def name(self) -> str:
        return f"compact's {self.part}"

    @property
    def options(self) -> tuple[str, ...]:
        return OPTIONS[self.part]

    @cached_property
    def facts(self) -> dict[str, Any]:
        job = self.job
        start = None if job.start is None else str(job.start)
        return {"data": str(job.data), "start": start, "figures": job.figures, "seed": job.seed, **job.changes}

    def stage(self, options: Options) -> Stage:
        own = {name: value for name, value in options.items() if name != "learning_rate"}
        return self.job.stage(self.part, **own)

    def recipe(self, options: Options) -> Recipe:
        rates = {name: value for name, value in options.items() if name == "learning_rate"}
        return replace(self.job.recipe(self.part, steps=self.steps), keep=1, **rates)


def open_subject(args: argparse.Namespace) -> Subject:
    """What the arguments of `train sweep` name.

    Raises:
        InputError: a recipe of several stages without a choice of one.
    """
    if args.recipe != "compact":
        from catvton.training.tryon_subject import open_tryon_subject

        return open_tryon_subject(args)
    from catvton.training.commands.compact import open_job

    if args.stage not in OPTIONS:
        raise InputError(
            f"One stage is swept at a time: --stage is {', '.join(OPTIONS)}, not {args.stage}.", code="option.stage"
        )
    own = argparse.Namespace(**{**vars(args), "learning_rate": None})  # the lists stand in their place
    return CompactSubject(open_job(own), args.stage, args.steps)
