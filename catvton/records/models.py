"""The table of jobs, as it is after the newest migration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Float, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from catvton.records import Job

ACCOUNT_LENGTH = 128


class Utc(TypeDecorator[datetime]):
    """A time in UTC. SQLite keeps no time zone, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"})


class JobRow(Base):
    """A `Job`; the columns are its fields."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    time: Mapped[datetime] = mapped_column(Utc, index=True)
    account: Mapped[str | None] = mapped_column(String(ACCOUNT_LENGTH), index=True)
    engine: Mapped[str | None] = mapped_column(String(200))
    part: Mapped[str | None] = mapped_column(String(20))
    steps: Mapped[int | None] = mapped_column(Integer)
    guidance: Mapped[float | None] = mapped_column(Float)
    seed: Mapped[int | None] = mapped_column(BigInteger)
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    pictures: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[dict[str, float]] = mapped_column(JSON)
    outcome: Mapped[str] = mapped_column(String(100))
    flags: Mapped[list[str]] = mapped_column(JSON)


def as_row(job: Job) -> dict[str, Any]:
    """A job's values by column."""
    width, height = job.size or (None, None)
    account = None if job.account is None else job.account[:ACCOUNT_LENGTH]
    return {
        **{name: getattr(job, name) for name in ("id", "time", "engine", "part", "steps", "guidance", "seed")},
        "account": account,
        "width": width,
        "height": height,
        "pictures": job.pictures,
        "seconds": dict(job.seconds),
        "outcome": job.outcome[:100],
        "flags": list(job.flags),
    }


def as_job(row: JobRow) -> Job:
    size = None if row.width is None or row.height is None else (row.width, row.height)
    plain = {
        name: getattr(row, name)
        for name in ("id", "time", "account", "engine", "part", "steps", "guidance", "seed", "pictures", "outcome")
    }
    return Job(**plain, size=size, seconds=row.seconds, flags=tuple(row.flags))
