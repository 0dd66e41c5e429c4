"""Stages small enough for a second: a line to fit, with what real stages have besides."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

ROWS = 16


class Line:
    """Fits y = 2x + 1. Inputs are multiplied by `by` in the losses that `poison` counts, from 0."""

    name = "line"

    def __init__(
        self,
        *,
        module: nn.Module | None = None,
        poison: Collection[int] = (),
        by: float = float("nan"),
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.module: nn.Module = module or nn.Linear(1, 1)
        self.poison, self.by, self.seen = poison, by, 0

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        x = torch.from_numpy(rng.normal(size=(ROWS, 1)).astype(np.float32))
        return {"x": x, "y": 2 * x + 1}

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        x = batch["x"]
        if self.seen in self.poison:
            x = x * self.by
        self.seen += 1
        return (module(x) - batch["y"]).square().mean(), {"mean": float(batch["x"].mean())}

    def samples(self, module: nn.Module) -> Image.Image:
        return Image.new("RGB", (8, 8))

    def save(self, module: nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), folder / "line.pt")

    def held_out(self, module: nn.Module) -> float:
        with torch.no_grad():
            return float(self.loss(module, self.batch(np.random.default_rng(99)))[0])


class Remembering(Line):
    """Draws most of a batch from what it drew before, as `UNetStage` does; its layers draw and keep figures too."""

    def __init__(self) -> None:
        super().__init__(module=deep())
        self.drawn: list[int] = []

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        self.drawn = [*self.drawn, int(rng.integers(1000))][-4:]
        x = np.array([[self.drawn[-1] / 1000], *([rng.choice(self.drawn) / 1000] for _ in range(ROWS - 1))])
        x = torch.from_numpy(x.astype(np.float32))
        return {"x": x, "y": 2 * x + 1}

    def state(self) -> dict[str, list[int]]:
        return {"drawn": self.drawn}

    def restore(self, state: dict[str, list[int]]) -> None:
        self.drawn = list(state["drawn"])


class Partial(Line):
    """Trains the last layer alone, with a network beside it that is never trained."""

    def __init__(self) -> None:
        super().__init__(module=deep())
        self.frozen = (nn.Linear(1, 1),)

    def trainable(self) -> list[nn.Parameter]:
        return list(self.module[-1].parameters())


def deep() -> nn.Module:
    """Two layers with batch statistics and dropout between; the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1))


def weights(module: nn.Module) -> torch.Tensor:
    """All parameters in one row, copied."""
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
