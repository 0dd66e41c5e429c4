"""A piece of work in a thread of its own, that can be watched and stopped, and awaited from an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catvton.errors import Cancelled

if TYPE_CHECKING:
    from catvton.engines import StepReport


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How work ended: its value, or the error it raised."""

    value: Any = None
    error: Exception | None = None


class Run:
    """Work at once under way.

    Args:
        work: given `listen`, which it must call about once a second and which raises Cancelled once it is to stop.
        on_news: given each report, in the work's thread; may raise Cancelled.
        on_end: given the outcome, in the work's thread.
    """

    def __init__(self, work: Callable[[Callable[[StepReport], None]], Any], *, on_end: Callable[[Outcome], None],
                 on_news: Callable[[StepReport], None] = lambda report: None) -> None:
        self._work, self._on_news, self._on_end = work, on_news, on_end
        self._stopped = threading.Event()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._do,), name="catvton-rest", daemon=True).start()

    def stop(self) -> None:
        """Have it end at its next report. Does not wait."""
        self._stopped.set()

    def _do(self) -> None:
        try:
            outcome = Outcome(value=self._work(self._listen))
        except Exception as error:  # told to whoever waits, as the answer
            outcome = Outcome(error=error)
        self._on_end(outcome)

    def _listen(self, report: StepReport) -> None:
        if self._stopped.is_set():
            raise Cancelled("The run was stopped.")
        self._on_news(report)


async def finished(work: Callable[[Callable[[StepReport], None]], Any], *, gone: Callable[[], Any]) -> Any:
    """Do `work` and wait for its value, unless `gone()` (awaited) returns first: then it is stopped.

    Raises:
        Cancelled: the caller went away.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Outcome] = loop.create_future()

    def settle(outcome: Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    run = Run(work, on_end=lambda outcome: loop.call_soon_threadsafe(settle, outcome))
    left = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()
        run.stop()
    if not ended.done():
        raise Cancelled("The caller went away.")
    outcome = ended.result()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value
