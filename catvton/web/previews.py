"""A run as the page watches it: where it is, and now and then the picture as it stands.

The picture is made in the run's own thread, between two steps: a network that is at work must not be asked by another.
What is yielded is plain data, so that the whole generator may live in another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catvton.progress import Listener, as_stream
from catvton.web.thumbnails import small_jpeg

if TYPE_CHECKING:
    from catvton.engines import StepReport
    from catvton.result import TryOnRequest, TryOnResult
    from catvton.tryon import TryOn

SIZE = (384, 512)  # a sketch fits into this (width, height)
EVERY = 1.0  # seconds between sketches, at least
SHARE = 10  # a sketch may take one part in so many of a run's time


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a run is.

    Attributes:
        stage: as in `StepReport`, or "waiting" while others are before it.
        step: steps done; steps: how many there will be.
        run: which of a page's runs this is, counted from 1; runs: how many there are.
        place: how many are before it, while it waits.
        picture: the picture as it stands, a small JPEG file, or None.
    """

    stage: str
    step: int = 0
    steps: int = 0
    run: int = 1
    runs: int = 1
    place: int = 0
    picture: bytes | None = None


class Sketcher:
    """Makes small pictures of a run at work, not too often."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._due, self._last = clock, clock() + EVERY, None

    def __call__(self, report: StepReport) -> bytes | None:
        """The picture of a step, or the last one made while a new one would come too early."""
        started = self._clock()
        if report.stage == "generate" and 0 < report.step < report.steps and started >= self._due:
            self._last = small_jpeg(report.preview(), SIZE)
            ended = self._clock()
            self._due = ended + max(EVERY, SHARE * (ended - started))
        return self._last


def watch(tryon: TryOn, request: TryOnRequest, *, sketcher: Sketcher | None = None) -> Iterator[Moment | TryOnResult]:
    """`tryon.stream` for the page: moments, then the result. Closing it stops the run."""
    sketcher = sketcher or Sketcher()

    def run(listener: Listener) -> TryOnResult:
        def tell(report: StepReport) -> None:
            listener(_moment(report, picture=sketcher(report)))

        return tryon.run(request, tell)

    return as_stream(run)


def _moment(report: StepReport, *, picture: bytes | None) -> Moment:
    if report.stage == "waiting":  # its step is the place in the line: see catvton.service.gated
        return Moment(stage=report.stage, place=report.step)
    return Moment(stage=report.stage, step=report.step, steps=report.steps, picture=picture)
