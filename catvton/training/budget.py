"""What a run would take, said before anything is spent: numbers, memory, and hours measured on this machine."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from catvton.hub.verify import human
from catvton.memory import free_memory
from catvton.training.average import copy_into
from catvton.training.loop import Trainer
from catvton.training.schedule import Recipe
from catvton.training.stage import Stage, frozen, restore, state_of, trained_tensors

TIMED = 3  # steps that are timed, after one that is not


@dataclass(frozen=True)
class Budget:
    """What a run takes.

    Attributes:
        trainable, total: parameters of the trained network that move, and all of them.
        weights: bytes of all networks, those that are only used counted in.
        gradients, optimizer, average: bytes of the gradients, of AdamW's two averages, of the averaged weights.
        activations: bytes that a micro-batch's backward pass needs of its forward pass, measured.
        checkpoints: bytes on disk of those that are kept at once.
        caches: bytes on disk by name.
        step_seconds: one step, micro-batches counted in, measured here.
        steps, hours: the whole run at that speed.
        device: where it was measured.
        free: bytes free there; None where memory is the system's.
    """

    name: str
    trainable: int
    total: int
    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int
    step_seconds: float
    steps: int
    hours: float
    device: str
    free: int | None = None
    checkpoints: int = 0
    caches: Mapping[str, int] = field(default_factory=dict)

    @property
    def memory(self) -> int:
        """Bytes on the device in all."""
        return self.weights + self.gradients + self.optimizer + self.average + self.activations

    def json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self) | {"memory": self.memory}

    def table(self) -> str:
        """The same in lines for a person."""
        room = "" if self.free is None else f" of {human(self.free)} free"
        parts = ("weights", "gradients", "optimizer", "average", "activations")
        rows = {
            "trained": f"{self.trainable:,} of {self.total:,} parameters",
            **{part: human(getattr(self, part)) for part in parts},
            "in all": f"{human(self.memory)}{room} on {self.device}",
            "checkpoints": f"{human(self.checkpoints)} on disk",
            **{f"cache {name}": human(size) for name, size in self.caches.items()},
            "speed": f"{self.step_seconds:.3g} s a step, measured here",
            "time": f"{self.hours:.3g} hours, {self.steps:,} steps",
        }
        return "\n".join([self.name, *(f"  {name:<16}{text}" for name, text in rows.items())])


def describe(
    stage: Stage, recipe: Recipe, *, device: torch.device | str = "cpu", caches: Mapping[str, int] | None = None
) -> Budget:
    """Measure a few steps of a run in a folder that is thrown away, and take them back.

    Args:
        caches: bytes on disk by name, what the run's data will take.

    Raises:
        InputError: the stage cannot do what the recipe asks.
    """
    # One micro-batch: the others take as long, and their activations' memory is the same.
    single = replace(recipe, accumulate=1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(stage, single, folder, device=device)
        with _taken_back(trainer):
            activations, seconds = _measure(trainer)
    seconds *= recipe.accumulate
    steps = recipe.steps if recipe.steps is not None else round(recipe.minutes * 60 / seconds)
    free = free_memory(trainer.device)
    trained = sum(parameter.numel() for parameter in trainer.trainable)
    average = _bytes(trainer.average.values) if trainer.average else 0
    checkpoint = _bytes(trained_tensors(trainer.module, trainer.fixed)) + 8 * trained + average
    return Budget(
        name=stage.name,
        trainable=trained,
        total=sum(parameter.numel() for parameter in stage.module.parameters()),
        weights=sum(_bytes(part.state_dict()) for part in (stage.module, *frozen(stage))),
        gradients=4 * trained,
        optimizer=8 * trained,
        average=average,
        activations=activations,
        step_seconds=seconds,
        steps=steps,
        hours=steps * seconds / 3600,
        device=str(trainer.device),
        free=free,
        checkpoints=recipe.keep * checkpoint,
        caches=caches or {},
    )


def _measure(trainer: Trainer) -> tuple[int, float]:
    """Bytes of activations, seconds a step."""
    trainer.module.train()
    with _counting(trainer) as kept:
        trainer.step()
    times = []
    for _ in range(TIMED):
        started = time.perf_counter()
        trainer.step()  # reads the loss, and so waits for the device
        times.append(time.perf_counter() - started)
    return sum(kept.values()), statistics.median(times)


@contextmanager
def _counting(trainer: Trainer) -> Iterator[dict[int, int]]:
    """Bytes of each storage that autograd keeps for the backward pass, by address; weights are not among them."""
    own = {tensor.untyped_storage().data_ptr() for tensor in _tensors(trainer)}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def _tensors(trainer: Trainer) -> Iterator[torch.Tensor]:
    for part in (trainer.module, *frozen(trainer.stage)):
        yield from part.state_dict().values()


@contextmanager
def _taken_back(trainer: Trainer) -> Iterator[None]:
    """Afterwards the stage is as it was."""
    stage, mode = trainer.stage, trainer.module.training
    tensors = trained_tensors(trainer.module, trainer.fixed)
    kept, state = {name: tensor.detach().clone() for name, tensor in tensors.items()}, state_of(stage)
    try:
        yield
    finally:
        copy_into(trainer.module, kept)
        trainer.module.train(mode)
        restore(stage, state)


def _bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
