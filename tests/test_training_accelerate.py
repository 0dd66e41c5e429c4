"""Two processes started by `torchrun` train as one would, agree on everything, and only one of them writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from catvton.errors import InputError
from catvton.training.loop import Recipe, Trainer
from catvton.training.processes import join
from tests.ports import free_port
from tests.tiny_stages import Line

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ["--nnodes", "1", "--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    folder = tmp_path_factory.mktemp("two")
    launcher = [sys.executable, "-m", "torch.distributed.run", *LAUNCH, str(free_port())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*launcher, "-m", "tests.launched", str(folder)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def two(folder: Path) -> list[dict[str, Any]]:
    """What each of them came to."""
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


def test_the_gradients_are_those_of_one_process_with_the_double_batch(two: list[dict[str, Any]]) -> None:
    """float32: sums in another order, so equal to a millionth. Each process has two micro-batches of its own."""
    seeds = [(0, 0, rank, micro) for rank in (0, 1) for micro in (0, 1)]
    parts = [Line().batch(np.random.default_rng(seed)) for seed in seeds]
    plain = Line()
    loss, _ = plain.loss(plain.module, {name: torch.cat([part[name] for part in parts]) for name in parts[0]})
    loss.backward()
    for process in two:
        for one, other in zip(process["gradients"]["gradients"], plain.module.parameters(), strict=True):
            assert torch.allclose(one, other.grad, rtol=1e-6, atol=1e-7)
        assert process["gradients"]["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)


def test_each_process_draws_its_own_batches(two: list[dict[str, Any]]) -> None:
    assert [process["count"] for process in two] == [2, 2]
    assert two[0]["gradients"]["mean"] != two[1]["gradients"]["mean"]


def test_they_begin_and_stay_equal_whatever_one_of_them_meets(two: list[dict[str, Any]]) -> None:
    """Other weights at the start, a parameter that one of them does not use, a loss that is not finite in one."""
    one, other = (process["uneven"] for process in two)
    assert torch.equal(one["weights"], other["weights"]) and one["weights"].isfinite().all()
    assert one["skipped"] == other["skipped"] == 2


def test_they_end_a_hopeless_run_together(two: list[dict[str, Any]]) -> None:
    assert [process["hopeless"] for process in two] == [{"step": 3, "code": "training.not_finite"}] * 2


def test_asking_one_of_them_to_stop_stops_both_and_both_go_on(two: list[dict[str, Any]]) -> None:
    one, other = (process["stopped"] for process in two)
    assert one["step"] == other["step"] == 4 and one["seconds"] == other["seconds"]
    parameters = one["weights"], other["weights"]
    assert torch.equal(*parameters)


def test_each_of_them_refuses_to_go_on_with_another_run(two: list[dict[str, Any]]) -> None:
    assert [process["refused"] for process in two] == [{"code": "training.other_run"}] * 2


def test_only_the_first_one_writes_reports_and_averages(folder: Path, two: list[dict[str, Any]]) -> None:
    one, other = (process["stopped"] for process in two)
    assert one["reported"] == [1, 2, 3, 4] and other["reported"] == []
    assert one["average"] and not other["average"]
    assert [path.name for path in (folder / "stopped" / "checkpoints").iterdir()] == ["00000004.pt"]
    assert [process["order"] for process in two] == [0, 1]


def test_nothing_of_the_group_runs_on_once_it_is_left(two: list[dict[str, Any]]) -> None:
    """Else a process in some dozen aborts while Python ends, and its launcher reports a failure."""
    assert [process["threads"] for process in two] == [[], []]


# ---- how it was launched ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ACCELERATE_USE_FSDP", "true", "does not use FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "does not use DEEPSPEED"),
        ("ACCELERATE_MIXED_PRECISION", "fp16", "does not use fp16"),
    ],
)
def test_ways_of_launching_it_does_not_know_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=said):
        join("cpu")


def test_the_launchers_bf16_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []

    class Watched(Line):
        def loss(self, module, batch):
            seen.append(module(batch["x"]).dtype)
            return super().loss(module, batch)

    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    Trainer(Watched(), Recipe(steps=1), tmp_path).step()
    assert seen == [torch.bfloat16]
