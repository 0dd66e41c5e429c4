"""What a run leaves to look at: a curve as a table and a picture, the newest samples, and TensorBoard's events."""

from __future__ import annotations

import csv
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from catvton.training.schedule import State

CURVE = "curve.csv"
EVERY = 20  # steps between two rows


class Journal:
    """Writes `curve.csv`, `curve.png`, `samples.png` and `tensorboard/` in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start = 0

    def begin(self, step: int) -> None:
        """Forget what was written after `step`: the run goes on from there."""
        self._start = step
        table = self.folder / CURVE
        if table.exists():
            header, *rows = csv.reader(table.read_text().splitlines())
            with table.open("w", newline="") as file:
                csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) <= step)])

    def figures(self, state: State, figures: dict[str, float]) -> None:
        """A row of the table and TensorBoard's scalars, every 20 steps."""
        if state.step % EVERY:
            return
        row = {"step": state.step, "minutes": round(state.seconds / 60, 2), "skipped": state.skipped}
        self._write(row | {name: float(f"{value:.6g}") for name, value in figures.items()})
        for name, value in figures.items():
            self._events.add_scalar(name, value, state.step)

    def samples(self, state: State, picture: Image.Image) -> None:
        """The newest samples; TensorBoard keeps them all."""
        picture.save(self.folder / "samples.png")
        self._events.add_image("samples", np.asarray(picture.convert("RGB")), state.step, dataformats="HWC")

    def close(self) -> None:
        """Write what is still held, and draw the curve."""
        if "_events" in vars(self):
            self._events.close()
            del self._events
        draw_curve(self.folder / CURVE, self.folder / "curve.png")

    @cached_property
    def _events(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self.folder / "tensorboard", purge_step=self._start + 1)

    def _write(self, row: dict[str, Any]) -> None:
        path = self.folder / CURVE
        names = path.read_text().partition("\n")[0].split(",") if path.exists() else list(row)
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=names, restval="", extrasaction="ignore")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)


def draw_curve(table: Path, picture: Path) -> None:
    """Plot the loss column of a curve file, raw and smoothed, against steps; nothing when there are no rows yet."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = list(csv.DictReader(table.read_text().splitlines())) if table.exists() else []
    if not rows:
        return
    steps, loss = np.array([(float(row["step"]), float(row["loss"])) for row in rows]).T
    width = max(1, len(loss) // 50)
    smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.plot(steps, loss, alpha=0.25)
    axes.plot(steps[width - 1 :], smooth)
    axes.set(xlabel="steps", ylabel="loss", yscale="log")
    figure.tight_layout()
    figure.savefig(picture, dpi=100)
    pyplot.close(figure)
