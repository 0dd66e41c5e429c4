"""The records in a database: written once, read by job, purged by age, forgotten by account."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from catvton.records.errors import RecordRefused, RecordsError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session

    from catvton.records import Job
    from catvton.settings import Settings


class Records:
    """The table of jobs. Every method is one transaction and may be called from any thread.

    Nothing is connected before the first call, which also brings the tables up to date. Each raises RecordsError when
    the database is away.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guard = threading.Lock()
        self._current = False

    @classmethod
    def of(cls, settings: Settings) -> Records:
        """Those in the database the settings name. Raises SettingsError for an address that is none."""
        from catvton.records.database import open_database

        return cls(open_database(settings))

    def add(self, job: Job) -> None:
        """Write a job. One that is there already, written again after a doubtful failure, stays as it is."""
        from catvton.records.models import JobRow, as_row

        with self._session() as session:
            if session.get(JobRow, job.id) is None:
                session.add(JobRow(**as_row(job)))

    def get(self, job_id: str) -> Job | None:
        from catvton.records.models import JobRow, as_job

        with self._session() as session:
            row = session.get(JobRow, job_id)
            return None if row is None else as_job(row)

    def list(self, *, account: str | None = None, limit: int = 50) -> list[Job]:
        """The newest jobs first; of one account, or of all."""
        from sqlalchemy import select

        from catvton.records.models import JobRow, as_job

        wanted = select(JobRow).order_by(JobRow.time.desc(), JobRow.id).limit(limit)
        if account is not None:
            wanted = wanted.where(JobRow.account == account)
        with self._session() as session:
            return [as_job(row) for row in session.scalars(wanted)]

    def outcomes(self) -> dict[str, int]:
        """{outcome: how many}, the most frequent first."""
        from sqlalchemy import func, select

        from catvton.records.models import JobRow

        count = func.count()
        with self._session() as session:
            rows = session.execute(
                select(JobRow.outcome, count.label("number"))
                .group_by(JobRow.outcome)
                .order_by(count.desc(), JobRow.outcome)
            )
            return {row.outcome: row.number for row in rows}

    def purge(self, *, before: datetime) -> int:
        """Delete what began before a time (with its zone). Returns how many."""
        from catvton.records.models import JobRow

        return len(self._delete(JobRow.time < before))

    def forget(self, account: str) -> list[str]:
        """Delete all of an account, however its name is capitalized. Returns the ids that are gone."""
        from sqlalchemy import func, or_

        from catvton.records.models import JobRow

        alike = func.lower(JobRow.account) == account.lower()  # SQLite's knows the letters of ASCII only
        return self._delete(or_(JobRow.account == account, alike))

    def close(self) -> None:
        self._engine.dispose()

    def _delete(self, which: object) -> list[str]:
        from sqlalchemy import delete

        from catvton.records.models import JobRow

        with self._session() as session:
            return list(session.scalars(delete(JobRow).where(which).returning(JobRow.id)))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
        from sqlalchemy.orm import Session

        try:
            self._bring_up_to_date()
            with Session(self._engine) as session, session.begin():
                yield session
        except (DataError, IntegrityError) as error:
            raise RecordRefused(f"The records' database does not take this ({_reason(error)}).") from error
        except (SQLAlchemyError, OSError) as error:
            raise RecordsError(f"The records' database cannot be used just now ({_reason(error)}).") from error

    def _bring_up_to_date(self) -> None:
        with self._guard:
            if not self._current:
                with self._engine.begin() as connection:
                    self._upgrade(connection)
                self._current = True

    def _upgrade(self, connection: Connection) -> None:
        from catvton.records.migrations import upgrade

        upgrade(connection)


def _reason(error: Exception) -> str:
    """What kind of fault it was. Not its text: that holds addresses, names and statements."""
    return type(getattr(error, "orig", None) or error).__name__
