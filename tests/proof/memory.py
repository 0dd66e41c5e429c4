"""Watching this process's memory while something runs."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

MEBIBYTE = 2**20


def resident() -> float:
    """This process's resident memory now, in MiB."""
    return psutil.Process().memory_info().rss / MEBIBYTE


class Watch:
    """How far resident memory rises above where it was at the start, phase by phase.

    Attributes:
        growth: {phase: MiB}, the highest seen in each.
    """

    def __init__(self, phase: str = "start", *, interval: float = 0.005) -> None:
        self.growth: dict[str, float] = {}
        self._phase, self._interval = phase, interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory-watch", daemon=True)

    def __enter__(self) -> Watch:
        self._before = resident()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def phase(self, name: str) -> None:
        """From now on another phase runs."""
        self._note()
        self._phase = name

    @property
    def most(self) -> float:
        return max(self.growth.values())

    def _sample(self) -> None:
        while not self._over.wait(self._interval):
            self._note()
        self._note()

    def _note(self) -> None:
        phase = self._phase
        self.growth[phase] = max(self.growth.get(phase, 0.0), resident() - self._before)
