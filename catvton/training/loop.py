"""The training loop every recipe shares: time budget, averaged weights, checkpoints, a curve, sample pictures.

A recipe is a `Stage`: it owns a module, draws the batch of a given step, gives its loss and saves the trained model.
The loop knows nothing of images, parsers or diffusion. Interrupted at any moment (SIGTERM, ctrl-C, a killed process)
a run goes on from its last checkpoint: the batch of step n depends only on (seed, n).
"""

from __future__ import annotations

import csv
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import nn

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"


class Stage(Protocol):
    """What the loop needs to know of a recipe."""

    name: str
    module: nn.Module  # the trained network; buffers (batch statistics) are averaged too

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]: ...
    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]: ...
    def samples(self, module: nn.Module) -> Image.Image: ...
    def save(self, module: nn.Module, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...  # begin with a saved model's weights, not with random ones


@dataclass(frozen=True)
class Recipe:
    """Numbers of one run.

    Attributes:
        minutes: training time in all, resumed runs included.
        learning_rate: peak of the schedule: linear warm-up, constant, cosine to zero over the last `decay` of the time.
        ema: decay of the averaged weights, the ones that are saved.
        clip: gradient norm beyond which gradients are scaled down.
        bf16: compute layers in bfloat16 where PyTorch deems it safe; weights stay float32. Faster where the processor
            or the card has instructions for it, much slower where it has not.
        checkpoint_minutes: how often the state is written.
        sample_minutes: how often a sample grid is drawn.
    """

    minutes: float
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_steps: int = 100
    decay: float = 0.4
    ema: float = 0.998
    clip: float = 1.0
    bf16: bool = False
    seed: int = 0
    checkpoint_minutes: float = 3.0
    sample_minutes: float = 10.0


@dataclass
class State:
    """What a checkpoint holds besides tensors."""

    step: int = 0
    seconds: float = 0.0


class Average:
    """Exponential moving average of a module's parameters and floating-point buffers."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {k: v.detach().clone().float() for k, v in module.state_dict().items() if v.is_floating_point()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module; early steps move faster, so that the average does not remember the start."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in module.state_dict().items():
            if key in self.values:
                self.values[key].lerp_(value.float(), 1 - decay)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[nn.Module]:
        """The module in evaluation mode with averaged weights, restored afterwards."""
        kept = {k: v.detach().clone() for k, v in module.state_dict().items() if k in self.values}
        training = module.training
        module.load_state_dict({**module.state_dict(), **self.values})
        module.eval()
        try:
            yield module
        finally:
            module.load_state_dict({**module.state_dict(), **kept})
            module.train(training)


class Trainer:
    """Runs one stage for its time and leaves checkpoint, curve, samples and the saved model in `folder`."""

    def __init__(self, stage: Stage, recipe: Recipe, folder: str | Path, *, device: torch.device | str = "cpu") -> None:
        self.stage, self.recipe, self.folder = stage, recipe, Path(folder)
        self.device = torch.device(device)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.module = stage.module.to(self.device)
        self.optimizer = _optimizer(self.module, recipe)
        self.average = Average(self.module, recipe.ema)
        self.state = State()
        self._stop = False

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def resume(self) -> bool:
        """Take up the folder's checkpoint; False when there is none."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        saved = torch.load(path, map_location=self.device, weights_only=True)
        self.module.load_state_dict(saved["module"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.values = {k: v.to(self.device) for k, v in saved["average"].items()}
        self.state = State(**saved["state"])
        logger.info("%s: resumed at step %d (%.1f min)", self.stage.name, self.state.step, self.state.seconds / 60)
        return True

    def checkpoint(self) -> None:
        """Write the whole state; a kill while writing leaves the previous one intact."""
        path = self.folder / CHECKPOINT
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "module": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.values,
                "state": vars(self.state),
            },
            partial,
        )
        os.replace(partial, path)

    def export(self) -> None:
        """Save the averaged model in the form users load."""
        with self.average.applied(self.module) as module:
            self.stage.save(module, self.folder / "model")

    def draw_samples(self) -> None:
        """Draw the stage's sample grid with the averaged weights."""
        with self.average.applied(self.module) as module, torch.no_grad():
            picture = self.stage.samples(module)
        picture.save(self.folder / "samples.png")

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(self, on_step: Callable[[State, dict[str, float]], None] | None = None) -> State:
        """Train until the recipe's minutes are spent or the process is asked to stop."""
        self.module.train()
        recipe, clock = self.recipe, time.monotonic
        saved_at = sampled_at = started = clock()
        spent = self.state.seconds
        with _stop_signals(self._request_stop):
            while not self._stop and self.state.seconds < recipe.minutes * 60:
                figures = self.step()
                self.state.seconds = spent + clock() - started
                if on_step:
                    on_step(self.state, figures)
                if self.state.step % 20 == 0:
                    self._write_curve(figures)
                if clock() - saved_at > recipe.checkpoint_minutes * 60:
                    self.checkpoint()
                    saved_at = clock()
                if clock() - sampled_at > recipe.sample_minutes * 60:
                    self.draw_samples()
                    sampled_at = clock()
        self.checkpoint()
        self.draw_samples()
        self.export()
        draw_curve(self.folder / CURVE, self.folder / "curve.png")
        return self.state

    def step(self) -> dict[str, float]:
        """One optimiser step. A loss that is not finite is skipped and counted, never applied."""
        rate = self._learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((self.recipe.seed, self.state.step))
        torch_batch = {k: v.to(self.device) for k, v in self.stage.batch(rng).items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bf16):
            loss, figures = self.stage.loss(self.module, torch_batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update(self.module, self.state.step)
        else:
            logger.warning("%s: step %d skipped, gradient is not finite", self.stage.name, self.state.step)
        self.state.step += 1
        return {"loss": float(loss.detach()), "lr": rate, **figures}

    def _learning_rate(self) -> float:
        recipe = self.recipe
        warm = min(1.0, (self.state.step + 1) / recipe.warmup_steps)
        done = min(1.0, self.state.seconds / (recipe.minutes * 60))
        tail = max(0.0, (done - (1 - recipe.decay)) / recipe.decay)
        return recipe.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * tail)) * 0.99 + 0.01)

    def _write_curve(self, figures: dict[str, float]) -> None:
        path = self.folder / CURVE
        row: dict[str, Any] = {"step": self.state.step, "minutes": round(self.state.seconds / 60, 2)}
        row |= {k: round(v, 6) for k, v in figures.items()}
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def _request_stop(self) -> None:
        self._stop = True


def draw_curve(table: Path, picture: Path) -> None:
    """Plot the loss column of a curve file, raw and smoothed, against minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    if not table.exists():
        return
    with table.open() as file:
        rows = [(float(r["minutes"]), float(r["loss"])) for r in csv.DictReader(file)]
    minutes, loss = np.array(rows).T
    width = max(1, len(loss) // 50)
    smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.plot(minutes, loss, alpha=0.25)
    axes.plot(minutes[width - 1 :], smooth)
    axes.set(xlabel="minutes", ylabel="loss", yscale="log")
    figure.tight_layout()
    figure.savefig(picture, dpi=100)
    pyplot.close(figure)


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation weights are not decayed."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.99))


@contextmanager
def _stop_signals(request: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM ask the loop to finish its step and write a checkpoint; only in the main thread."""
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {s: signal.signal(s, lambda *_: request()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
