"""What each process of test_training_accelerate.py does: `torchrun -m tests.launched FOLDER`.

Writes `FOLDER/RANK.pt` with what this process came to.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from catvton.errors import InputError
from catvton.training.loop import Recipe, State, Trainer
from catvton.training.processes import join
from tests.tiny_stages import Line, deep, weights


class Uneven(Line):
    """Its processes would begin with different weights, and one of them never uses the bias."""

    def __init__(self, rank: int, **options: object) -> None:
        super().__init__(**options)
        self.rank = rank
        with torch.no_grad():
            self.module.weight += rank

    def loss(self, module, batch):
        if self.rank == 0:
            return super().loss(module, batch)
        self.seen += 1
        x = batch["x"] * (float("nan") if self.seen - 1 in self.poison else 1)
        return (x @ module.weight - batch["y"]).square().mean(), {}


def gradients(folder: Path, rank: int) -> dict[str, object]:
    run = Trainer(Line(), Recipe(steps=1, accumulate=2), folder / "gradients")
    loss = run._gradients()["loss"]
    return {"gradients": [p.grad for p in run.module.parameters()], "loss": loss, "mean": batch_mean(run)}


def batch_mean(run: Trainer) -> float:
    rng = np.random.default_rng((0, 0, run.processes.rank, 0))
    return float(run.stage.batch(rng)["x"].mean())


def uneven(folder: Path, rank: int) -> dict[str, object]:
    """The second process alone meets a bad loss, twice."""
    stage = Uneven(rank, poison={2, 3} if rank == 1 else ())
    run = Trainer(stage, Recipe(steps=8, learning_rate=0.1, warmup_steps=1), folder / "uneven")
    run.run()
    return {"weights": weights(run.module), "skipped": run.state.skipped}


def hopeless(folder: Path, rank: int) -> dict[str, object]:
    run = Trainer(Line(poison=range(100) if rank == 1 else ()), Recipe(steps=9, patience=3), folder / "hopeless")
    try:
        run.run()
    except InputError as error:
        return {"step": run.state.step, "code": error.code}
    return {}


def stopped(folder: Path, rank: int) -> dict[str, object]:
    """The second process alone is asked to stop, in a run by the clock; both go on from there."""

    class Asked(Line):
        def loss(self, module, batch):
            if rank == 1 and self.seen == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(module, batch)

    def count(state: State, _: dict[str, float]) -> None:
        seen.append(state.step)

    seen: list[int] = []
    recipe = Recipe(minutes=5, learning_rate=0.1, warmup_steps=1, decay=1.0)
    first = Trainer(Asked(module=deep()), recipe, folder / "stopped")
    first.run(count)
    second = Trainer(Line(module=deep()), recipe, folder / "stopped")
    second.resume()
    second.step()
    return {
        "step": first.state.step,
        "seconds": first.state.seconds,
        "reported": seen,
        "weights": weights(second.module),
        "average": second.average is not None,
    }


def refused(folder: Path, rank: int) -> dict[str, object]:
    """A run begun with another seed; every process must say so, none may wait for the others."""
    Trainer(Line(), Recipe(steps=1), folder / "seeds").run()
    try:
        Trainer(Line(), Recipe(steps=2, seed=1), folder / "seeds").resume()
    except InputError as error:
        return {"code": error.code}
    return {}


def threads_left_behind() -> list[str]:
    """Leaves the group, for which nobody may hold it any longer; names of its threads that still run."""
    distributed.destroy_process_group()
    gc.collect()
    names = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if "gloo" in name]


def main() -> None:
    folder = Path(sys.argv[1])
    processes = join("cpu")
    with processes.main_first():
        order = len(list(folder.glob("order-*")))
        (folder / f"order-{processes.rank}").touch()
    parts = (gradients, uneven, hopeless, stopped, refused)
    found = {part.__name__: part(folder, processes.rank) for part in parts}
    found |= {"order": order, "count": processes.count, "threads": threads_left_behind()}
    torch.save(found, folder / f"{processes.rank}.pt")


if __name__ == "__main__":
    main()
