"""Requests that are turned away before any work is done: too many, too early, by the wrong caller.

All are `InputError`s: a sentence for people, a `code` for programs, and where waiting helps `wait_seconds`.
"""

from __future__ import annotations

import math

from catvton.errors import InputError


class Refused(InputError):
    """A request that is not let in.

    Attributes:
        wait_seconds: whole seconds after which to try again, or None where waiting does not help.
    """

    def __init__(self, message: str, *, code: str, wait_seconds: float | None = None) -> None:
        super().__init__(message, code=code)
        self.wait_seconds = None if wait_seconds is None else max(1, math.ceil(wait_seconds))


class LimitReached(Refused):
    """More is asked for than the operator allows. `code` is "limit.reached".

    Args:
        wait_seconds: None where waiting does not help, because it is too much for one request.
    """

    def __init__(self, count: int, *, window: str, wait_seconds: float | None) -> None:
        pictures = "1 picture" if count == 1 else f"{count} pictures"
        wait = None if wait_seconds is None else max(1, math.ceil(wait_seconds))
        advice = "Ask for fewer at once." if wait is None else f"Please try again in {in_words(wait)}."
        super().__init__(f"You can have {pictures} {window}, and this would be more than that. {advice}",
                         code="limit.reached", wait_seconds=wait)


class QueueFull(Refused):
    """As many requests are waiting as may. `code` is "queue.full"."""

    def __init__(self, waiting: int, *, wait_seconds: float) -> None:
        super().__init__(
            f"Many people are trying things on right now, and {waiting} are waiting already. "
            f"Please try again in {in_words(max(1, math.ceil(wait_seconds)))}.",
            code="queue.full",
            wait_seconds=wait_seconds,
        )


class Closing(Refused):
    """The server is about to end. `code` is "server.closing"."""

    def __init__(self) -> None:
        super().__init__(
            "The server is being restarted. Please try again in a minute.", code="server.closing", wait_seconds=60
        )


class NotSignedIn(Refused):
    """The caller has no account, or not the one they say. `code` is "account.missing" or "account.key"."""

    def __init__(self, message: str, *, code: str = "account.missing") -> None:
        super().__init__(message, code=code)


def in_words(seconds: int) -> str:
    """42 -> "42 seconds", 600 -> "10 minutes"; rounded up to the unit."""
    for name, size in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{math.ceil(seconds / size)} {name}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"

