"""A `TryOn` that takes its turn: the same verbs, behind the gate, counted and timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from catvton.engines import StepReport
from catvton.result import TryOnResult
from catvton.service import context

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.progress import Listener
    from catvton.result import TryOnRequest
    from catvton.service.gate import Gate, Ticket
    from catvton.service.metrics import Metrics
    from catvton.service.readiness import Readiness
    from catvton.tryon import TryOn
    from model import Mask

WAITING = "waiting"  # the stage of a report whose `step` is how many are before the caller
PAGE = "page"
EVERY = 1.0  # seconds between two reports of one who waits


@dataclass(frozen=True, kw_only=True)
class GatedTryOn:
    """Everything that uses a model goes through here, whichever door it came by.

    Each verb raises QueueFull at once where too many wait, and Closing once the server is about to end.
    """

    tryon: TryOn
    gate: Gate
    metrics: Metrics
    readiness: Readiness

    @property
    def cards(self) -> dict[str, ModelCard]:
        return self.tryon.cards

    def load(self, engine: str | None = None) -> None:
        self.tryon.load(engine)

    def stream(self, request: TryOnRequest, *, ticket: Ticket | None = None) -> Iterator[StepReport | TryOnResult]:
        """`TryOn.stream`, beginning with a report of stage "waiting" for each second before its turn.

        Args:
            ticket: a place taken earlier; None takes one at the first `next`.
        """
        return context.steady(self._stream(request, ticket))

    def _stream(self, request: TryOnRequest, ticket: Ticket | None) -> Iterator[StepReport | TryOnResult]:
        with self.metrics.run(context.route.get() or PAGE), ticket or self.gate.enter() as ticket:
            yield from _waiting(ticket)
            with closing(self.tryon.stream(_of_caller(request))) as items:
                while not isinstance(item := next(items), TryOnResult):
                    yield item
        # The turn is given on already: what becomes of the picture needs no model.
        self._finished(item)
        yield item

    def run(self, request: TryOnRequest, on_step: Listener | None = None) -> TryOnResult:
        """`TryOn.run`, in its turn. `on_step` is called in this thread, between steps: what it raises ends the run."""
        with self.metrics.run(context.route.get() or PAGE), self.gate.enter() as ticket:
            for report in _waiting(ticket):
                if on_step is not None:
                    on_step(report)
            result = self.tryon.run(_of_caller(request), on_step)
        self._finished(result)
        return result

    def mask(self, person: Any, part: str = "upper", *, engine: str | None = None, ticket: Ticket | None = None,
             on_step: Listener | None = None) -> Mask:
        """`TryOn.mask`, in its turn."""
        with self.metrics.run(context.route.get() or PAGE), ticket or self.gate.enter() as ticket:
            for report in _waiting(ticket):
                if on_step is not None:
                    on_step(report)
            named = {} if engine is None else {"engine": engine}
            return self.tryon.mask(person, part, **named)

    def _finished(self, result: TryOnResult) -> None:
        self.metrics.took(result.seconds)
        self.readiness.made(result.engine)


def _of_caller(request: TryOnRequest) -> TryOnRequest:
    """The request, for the account the work is done for where it names none."""
    return request if request.account else replace(request, account=context.account.get() or None)


def _waiting(ticket: Ticket) -> Iterator[StepReport]:
    """A report about once a second, and for whoever had to wait a last one when the turn has come: the caller may have
    gone away meanwhile, and this is the chance to say so before the work begins."""
    seconds = 0.0
    while not ticket.wait(seconds):
        yield _before(ticket)
        seconds = EVERY
    if seconds:
        yield _before(ticket)


def _before(ticket: Ticket) -> StepReport:
    return StepReport(step=ticket.place, steps=0, stage=WAITING, preview=None)
