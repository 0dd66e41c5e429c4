"""How long a page's runs will still take, from the steps they have taken so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catvton.web.previews import Moment


class Pace:
    """Estimates the time left. One object per press of the button."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._done = 0.0  # runs done, in parts
        self._ends = 0.0

    def left(self, moment: Moment) -> float | None:
        """Seconds until the last run ends, or None while nothing can be said: before the first step is done."""
        now = self._clock()
        if self._began is None and moment.stage == "generate":
            self._began = now
        done = self._parts(moment)
        if self._began is not None and done > self._done:
            self._done = done
            self._ends = now + (now - self._began) / done * (moment.runs - done)
        return max(0.0, self._ends - now) if self._done else None

    def _parts(self, moment: Moment) -> float:
        """Runs done. What comes before the steps of a run is counted with the run before."""
        return moment.run - 1 + (moment.step / moment.steps if moment.steps else 0.0)
