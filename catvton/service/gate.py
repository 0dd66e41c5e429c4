"""One generation at a time, in the order of arrival, whichever door the request came through.

Gradio's queue knows only gradio's events, so its own limit would let a caller of the REST door in beside them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from catvton.service.refusals import Closing, QueueFull

FIRST_GUESS = 10.0  # seconds a run takes, until one was measured


class Ticket:
    """A place in the line. Use it as a context, or call `leave` when done or when nobody waits any more."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    @property
    def place(self) -> int:
        """How many are before this one; 0: it is its turn."""
        return self._gate._place(self)

    def wait(self, seconds: float) -> bool:
        """Wait for the turn for at most that long; whether it has come. Raises Closing when it never will."""
        return self._gate._wait(self, seconds)

    def leave(self) -> None:
        """Give the place, or the turn, to the next. May be called twice."""
        self._gate._leave(self)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


class Gate:
    """A line of tickets, of which the first is at work.

    Args:
        waiting: how many may wait behind the one at work.
    """

    def __init__(self, waiting: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = waiting, clock
        self._line: deque[Ticket] = deque()
        self._moved = threading.Condition()
        self._closed = False
        self._since = 0.0
        self._usual = FIRST_GUESS

    def enter(self) -> Ticket:
        """A place at the end of the line. Raises QueueFull or Closing instead; never waits."""
        with self._moved:
            self._refuse()
            ticket = Ticket(self)
            self._line.append(ticket)
            if len(self._line) == 1:
                self._since = self._clock()
            return ticket

    def check(self) -> None:
        """Raises what `enter` would raise."""
        with self._moved:
            self._refuse()

    @property
    def running(self) -> int:
        """1 while somebody is at work, else 0."""
        return min(1, len(self._line))

    @property
    def usual(self) -> float:
        """Seconds a run takes, by those before."""
        return self._usual

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def waiting(self) -> int:
        return max(0, len(self._line) - 1)

    def close(self) -> None:
        """Let nobody in any more, and send away everybody who waits; the one at work goes on."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def drained(self, seconds: float) -> bool:
        """Wait for the line to be empty, at most that long; whether it is."""
        with self._moved:
            return self._moved.wait_for(lambda: not self._line, timeout=seconds)

    def _refuse(self) -> None:
        if self._closed:
            raise Closing
        if len(self._line) > self._most:
            raise QueueFull(self._most, wait_seconds=self._usual)

    def _place(self, ticket: Ticket) -> int:
        with self._moved:
            return self._line.index(ticket) if ticket in self._line else 0

    def _wait(self, ticket: Ticket, seconds: float) -> bool:
        with self._moved:
            self._moved.wait_for(lambda: self._closed or self._line[0] is ticket, timeout=seconds)
            if self._line[0] is ticket:
                return True
            if self._closed:
                raise Closing
            return False

    def _leave(self, ticket: Ticket) -> None:
        with self._moved:
            if ticket not in self._line:
                return
            if self._line[0] is ticket:
                self._usual += (self._clock() - self._since - self._usual) / 4
                self._since = self._clock()
            self._line.remove(ticket)
            self._moved.notify_all()
