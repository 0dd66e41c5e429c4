"""The training loop on a regression small enough for a second: resume, averages, bad gradients, files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from catvton.training.balance import balancing_bias, mean_iou
from catvton.training.loop import Average, Recipe, State, Trainer


class Line:
    """A stage that fits y = 2x + 1; `poison` names steps whose loss is not finite."""

    name = "line"

    def __init__(self, poison: tuple[int, ...] = ()) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = nn.Linear(1, 1)
        self.poison, self.seen = poison, 0

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        x = torch.from_numpy(rng.normal(size=(16, 1)).astype(np.float32))
        return {"x": x, "y": 2 * x + 1}

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        loss = (module(batch["x"]) - batch["y"]).square().mean()
        self.seen += 1
        return (loss * float("nan") if self.seen - 1 in self.poison else loss), {"mean": float(batch["x"].mean())}

    def samples(self, module: nn.Module) -> Image.Image:
        return Image.new("RGB", (8, 8))

    def save(self, module: nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), folder / "line.pt")


def trainer(folder: Path, **options: float) -> Trainer:
    recipe = Recipe(minutes=60, learning_rate=0.1, warmup_steps=1, weight_decay=0.0, ema=0.9, **options)
    return Trainer(Line(), recipe, folder)


def weights(of: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in of.module.parameters()])


def test_it_learns(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    losses = [run.step()["loss"] for _ in range(150)]
    assert losses[-1] < 1e-3 < losses[0]


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    for _ in range(20):
        whole.step()
    first = trainer(tmp_path / "cut")
    for _ in range(9):
        first.step()
    first.checkpoint()
    second = trainer(tmp_path / "cut")
    assert second.resume() and second.state.step == 9
    for _ in range(11):
        second.step()
    assert torch.equal(weights(whole), weights(second))
    assert all(torch.equal(whole.average.values[k], second.average.values[k]) for k in whole.average.values)


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    assert not trainer(tmp_path).resume()


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    run = Trainer(Line(poison=(1,)), Recipe(minutes=1, learning_rate=0.1), tmp_path)
    run.step()
    before = weights(run).clone()
    run.step()
    assert torch.equal(before, weights(run)) and run.state.step == 2
    run.step()
    assert not torch.equal(before, weights(run)) and torch.isfinite(weights(run)).all()


def test_the_run_stops_by_its_time_and_leaves_everything(tmp_path: Path) -> None:
    run = Trainer(Line(), Recipe(minutes=0.01, learning_rate=0.01), tmp_path)
    state = run.run()
    assert state.seconds >= 0.6 and state.step > 0
    names = {p.name for p in tmp_path.iterdir()}
    assert {"checkpoint.pt", "curve.csv", "curve.png", "samples.png", "model"} <= names
    with (tmp_path / "curve.csv").open() as file:
        assert [int(r["step"]) for r in csv.DictReader(file)] == list(range(20, state.step + 1, 20))


def test_the_schedule_warms_up_holds_and_falls(tmp_path: Path) -> None:
    run = Trainer(Line(), Recipe(minutes=10, learning_rate=1.0, warmup_steps=10, decay=0.5), tmp_path)
    rates = []
    for step, seconds in ((0, 0.0), (50, 200.0), (100, 450.0), (200, 600.0)):
        run.state = State(step, seconds)
        rates.append(run._learning_rate())
    assert rates[0] == pytest.approx(0.1) and rates[1] == pytest.approx(1.0)
    assert 0.4 < rates[2] < 0.6 and rates[3] == pytest.approx(0.01)


def test_the_average_is_applied_and_taken_back() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(module, 0.5)
    with torch.no_grad():
        module[0].weight.add_(1.0)
    average.update(module, step=1000)
    kept = module[0].weight.clone()
    with average.applied(module) as averaged:
        assert torch.allclose(averaged[0].weight, kept - 0.5) and not averaged.training
    assert torch.equal(module[0].weight, kept) and module.training


def test_balancing_finds_the_bias_that_was_taken_away() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 32, 24))
    logits = np.eye(3)[labels].transpose(0, 3, 1, 2) * 2 + rng.normal(0, 0.8, (4, 3, 32, 24))
    best = mean_iou(labels, logits.argmax(1), classes=3)
    skewed = logits + np.array([0, -1.5, 0.5])[None, :, None, None]
    bias = balancing_bias(skewed, labels)
    reached = mean_iou(labels, (skewed + bias[None, :, None, None]).argmax(1), classes=3)
    assert mean_iou(labels, skewed.argmax(1), classes=3) < best - 0.1
    assert reached > best - 0.02 and bias[0] == 0


def test_mean_iou_by_hand() -> None:
    labels, guess = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert mean_iou(labels, guess, classes=2) == pytest.approx((1 / 2 + 2 / 3) / 2)
