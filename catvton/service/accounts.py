"""Accounts and API keys in the database. Passwords are kept as argon2 hashes, keys as SHA-256 of 256 random bits.

What is in the database lets nobody in: a password cannot be had back from it, and a key is shown once, when it is made.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from catvton.errors import InputError
from catvton.records.errors import RecordsError
from catvton.service.refusals import Refused

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Connection, Engine

    from catvton.settings import Settings

log = logging.getLogger(__name__)

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
SHORTEST, LONGEST = 8, 1000  # characters of a password
KEY_PREFIX = "catvton_"
KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account, for a list. `created` is in UTC; `password` says whether it has one."""

    name: str
    created: datetime
    password: bool
    keys: int


@dataclass(frozen=True, kw_only=True)
class Key:
    """One API key, for a list: its id, not the key."""

    id: str
    created: datetime


class AccountsAway(Refused):
    """The database does not answer, so nobody can be let in. `code` is "accounts.away"."""

    def __init__(self) -> None:
        super().__init__("Accounts cannot be looked up just now. Please try again in a few seconds.",
                         code="accounts.away", wait_seconds=5)


class Accounts:
    """The accounts in one database. Every method is one transaction and may be called from any thread.

    Nothing is connected before the first call. Each raises AccountsAway while the database does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        from catvton.service.account_tables import accounts, api_keys

        self._engine, self._accounts, self._keys = engine, accounts, api_keys
        self._guard, self._current = threading.Lock(), False

    @classmethod
    def of(cls, settings: Settings) -> Accounts:
        """Those in the database the settings name. Raises SettingsError for an address that is none."""
        from catvton.records.database import open_database

        return cls(open_database(settings))

    def close(self) -> None:
        self._engine.dispose()

    # ---- for the operator --------------------------------------------------------------------------------------------

    def add(self, name: str, password: str | None) -> str:
        """Make an account; without a password it can only be used through its API keys. Returns its name as kept.

        Raises:
            InputError: there is one of that name, or the name or the password cannot be used.
        """
        name, hashed = checked_name(name), None if password is None else _hasher().hash(checked_password(password))
        with self._transaction() as work:
            if self._row(work, name) is not None:
                raise InputError(f'There is an account "{name}" already.', code="account.taken")
            work.execute(self._accounts.insert().values(name=name, password=hashed, created=datetime.now(UTC)))
        return name

    def list(self) -> list[Account]:
        """Every account, by name."""
        from sqlalchemy import func, select

        count = select(self._keys.c.account, func.count().label("number")).group_by(self._keys.c.account).subquery()
        rows = select(self._accounts, func.coalesce(count.c.number, 0)).outerjoin(
            count, count.c.account == self._accounts.c.name).order_by(self._accounts.c.name)
        with self._transaction() as work:
            return [Account(name=name, created=created, password=password is not None, keys=keys)
                    for name, password, created, keys in work.execute(rows)]

    def remove(self, name: str) -> None:
        """Remove an account and its keys: sessions and keys of it end at once. Raises InputError if there is none."""
        with self._transaction() as work:
            self._known(work, name)
            work.execute(self._keys.delete().where(self._keys.c.account == name))
            work.execute(self._accounts.delete().where(self._accounts.c.name == name))

    def set_password(self, name: str, password: str) -> None:
        """Raises InputError if there is no such account or the password cannot be used."""
        hashed = _hasher().hash(checked_password(password))
        with self._transaction() as work:
            self._known(work, name)
            work.execute(self._accounts.update().where(self._accounts.c.name == name).values(password=hashed))

    def new_key(self, name: str) -> tuple[Key, str]:
        """Make an API key: what a list shows of it, and the key itself, which is not kept. Raises InputError."""
        key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
        made = Key(id=secrets.token_hex(4), created=datetime.now(UTC))
        with self._transaction() as work:
            self._known(work, name)
            work.execute(self._keys.insert().values(id=made.id, account=name, sha256=_digest(key),
                                                    created=made.created))
        return made, key

    def keys(self, name: str) -> list[Key]:
        """The keys of an account, the oldest first. Raises InputError if there is no such account."""
        from sqlalchemy import select

        rows = select(self._keys.c.id, self._keys.c.created).where(self._keys.c.account == name)
        with self._transaction() as work:
            self._known(work, name)
            return [Key(id=number, created=created) for number, created in work.execute(
                rows.order_by(self._keys.c.created))]

    def revoke(self, name: str, key_id: str) -> None:
        """Make a key worthless. Raises InputError if the account has no such key."""
        chosen = (self._keys.c.account == name) & (self._keys.c.id == key_id)
        with self._transaction() as work:
            if work.execute(self._keys.delete().where(chosen)).rowcount == 0:
                raise InputError(f'The account "{name}" has no key "{key_id}".', code="account.key")

    # ---- for the doors -----------------------------------------------------------------------------------------------

    def exists(self, name: str) -> bool:
        with self._transaction() as work:
            return self._row(work, name) is not None

    def opens(self, name: str, password: str) -> bool:
        """Whether the password is the account's. Takes as long for an account that does not exist."""
        from argon2.exceptions import VerificationError

        with self._transaction() as work:
            row = self._row(work, name)
        hashed = row.password if row is not None else None
        try:
            right = _hasher().verify(hashed or _nobodys_hash(), password[:LONGEST])
        except VerificationError:
            return False
        if right and hashed and _hasher().check_needs_rehash(hashed):
            self.set_password(name, password)
        return right and hashed is not None

    def of_key(self, key: str) -> str | None:
        """The name of the account an API key belongs to, or None."""
        from sqlalchemy import select

        with self._transaction() as work:
            return work.execute(select(self._keys.c.account).where(self._keys.c.sha256 == _digest(key))).scalar()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._bring_up_to_date()
            with self._engine.begin() as work:
                yield work
        except (SQLAlchemyError, RecordsError, OSError) as error:
            log.error("the accounts' database does not answer (%s)", type(getattr(error, "orig", error)).__name__)
            raise AccountsAway from error

    def _bring_up_to_date(self) -> None:
        from catvton.records.migrations import upgrade

        with self._guard:
            if not self._current:
                with self._engine.begin() as work:
                    upgrade(work)
                self._current = True

    def _row(self, work: Connection, name: str):
        from sqlalchemy import select

        return work.execute(select(self._accounts).where(self._accounts.c.name == name)).first()

    def _known(self, work: Connection, name: str) -> None:
        if self._row(work, name) is None:
            raise InputError(f'There is no account "{name}".', code="account.unknown")


def checked_name(name: str) -> str:
    """The name as it is kept, in small letters. Raises InputError."""
    kept = name.strip().lower()
    if not NAME.fullmatch(kept):
        raise InputError("An account's name has 1 to 64 letters a to z, digits and . _ @ -, and begins with a letter "
                         "or a digit.", code="account.name")
    return kept


def checked_password(password: str) -> str:
    """Raises InputError unless it has 8 to 1000 characters."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"A password has {SHORTEST} to {LONGEST} characters.", code="account.password")
    return password


def _digest(key: str) -> str:
    # Not a password hash: 256 random bits cannot be guessed, however quick the hash is.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_hex())
