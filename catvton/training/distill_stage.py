"""Teaching a network to need fewer steps: a consistency student of the teacher's own shape, guidance folded in."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import LCMScheduler, SchedulerMixin
from PIL import Image
from torch import nn

from catvton.training.consistency import Path as TeachersPath
from catvton.training.consistency import Predict, pseudo_huber
from catvton.training.lessons import Lesson, Lessons, asked, judged
from catvton.training.students import pipeline_with, save_student
from catvton.weights import load_strictly

if TYPE_CHECKING:
    from catvton.pipeline import CatVTONPipeline


@dataclass(frozen=True)
class Plan:
    """How a student is taught.

    Attributes:
        steps: numbers of steps it must be good at.
        path: steps of the teacher's path from noise to picture.
        hops: how many of them the teacher goes before the student must agree with itself; `path` of them lead to the
            end of the path, where the student must agree with the teacher alone.
        guidance: the teacher's; the student is run without.
        target: decay of the averaged student that says what to agree with.
        truth: weight of the distance from the photo, for lessons that know it.
    """

    steps: Sequence[int]
    path: int
    hops: int
    guidance: float
    target: float = 0.95
    truth: float = 0.0

    def starts(self) -> list[int]:
        """Where the student is asked: at every step of the path; if that is gone whole, at those it will be run at."""
        if self.hops < self.path:
            return list(range(self.path))
        return sorted({self.path - 1 - i * self.path // count for count in self.steps for i in range(count)})


COMPACT = Plan(steps=(1, 2), path=4, hops=4, guidance=1.0, truth=1.0)
OFFICIAL = Plan(steps=(4, 8), path=50, hops=1, guidance=2.5)


class Student(nn.Module):
    """The network in training with the averaged one it must agree with, so that a checkpoint holds both."""

    def __init__(self, network: nn.Module, *, averaged: bool) -> None:
        super().__init__()
        self.network = network
        self.target = copy.deepcopy(network).requires_grad_(False).eval() if averaged else None

    def forward(self, *args: object, **options: object) -> tuple[torch.Tensor]:
        return self.network(*args, **options)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the averaged network towards the one in training."""
        for mean, value in zip(self.target.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)


class DistillStage:
    """Pseudo-Huber distance between the student at a noisy step and where the teacher's path leads from there.

    Args:
        teacher: a loaded pipeline, never changed.
        folder: where it was loaded from; what a student keeps of it (parser, placement) is copied from there.
        lessons: the pictures.
    """

    name = "distill"

    def __init__(self, teacher: CatVTONPipeline, folder: Path, lessons: Lessons, plan: Plan) -> None:
        self.teacher, self.folder, self.lessons, self.plan = teacher, folder, lessons, plan
        self.path = TeachersPath.of(teacher.scheduler, plan.path)
        self.frozen = [teacher.unet, *lessons.frozen]
        self.module: nn.Module = Student(copy.deepcopy(teacher.unet), averaged=plan.hops < plan.path)
        self.module.network.requires_grad_(True).train()

    def enable_checkpointing(self) -> None:
        """Compute the student's activations twice instead of keeping them."""
        self.module.network.enable_gradient_checkpointing()

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """The lessons' batch and `start`, the step of the path each row begins at.

        It is one for all when the path is gone whole, so that no row waits for another.
        """
        batch = self.lessons.batch(rng)
        rows = len(next(iter(batch.values())))
        whole = self.plan.hops >= self.plan.path
        start = rng.choice(self.plan.starts(), size=1 if whole else rows)
        return batch | {"start": torch.from_numpy(np.broadcast_to(start, rows).copy())}

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """The distance over what counts of both; with the truth's share where the lessons have one."""
        start, seen = batch["start"], {name: tensor for name, tensor in batch.items() if name != "start"}
        lesson = self.lessons.lesson(seen)
        noisy = self.path.noised(lesson.clean, lesson.noise, start)
        mine = self.path.consistency(self._asked(module, lesson), noisy, start)
        goal = self._goal(lesson, noisy, start)
        distance = pseudo_huber(judged(self.teacher.layout, mine), judged(self.teacher.layout, goal))
        figures = {"teacher": float(distance.detach())}
        truth = self.lessons.truth(mine, seen) if self.plan.truth else None
        if truth is None:
            return distance, figures
        return distance + self.plan.truth * truth, figures | {"truth": float(truth.detach())}

    def state(self) -> dict[str, Any]:
        return self.lessons.state()

    def identity(self) -> dict[str, Any]:
        return {**vars(self.plan), **self.lessons.identity()}

    def restore(self, state: dict[str, Any]) -> None:
        self.lessons.restore(state)

    def samples(self, module: nn.Module) -> Image.Image:
        return self.lessons.samples(self.student(module), steps=max(self.plan.steps))

    def student(self, module: nn.Module) -> CatVTONPipeline:
        """The teacher's pipeline around a student, set up for few steps."""
        return pipeline_with(self.teacher, module.network, few_step_scheduler(self.teacher.scheduler, self.plan))

    def save(self, module: nn.Module, folder: Path) -> None:
        """A saved pipeline, as `CatVTONPipeline.from_pretrained` reads it."""
        save_student(self.student(module), self.folder, folder)

    def load(self, folder: Path) -> None:
        """Begin with a saved student's weights."""
        saved = load_strictly(type(self.teacher.unet), folder, subfolder="unet", dtype=torch.float32)
        for network in filter(None, (self.module.network, self.module.target)):
            network.load_state_dict(saved.state_dict())

    @torch.no_grad()
    def _goal(self, lesson: Lesson, noisy: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """Where the teacher's path leads: its end, or what the averaged student makes of the point it reached."""
        guided = asked(
            self.teacher.unet, self.teacher.layout, self.teacher.scheduler, lesson, guidance=self.plan.guidance
        )
        reached = self.path.follow(guided, noisy, start, hops=self.plan.hops)
        if self.module.target is None:
            return reached
        if self.module.training:
            self.module.follow(self.plan.target)
        left = (start - self.plan.hops).clamp_min(-1)
        return self.path.consistency(self._asked(self.module.target, lesson), reached, left)

    def _asked(self, network: nn.Module, lesson: Lesson) -> Predict:
        return asked(network, self.teacher.layout, self.teacher.scheduler, lesson)


def few_step_scheduler(scheduler: SchedulerMixin, plan: Plan) -> SchedulerMixin:
    """The sampler a student is saved with: the one under which its few steps are those it was taught.

    A network on a schedule whose noisiest step holds no signal keeps its own trailing DDIM: the steps are the path's,
    and the boundary differs from 1 by less than a hundred-thousandth. Others get `LCMScheduler`, which draws fresh
    noise at each step.
    """
    if scheduler.config.get("rescale_betas_zero_snr"):
        return scheduler
    fixed = {"original_inference_steps": plan.path, "clip_sample": False, "rescale_betas_zero_snr": False}
    return LCMScheduler.from_config(scheduler.config, **fixed)
