"""Making good what pruning cost: the smaller network learns to say what the teacher says, inside too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from catvton.compact_unet import CompactUNet
from catvton.training.consistency import Path as TeachersPath
from catvton.training.consistency import answer, pseudo_huber, split
from catvton.training.lessons import Lesson, Lessons, asked, judged
from catvton.training.students import pipeline_with, save_student
from catvton.weights import load_strictly

if TYPE_CHECKING:
    from catvton.pipeline import CatVTONPipeline

FEATURES = 0.5  # weight of the distance inside the networks
NOISIEST = 0.75  # share of rows at the noisiest step, for networks that are run in one or two


@dataclass(frozen=True)
class Question:
    """What a network is asked: a batch, its latents, and those with noise at the time steps `start` (B,)."""

    batch: dict[str, torch.Tensor]
    lesson: Lesson
    noisy: torch.Tensor
    start: torch.Tensor


class PruneStage:
    """Distance from the teacher's prediction, from its features at each level, and from the photo where it is known.

    Args:
        teacher: a loaded pipeline, never changed.
        folder: where it was loaded from.
        student: the pruned network, float32.
        lessons: the pictures.
    """

    name = "prune"

    def __init__(self, teacher: CatVTONPipeline, folder: Path, student: nn.Module, lessons: Lessons) -> None:
        self.teacher, self.folder, self.lessons = teacher, folder, lessons
        self.path = TeachersPath.of(teacher.scheduler, teacher.scheduler.config.num_train_timesteps)
        self.module: nn.Module = student
        self.frozen = [teacher.unet, *lessons.frozen]

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """The lessons' batch and `start`, the time step of each row."""
        batch = self.lessons.batch(rng)
        rows, last = len(next(iter(batch.values()))), len(self.path.timesteps) - 1
        start = rng.integers(0, last + 1, rows)
        if self.teacher.scheduler.config.get("rescale_betas_zero_snr"):
            start = np.where(rng.random(rows) < NOISIEST, last, start)
        return batch | {"start": torch.from_numpy(start)}

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Pseudo-Huber of predictions + 0.5 x the features' relative squared error (+ the truth's distance)."""
        question = self._question(batch)
        with torch.no_grad(), watched(self.teacher.unet) as theirs:
            goal = self._ask(self.teacher.unet, question)
        with watched(module) as mine:
            prediction = self._ask(module, question)
        halves = (judged(self.teacher.layout, one) for one in (prediction, goal))
        distance, inside = pseudo_huber(*halves), feature_distance(mine, theirs)
        figures = {"teacher": float(distance.detach()), "features": float(inside.detach())}
        truth, total = self._truth(prediction, question), distance + FEATURES * inside
        return (total, figures) if truth is None else (total + truth, figures | {"truth": float(truth.detach())})

    def task_loss(self, network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """How wrong a network is without a teacher: the distance from the photo, or from the right prediction."""
        question = self._question(batch)
        prediction = self._ask(network, question)
        truth = self._truth(prediction, question)
        if truth is not None:
            return truth
        clean, noise = question.lesson.clean, question.lesson.noise
        right = answer(self.path.kind, clean, noise, *self._levels(question))
        return pseudo_huber(judged(self.teacher.layout, prediction), judged(self.teacher.layout, right))

    def task_losses(self, network: nn.Module, *, batches: int, seed: int) -> Iterator[Callable[[], torch.Tensor]]:
        """`task_loss` of a network on some batches, for `catvton.training.prune.importance`."""
        for number in range(batches):
            batch = self.batch(np.random.default_rng((seed, number)))
            moved = {name: tensor.to(self.teacher.device) for name, tensor in batch.items()}
            yield lambda moved=moved: self.task_loss(network, moved)

    def state(self) -> dict[str, Any]:
        return self.lessons.state()

    def identity(self) -> dict[str, Any]:
        return self.lessons.identity()

    def restore(self, state: dict[str, Any]) -> None:
        self.lessons.restore(state)

    def samples(self, module: nn.Module) -> Image.Image:
        steps = 1 if isinstance(module, CompactUNet) else 20
        return self.lessons.samples(pipeline_with(self.teacher, module), steps=steps)

    def save(self, module: nn.Module, folder: Path) -> None:
        """A saved pipeline with the teacher's sampler, as `CatVTONPipeline.from_pretrained` reads it."""
        save_student(pipeline_with(self.teacher, module), self.folder, folder)

    def load(self, folder: Path) -> None:
        """Begin with the weights of a saved pipeline pruned the same way."""
        saved = load_strictly(type(self.module), folder, subfolder="unet", dtype=torch.float32)
        self.module.load_state_dict(saved.state_dict())

    def _question(self, batch: dict[str, torch.Tensor]) -> Question:
        seen = {name: tensor for name, tensor in batch.items() if name != "start"}
        lesson = self.lessons.lesson(seen)
        return Question(seen, lesson, self.path.noised(lesson.clean, lesson.noise, batch["start"]), batch["start"])

    def _ask(self, network: nn.Module, question: Question) -> torch.Tensor:
        predict = asked(network, self.teacher.layout, self.teacher.scheduler, question.lesson)
        return predict(question.noisy, self.path.timesteps.to(question.start.device)[question.start])

    def _truth(self, prediction: torch.Tensor, question: Question) -> torch.Tensor | None:
        clean, _ = split(self.path.kind, prediction, question.noisy, *self._levels(question))
        return self.lessons.truth(clean, question.batch)

    def _levels(self, question: Question) -> tuple[torch.Tensor, torch.Tensor]:
        return self.path.levels_at(question.start, question.noisy)


@contextmanager
def watched(network: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Features at the end of each level, by the module's name, as the network computes them inside the block."""
    seen: dict[str, torch.Tensor] = {}
    modules = dict(network.named_modules())

    def keep(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    hooks = [modules[name].register_forward_hook(keep(name)) for name in _levels(network)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _levels(network: nn.Module) -> list[str]:
    if isinstance(network, CompactUNet):
        return ["down1", "down2", "middle_out.1", "fine_out.1"]
    return [f"{way}_blocks.{i}" for way in ("down", "up") for i in range(len(getattr(network, f"{way}_blocks")))]


def feature_distance(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean over levels of the squared error as a share of the teacher's mean square."""
    shares = [
        F.mse_loss(mine[name].float(), theirs[name].float()) / theirs[name].float().square().mean().clamp_min(1e-6)
        for name in theirs
    ]
    return torch.stack(shares).mean()
