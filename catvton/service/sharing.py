"""The Redis that replicas share. It may go away at any time: every use of it says what to do meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from catvton.errors import SettingsError

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)

Found = TypeVar("Found")

SCHEMES = ("redis://", "rediss://", "unix://")
PATIENCE = 5.0  # seconds without a further try once it did not answer: a request must not wait for it each time
TIMEOUT = 1.0


class Away(Exception):
    """Redis does not answer just now."""


class SharedRedis:
    """A Redis that is asked only while it answers.

    Args:
        url: redis://, rediss:// or unix://, with password and database where there are any.
        patience: seconds to leave it alone after it did not answer.
        on_outage: called when it goes away.

    Raises:
        SettingsError: the address is none; the text does not repeat it, for it may hold a password.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic,
                 on_outage: Callable[[], None] = lambda: None) -> None:
        self.client = _client(url)
        self._patience, self._clock, self._on_outage = patience, clock, on_outage
        self._away_until: float | None = None
        self._guard = threading.Lock()

    def use(self, work: Callable[[redis.Redis], Found]) -> Found:
        """`work(client)`. Raises Away while it does not answer, at once within `patience` of the last failure."""
        from redis.exceptions import RedisError

        if self._away_until is not None and self._clock() < self._away_until:
            raise Away
        try:
            found = work(self.client)
        except (RedisError, OSError) as error:
            self._went(type(error).__name__)
            raise Away from error
        self._came_back()
        return found

    def close(self) -> None:
        self.client.close()

    def _went(self, why: str) -> None:
        with self._guard:
            first, self._away_until = self._away_until is None, self._clock() + self._patience
        if first:
            log.warning("Redis does not answer (%s): this process goes on with its own memory", why)
            self._on_outage()

    def _came_back(self) -> None:
        if self._away_until is None:
            return
        with self._guard:
            first, self._away_until = self._away_until is not None, None
        if first:
            log.info("Redis answers again")


def _client(url: str) -> Any:
    if not url.startswith(SCHEMES):
        raise SettingsError(f"CATVTON_REDIS_URL must begin with one of {', '.join(SCHEMES)}")
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        return redis.Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, health_check_interval=30,
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        raise SettingsError("CATVTON_REDIS_URL is no address: redis://:password@host:6379/0 is one.") from None
