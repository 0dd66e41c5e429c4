"""A run told as it happens: stages timed and reported, and any run turned into a generator of reports."""

from __future__ import annotations

import contextlib
import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from catvton.engines import StepReport
from catvton.errors import Cancelled

if TYPE_CHECKING:
    from PIL import Image

Listener = Callable[[StepReport], None]
Result = TypeVar("Result")

HEARTBEAT = 1.0  # seconds


class Progress:
    """Times each stage of one run and tells the listener; what the listener raises ends the run.

    Attributes:
        seconds: {stage: seconds} of the stages done so far, in their order.
    """

    def __init__(self, listener: Listener | None, *, steps: int) -> None:
        self.seconds: dict[str, float] = {}
        self._listener, self._steps, self._done = listener, steps, 0

    @contextlib.contextmanager
    def stage(self, name: str, *, preview: Image.Image | None = None) -> Iterator[None]:
        """Time a stage; with a `preview` its beginning is reported too."""
        if preview is not None:
            self._tell(StepReport(step=self._done, steps=self._steps, stage=name, preview=lambda: preview))
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def steps(self, finish: Callable[[Image.Image], Image.Image]) -> Listener:
        """A listener for one `Engine.generate`: counts on from earlier ones; previews go through `finish`."""
        before = self._done

        def listen(report: StepReport) -> None:
            self._done = before + report.step
            made = report.preview
            self._tell(replace(report, step=self._done, steps=self._steps, preview=lambda: finish(made())))

        return listen

    def _tell(self, report: StepReport) -> None:
        if self._listener is not None:
            self._listener(report)


def as_stream(run: Callable[[Listener], Result]) -> Iterator[StepReport | Result]:
    """Do `run(listener)` in a thread of its own; yield its reports, then what it returns.

    While nothing new happens the last report comes again every second, so that a caller who wants to stop gets the
    chance to. Closing the generator makes the run raise `Cancelled` at its next report, and waits for it to end.
    """
    news: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
    stopped = threading.Event()

    def listen(report: StepReport) -> None:
        if stopped.is_set():
            raise Cancelled("The run was stopped.")
        news.put(("report", report))

    def work() -> None:
        try:
            news.put(("result", run(listen)))
        except BaseException as error:  # raised again below, in the caller's thread
            news.put(("error", error))

    # In the caller's context, so that what the run writes to the log can be told apart from other runs'.
    worker = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="catvton-run", daemon=True)
    worker.start()
    try:
        yield from _until_done(news)
    finally:
        stopped.set()
        worker.join()


def _until_done(news: queue.SimpleQueue[tuple[str, object]]) -> Iterator[object]:
    last = None
    while True:
        try:
            kind, item = news.get(timeout=HEARTBEAT)
        except queue.Empty:
            if last is not None:
                yield last
            continue
        if kind == "error":
            raise item
        yield item
        if kind == "result":
            return
        last = item
