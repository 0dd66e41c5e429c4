"""How often one caller may ask: moving windows, several at once, here or shared through Redis."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catvton.service.refusals import LimitReached
from catvton.service.sharing import Away, SharedRedis

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, kw_only=True)
class Window:
    """At most `count` requests in any `seconds`."""

    count: int
    seconds: int

    def __str__(self) -> str:
        """ "a minute", "in 10 seconds", "a day"."""
        name, size = max(((name, size) for name, size in UNITS.items() if self.seconds % size == 0),
                         key=lambda unit: unit[1])
        number = self.seconds // size
        return f"in {number} {name}s" if number > 1 else f"{'an' if name == 'hour' else 'a'} {name}"


def read_windows(text: str) -> tuple[Window, ...]:
    """ "5/minute; 60/2 hours" as windows, the shortest first. `Settings` has checked the text."""
    windows = []
    for part in filter(None, (each.strip() for each in text.split(";"))):
        count, _, period = part.partition("/")
        number, name = _number_first(period.strip())
        windows.append(Window(count=int(count), seconds=number * UNITS[name.removesuffix("s")]))
    return tuple(sorted(windows, key=lambda window: window.seconds))


def _number_first(period: str) -> tuple[int, str]:
    digits = period[: len(period) - len(period.lstrip("0123456789"))]
    return int(digits or 1), period[len(digits):].strip()


class Limiter:
    """Counts what each caller asks for. One object serves any number of threads.

    Args:
        windows: which all must hold; none: everything is allowed.
        name: keeps this limiter's counts apart from another's in the same Redis.
        shared: where replicas count together; while it is away each counts for itself.
    """

    def __init__(self, windows: tuple[Window, ...], *, name: str, shared: SharedRedis | None = None) -> None:
        self.windows, self._name, self._shared = windows, name, shared
        self._guard = threading.Lock()
        self._local = _local() if windows else None
        self._common = _common(shared) if windows and shared else None

    def hit(self, caller: str, what: str = "", *, cost: int = 1) -> None:
        """Count one request, for as many as `cost`. Raises LimitReached, and counts nothing, where that is too many."""
        self._either(lambda limiter: self._hit(limiter, caller, what, cost))

    def check(self, caller: str, what: str = "", *, cost: int = 1) -> None:
        """Raises LimitReached where `hit` would."""
        self._either(lambda limiter: self._check(limiter, caller, what, cost))

    def forget(self, caller: str, what: str = "") -> None:
        """Start `caller`'s count again."""
        self._either(lambda limiter: [limiter.clear(_item(window), self._name, caller, what)
                                      for window in self.windows])

    def _either(self, work) -> None:
        if not self.windows:
            return
        if self._common is not None:
            try:
                self._shared.use(lambda _: work(self._common))
                return
            except Away:
                pass
        with self._guard:
            work(self._local)

    def _hit(self, limiter: MovingWindowRateLimiter, caller: str, what: str, cost: int) -> None:
        self._check(limiter, caller, what, cost)
        for window in self.windows:
            # Another replica may have come first since the check: then this request is refused too, and the shorter
            # windows have counted it, which errs on the side of the limit.
            if not limiter.hit(_item(window), self._name, caller, what, cost=cost):
                raise self._reached(limiter, window, caller, what, cost)

    def _check(self, limiter: MovingWindowRateLimiter, caller: str, what: str, cost: int) -> None:
        full = [window for window in self.windows
                if not limiter.test(_item(window), self._name, caller, what, cost=cost)]
        if full:
            raise max((self._reached(limiter, window, caller, what, cost) for window in full),
                      key=lambda reached: reached.wait_seconds or math.inf)

    def _reached(self, limiter: MovingWindowRateLimiter, window: Window, caller: str, what: str,
                 cost: int) -> LimitReached:
        if cost > window.count:
            return LimitReached(window.count, window=str(window), wait_seconds=None)
        free_at, _ = limiter.get_window_stats(_item(window), self._name, caller, what)
        return LimitReached(window.count, window=str(window), wait_seconds=free_at - time.time())


def _item(window: Window) -> RateLimitItem:
    from limits import RateLimitItemPerSecond

    return RateLimitItemPerSecond(window.count, window.seconds)


def _local() -> MovingWindowRateLimiter:
    from limits.storage import MemoryStorage
    from limits.strategies import MovingWindowRateLimiter

    return MovingWindowRateLimiter(MemoryStorage())


def _common(shared: SharedRedis) -> MovingWindowRateLimiter:
    from limits.storage import RedisStorage
    from limits.strategies import MovingWindowRateLimiter

    pool = shared.client.connection_pool
    return MovingWindowRateLimiter(RedisStorage("redis://", connection_pool=pool, key_prefix="catvton:limit"))
