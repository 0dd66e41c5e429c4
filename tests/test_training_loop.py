"""The training loop on regressions small enough for a second: learning, resume, bad gradients, options, files."""

from __future__ import annotations

import csv
import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from catvton.errors import InputError, WeightsError
from catvton.training.average import Average
from catvton.training.balance import balancing_bias, mean_iou
from catvton.training.checkpoint import Checkpoints
from catvton.training.loop import Recipe, State, Trainer
from catvton.training.schedule import learning_rate
from tests.tiny_stages import Line, Partial, Remembering, deep, weights

QUICK = Recipe(steps=6, learning_rate=0.1, warmup_steps=1, weight_decay=0.0, ema=0.9, checkpoint_minutes=0)


def trainer(folder: Path, stage: Line | None = None, **changes: object) -> Trainer:
    return Trainer(stage or Line(), replace(QUICK, **changes), folder)


def test_it_learns(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=1000)
    losses = [run.step()["loss"] for _ in range(150)]
    assert losses[-1] < 1e-3 < losses[0]


# ---- resume ----------------------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def killed_at(step: int):
    def on_step(state: State, _: dict[str, float]) -> None:
        if state.step == step:
            raise Killed

    return on_step


def same(one: object, other: object) -> bool:
    """Equal bit for bit, all the way down."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def everything(run: Trainer) -> dict[str, object]:
    """Weights, statistics, averages, the optimiser's state and the stage's own."""
    return {
        "module": run.module.state_dict(),
        "average": run.average.values,
        "optimizer": run.optimizer.state_dict(),
        "stage": run.stage.state(),
        "step": run.state.step,
    }


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, object]:
    """The run that nothing interrupts, six steps."""
    run = trainer(tmp_path / "whole", Remembering())
    run.run()
    return everything(run)


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path, whole: dict[str, object]) -> None:
    with pytest.raises(Killed):
        trainer(tmp_path, Remembering()).run(killed_at(4))
    second = trainer(tmp_path, Remembering())
    assert second.resume() and second.state.step == 3
    torch.rand(1)  # what others draw is nothing to it
    second.run()
    assert same(everything(second), whole)


def test_a_run_asked_to_stop_writes_what_it_has_and_goes_on(tmp_path: Path, whole: dict[str, object]) -> None:
    def on_step(state: State, _: dict[str, float]) -> None:
        if state.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    first = trainer(tmp_path, Remembering(), checkpoint_minutes=60)
    before = signal.getsignal(signal.SIGTERM)
    assert first.run(on_step).step == 2 and not first.done
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "model" / "line.pt").is_file()
    second = trainer(tmp_path, Remembering())
    assert second.resume()
    second.run()
    assert second.done and same(everything(second), whole)


def test_drawing_samples_changes_nothing(tmp_path: Path, whole: dict[str, object]) -> None:
    run = trainer(tmp_path, Remembering(), sample_minutes=0)
    run.run()
    assert same(everything(run), whole)


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    assert not trainer(tmp_path).resume()


def test_a_run_is_not_begun_over_another(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    with pytest.raises(InputError, match="step 6: add --resume") as refused:
        trainer(tmp_path).run()
    assert refused.value.code == "training.folder"


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    for module in (nn.Linear(1, 1, bias=False), nn.Sequential(nn.Linear(1, 1)), nn.Linear(1, 2)):
        with pytest.raises(WeightsError, match="another network"):
            trainer(tmp_path, Line(module=module)).resume()


@pytest.mark.parametrize(
    ("changes", "said"), [({"seed": 5}, "a run with seed 0:"), ({"accumulate": 2}, "a run with accumulate 1:")]
)
def test_a_run_does_not_go_on_with_what_would_make_it_another(
    tmp_path: Path, changes: dict[str, int], said: str
) -> None:
    trainer(tmp_path).run()
    with pytest.raises(InputError, match=said) as refused:
        trainer(tmp_path, **changes).resume()
    assert refused.value.code == "training.other_run"


def test_a_run_does_not_go_on_with_another_recipe_of_its_stage(tmp_path: Path) -> None:
    class Chosen(Line):
        def __init__(self, **chosen: object) -> None:
            super().__init__()
            self.chosen = chosen

        def identity(self) -> dict[str, object]:
            return self.chosen

    trainer(tmp_path, Chosen(batch=4, region=None)).run()
    assert trainer(tmp_path, Chosen(batch=4, region=None)).resume()
    with pytest.raises(InputError, match="a run with batch 4, region None: give"):
        trainer(tmp_path, Chosen(batch=8)).resume()


def test_changed_options_of_the_optimiser_count_after_a_resume(tmp_path: Path) -> None:
    trainer(tmp_path).run()
    second = trainer(tmp_path, steps=9, betas=(0.5, 0.6))
    second.resume()
    assert all(group["betas"] == (0.5, 0.6) for group in second.optimizer.param_groups)
    assert float(second.optimizer.state_dict()["state"][0]["step"]) == 6


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def test_the_last_checkpoints_stay(tmp_path: Path) -> None:
    trainer(tmp_path, keep=3).run()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        f"{step:08d}.pt" for step in (4, 5, 6)
    ]


def test_a_failed_write_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.write(1, {"step": 1})

    def full(_: object, file) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        checkpoints.write(2, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.pt"]
    assert checkpoints.read() == {"step": 1}


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.write(7, {"weights": torch.zeros(1000)})
    path = tmp_path / "00000007.pt"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(WeightsError, match=r"00000007\.pt is damaged"):
        checkpoints.read()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"garbage, not a checkpoint", b"PK\x03\x04" + bytes(200), pickle.dumps(Path("x"), protocol=2)],
    ids=["empty", "cut", "text", "zip", "other-pickle"],
)
def test_a_file_that_is_no_checkpoint_is_named_too(tmp_path: Path, content: bytes) -> None:
    run = trainer(tmp_path)
    run.checkpoints.folder.mkdir()
    run.checkpoints.folder.joinpath("00000007.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"00000007\.pt is damaged"):
        run.resume()


@pytest.mark.parametrize("content", [[1, 2], {"module": {}, "state": {"step": 1}}], ids=["list", "parts-missing"])
def test_a_checkpoint_of_another_program_is_named(tmp_path: Path, content: object) -> None:
    run = trainer(tmp_path)
    run.checkpoints.write(3, content)
    with pytest.raises(WeightsError, match=r"00000003\.pt is not a checkpoint of this version"):
        run.resume()


# ---- loss and gradients that are not finite --------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "by"), [(deep, float("nan")), (deep, float("inf")), (lambda: nn.Linear(1, 1), 1e30)])
def test_a_loss_that_is_not_finite_changes_nothing(tmp_path: Path, make: Callable[[], nn.Module], by: float) -> None:
    """Neither weights nor batch statistics nor averages; 1e30 overflows in the loss alone."""
    run = trainer(tmp_path, Line(module=make(), poison={1}, by=by))
    run.step()
    before = {name: tensor.clone() for name, tensor in run.module.state_dict().items()}
    averaged = {name: tensor.clone() for name, tensor in run.average.values.items()}
    run.step()
    assert same(run.module.state_dict(), before) and same(run.average.values, averaged)
    assert (run.state.step, run.state.skipped, run.state.bad) == (2, 1, 1)
    run.step()
    assert not same(run.module.state_dict(), before)
    assert all(tensor.isfinite().all() for tensor in run.module.state_dict().values()) and run.state.bad == 0


def test_an_infinite_loss_with_finite_gradients_is_not_applied(tmp_path: Path) -> None:
    class Shifted(Line):
        def loss(self, module, batch):
            loss, figures = super().loss(module, batch)
            return loss + float("inf"), figures

    run = trainer(tmp_path, Shifted())
    before = weights(run.module)
    run.step()
    assert torch.equal(weights(run.module), before) and run.state.skipped == 1


def test_too_many_in_a_row_end_the_run_with_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = trainer(tmp_path, Line(poison=range(4, 100)), steps=50, patience=3)
    with pytest.raises(InputError, match=r"3 steps in a row, up to step 7.*00000004\.pt.*lower learning rate") as ended:
        run.run()
    assert ended.value.code == "training.not_finite"
    assert max(path.name for path in (tmp_path / "checkpoints").iterdir()) == "00000004.pt"


def test_bad_steps_now_and_then_do_not_end_it(tmp_path: Path) -> None:
    run = trainer(tmp_path, Line(poison={1, 2, 4, 5, 7, 8}), steps=10, patience=3)
    assert run.run().skipped == 6


# ---- options ---------------------------------------------------------------------------------------------------------


def test_a_step_is_adamws(tmp_path: Path) -> None:
    """By hand: clipped gradient, then AdamW's first step, where both averages are the gradient's own."""
    run = trainer(tmp_path, betas=(0.8, 0.7), eps=0.5, weight_decay=0.1, clip=0.25, decay=0.0)
    x, y = Line().batch(np.random.default_rng((0, 0, 0, 0))).values()
    weight, bias = weights(run.module).tolist()
    error = weight * x + bias - y
    gradient = np.array([float((2 * error * x).mean()), float((2 * error).mean())])
    gradient *= min(1.0, 0.25 / np.linalg.norm(gradient))
    moved = 0.1 * gradient / (np.abs(gradient) + 0.5)
    run.step()
    after = weights(run.module).tolist()
    assert after == pytest.approx([weight * (1 - 0.1 * 0.1) - moved[0], bias - moved[1]], rel=1e-5)


def test_micro_batches_make_one_step(tmp_path: Path) -> None:
    """Two of them have the gradient of the batch that holds both."""
    run = trainer(tmp_path, accumulate=2)
    figures = run._gradients()
    parts = [Line().batch(np.random.default_rng((0, 0, 0, micro))) for micro in (0, 1)]
    both = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    plain = Line()
    loss, _ = plain.loss(plain.module, both)
    loss.backward()
    for one, other in zip(run.module.parameters(), plain.module.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-6)
    assert figures["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)


def test_what_is_not_trained_stays_and_is_not_kept(tmp_path: Path) -> None:
    stage = Partial()
    run = trainer(tmp_path, stage)
    before = weights(run.module[0])
    run.run()
    assert torch.equal(weights(run.module[0]), before) and not torch.equal(weights(run.module), weights(deep()))
    assert not any(parameter.requires_grad for parameter in stage.frozen[0].parameters())
    kept = run.checkpoints.read()
    assert {"0.weight", "1.weight"}.isdisjoint(kept["module"].keys() | kept["average"].keys())
    assert {"4.weight", "1.running_mean"} <= kept["module"].keys() & kept["average"].keys()
    second = trainer(tmp_path, Partial())
    assert second.resume() and torch.equal(weights(second.module), weights(run.module))


def test_trained_weights_in_half_precision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="float32"):
        trainer(tmp_path, Line(module=nn.Linear(1, 1).bfloat16()))


def test_bf16_computes_in_it_and_keeps_float32(tmp_path: Path) -> None:
    seen = []

    class Watched(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result = super().forward(x)
            seen.append(result.dtype)
            return result

    run = trainer(tmp_path, Line(module=Watched(1, 1)), bf16=True)
    run.run()
    assert set(seen) == {torch.bfloat16} and run.module.weight.dtype == torch.float32
    assert all(value["exp_avg"].dtype == torch.float32 for value in run.optimizer.state.values())


def test_without_an_average_the_weights_are_saved_as_they_are(tmp_path: Path) -> None:
    run = trainer(tmp_path, ema=None)
    run.run()
    saved = torch.load(tmp_path / "model" / "line.pt", weights_only=True)
    assert same(saved, run.module.state_dict())


def test_with_an_average_it_is_what_is_saved(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    run.run()
    saved = torch.load(tmp_path / "model" / "line.pt", weights_only=True)
    assert same(saved, run.average.values) and not same(saved, run.module.state_dict())


def test_gradient_checkpointing_is_switched_on_where_there_is_one(tmp_path: Path) -> None:
    asked = []

    class Able(Line):
        def enable_checkpointing(self) -> None:
            asked.append(self)

    trainer(tmp_path / "off", Able())
    assert asked == []
    trainer(tmp_path / "on", Able(), gradient_checkpointing=True)
    assert len(asked) == 1
    with pytest.raises(InputError, match="no gradient checkpointing"):
        trainer(tmp_path / "none", gradient_checkpointing=True)


@pytest.mark.parametrize("length", [{}, {"minutes": 1.0, "steps": 1}])
def test_a_length_is_minutes_or_steps(length: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="minutes or in steps"):
        Recipe(**length)


# ---- schedule --------------------------------------------------------------------------------------------------------


def test_by_time_it_warms_up_holds_and_falls() -> None:
    recipe = Recipe(minutes=10, learning_rate=1.0, warmup_steps=10, decay=0.5)
    states = (State(0, 0.0), State(50, 200.0), State(100, 450.0), State(200, 600.0))
    rates = [learning_rate(recipe, state) for state in states]
    assert rates[0] == pytest.approx(0.1) and rates[1] == pytest.approx(1.0)
    assert 0.4 < rates[2] < 0.6 and rates[3] == pytest.approx(0.01)


def test_by_steps_the_clock_does_not_matter() -> None:
    recipe = Recipe(steps=100, learning_rate=1.0, warmup_steps=10, decay=0.5)
    assert learning_rate(recipe, State(75, 0.0)) == learning_rate(recipe, State(75, 1e6)) == pytest.approx(0.505)
    assert learning_rate(recipe, State(100)) == pytest.approx(0.01)


def test_without_decay_the_rate_is_constant_after_warming_up() -> None:
    recipe = Recipe(steps=100, learning_rate=2.0, warmup_steps=4, decay=0.0)
    assert [learning_rate(recipe, State(step)) for step in (0, 1, 3, 50, 99)] == [0.5, 1.0, 2.0, 2.0, 2.0]


# ---- what is left to look at -----------------------------------------------------------------------------------------


def test_the_run_stops_by_its_time_and_leaves_everything(tmp_path: Path) -> None:
    state = trainer(tmp_path, steps=None, minutes=0.01, checkpoint_minutes=60).run()
    assert state.seconds >= 0.6 and state.step > 0
    names = {p.name for p in tmp_path.iterdir()}
    assert {"checkpoints", "tensorboard", "curve.csv", "curve.png", "samples.png", "model"} <= names
    assert steps_of(tmp_path) == list(range(20, state.step + 1, 20))


def steps_of(folder: Path) -> list[int]:
    with (folder / "curve.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_the_curve_goes_on_where_the_run_does(tmp_path: Path) -> None:
    """Rows after the last checkpoint are forgotten, and written again."""

    def on_step(state: State, _: dict[str, float]) -> None:
        if state.step == 50:
            run.recipe = replace(run.recipe, checkpoint_minutes=60)
        if state.step == 85:
            raise Killed

    run = trainer(tmp_path, steps=100)
    with pytest.raises(Killed):
        run.run(on_step)
    assert steps_of(tmp_path) == [20, 40, 60, 80]
    second = trainer(tmp_path, steps=100)
    second.resume()
    assert second.state.step == 49
    second.run()
    assert steps_of(tmp_path) == [20, 40, 60, 80, 100]


def test_tensorboard_shows_the_figures_and_the_samples(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(tmp_path, steps=40).run()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss", "lr", "norm", "mean"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss")] == [20, 40]
    assert [image.step for image in events.Images("samples")] == [40]


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
