"""Signing in with a password: slowly for those who guess, in moving windows per name and per address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from catvton.service.limits import Limiter, Window
from catvton.service.refusals import LimitReached, Refused, in_words

if TYPE_CHECKING:
    from catvton.service.accounts import Accounts
    from catvton.service.sharing import SharedRedis

log = logging.getLogger(__name__)

PER_NAME = (Window(count=10, seconds=300), Window(count=50, seconds=86400))
PER_ADDRESS = (Window(count=30, seconds=300), Window(count=300, seconds=86400))
AT_ONCE = 2  # argon2 takes 64 MiB for each


class TooManyLogins(Refused):
    """Too many wrong passwords lately. `code` is "login.throttled"."""

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"There were too many wrong passwords. Please try again in {in_words(wait_seconds)}.",
                         code="login.throttled", wait_seconds=wait_seconds)


class Logins:
    """Checks passwords for the page's login. Attempts count before they are checked, so that none slips through."""

    def __init__(self, accounts: Accounts, *, shared: SharedRedis | None = None) -> None:
        self._accounts = accounts
        self._names = Limiter(PER_NAME, name="login name", shared=shared)
        self._addresses = Limiter(PER_ADDRESS, name="login address", shared=shared)
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def check(self, name: str, password: str, *, address: str) -> bool:
        """Whether the password is right. Raises TooManyLogins."""
        async with self._at_once:
            return await asyncio.to_thread(self._check, name.strip().lower(), password, address)

    def _check(self, name: str, password: str, address: str) -> bool:
        try:
            self._addresses.check(address)
            self._names.hit(name)
        except LimitReached as reached:
            log.warning("a login was turned away: too many wrong passwords")
            raise TooManyLogins(reached.wait_seconds) from None
        if self._accounts.opens(name, password):
            self._names.forget(name)
            return True
        self._count_against(address)
        return False

    def _count_against(self, address: str) -> None:
        with contextlib.suppress(LimitReached):  # another attempt of the same moment filled it
            self._addresses.hit(address)
