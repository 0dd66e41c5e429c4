"""Takes the jobs of a server to the database, waits while that is away, and keeps to the ages an operator has set.

A job is written before its picture is handed out, so that a process that is killed later has lost nothing. If the
database is away, or does not answer within moments, the job waits in memory, the picture is handed out all the same,
and a thread tries again until the database is back. What a process that ends then still holds is lost, and said so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from catvton.errors import InputError, SettingsError
from catvton.records import Job
from catvton.records.errors import RecordRefused, RecordsError

if TYPE_CHECKING:
    from PIL import Image

    from catvton.records.history import History
    from catvton.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 3.0  # seconds a picture waits for its record
RETRY = 5.0  # seconds
SWEEP = 300.0  # seconds
LAST = 30.0  # seconds an ending process gives the database
MOST_WAITING = 10_000  # jobs; a few megabytes


class Store(Protocol):
    """What the keeper asks of `Records`. Each raises RecordsError while the database is away; `add` raises
    RecordRefused for a job it will never take."""

    def add(self, job: Job) -> None: ...

    def purge(self, *, before: datetime) -> int: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What has become of jobs since the start.

    Attributes:
        written: in the database; failures: attempts that failed; waiting: to be tried again; lost: given up.
    """

    written: int = 0
    failures: int = 0
    waiting: int = 0
    lost: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Line:
    """A job that is to be written; `tried` is set after the first attempt."""

    job: Job
    tried: threading.Event = field(default_factory=threading.Event)


class Keeper:
    """A `Recorder` on a database.

    Args:
        days: the age at which records go; history: keeps results as files, None keeps none.
        patience: seconds a picture waits for its record to be written.
        retry, sweep: seconds between two attempts, and between two looks for what is too old.
    """

    def __init__(
        self,
        records: Store,
        *,
        days: float | None = None,
        history: History | None = None,
        patience: float = PATIENCE,
        retry: float = RETRY,
        sweep: float = SWEEP,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._records, self._days, self._history, self._now = records, days, history, now
        self._patience, self._retry, self._sweep_every = patience, retry, sweep
        self._news = threading.Condition()  # guards all below
        self._waiting: deque[_Line] = deque()
        self._counts = {"written": 0, "failures": 0, "lost": 0}
        self._away = self._sweeps = self._ended = False
        self._thread: threading.Thread | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Keeper:
        """Raises SettingsError for an address of a database that is none, or ages that do not go together."""
        from catvton.records.history import History
        from catvton.records.store import Records

        hours = settings.history_hours
        if hours > 24 * settings.records_days:
            raise SettingsError("CATVTON_HISTORY_HOURS keeps results longer than CATVTON_RECORDS_DAYS keeps the "
                                "records that say whose they are: nobody could have theirs deleted.")
        history = History.of(settings, hours=hours) if hours else None
        return cls(Records.of(settings), days=settings.records_days, history=history)

    def record(self, job: Job, pictures: Collection[Image.Image] = ()) -> None:
        """See `Recorder.record`. Takes a few milliseconds; with a database that is away, `patience` once."""
        if self._history is not None and pictures:
            self._keep_pictures(job, pictures)
        line = _Line(job=job)
        with self._news:
            ended, wait = self._ended, not self._away  # while it is away nobody waits for it to fail once more
            if not ended:
                self._line_up(line)
        if ended:
            self._too_late(job)
        elif wait and not line.tried.wait(self._patience):
            self._too_slow(line)

    def start(self) -> None:
        """Look for what is too old now, and from now on. The keeper works without it too, but forgets nothing."""
        with self._news:
            self._sweeps = True
            self._run_thread()
            self._news.notify_all()

    def counts(self) -> Counts:
        with self._news:
            return Counts(**self._counts, waiting=len(self._waiting))

    def sweep(self) -> None:
        """Remove records and kept results that are too old."""
        try:
            if self._history is not None:
                self._history.sweep()
            if self._days is not None:
                self._records.purge(before=self._now() - timedelta(days=self._days))
        except (RecordsError, OSError) as error:
            log.error("old records or results could not be removed: %s", error)

    def close(self) -> None:
        """Write what is waiting, if that is possible now. May be called twice."""
        with self._news:
            self._ended = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(LAST)
            if not self._thread.is_alive():
                self._write_waiting()  # what came while it ended
        left = self.counts().waiting
        if left:
            log.error("the records of %d jobs are lost: their database is away", left)
        self._records.close()

    def _keep_pictures(self, job: Job, pictures: Collection[Image.Image]) -> None:
        try:
            self._history.keep(job, pictures)
        except (OSError, InputError) as error:
            log.error("job %s: its pictures could not be kept (%s)", job.id, type(error).__name__)

    def _line_up(self, line: _Line) -> None:
        """The guard is held."""
        self._waiting.append(line)
        if len(self._waiting) > MOST_WAITING:
            lost = self._waiting.popleft()
            self._counts["lost"] += 1
            log.error("the record of job %s is lost: too many wait for their database", lost.job.id)
        self._run_thread()
        self._news.notify_all()

    def _too_late(self, job: Job) -> None:
        """A run that ends after the keeper has: there is no later."""
        if not self._written(job):
            log.error("the record of job %s is lost: its database is away", job.id)

    def _too_slow(self, line: _Line) -> None:
        with self._news:
            if line.tried.is_set():
                return
            self._away = True
        log.error("job %s: its record has to wait: the database does not answer", line.job.id)

    # ---- the thread --------------------------------------------------------------------------------------------------

    def _run_thread(self) -> None:
        """The guard is held."""
        if self._thread is None and not self._ended:
            self._thread = threading.Thread(target=self._work, name="catvton-records", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        due = time.monotonic()
        while not self._ended:
            if self._sweeps and time.monotonic() >= due:
                self.sweep()
                due = time.monotonic() + self._sweep_every
            self._write_waiting()
            self._rest(due)
        self._write_waiting()

    def _rest(self, due: float) -> None:
        """Until there is something to write, or to sweep, or the end has come."""
        with self._news:
            swept = self._sweeps
            pauses = [*([self._retry] if self._waiting else []), *([due - time.monotonic()] if swept else [])]
            self._news.wait_for(
                lambda: self._ended or self._sweeps != swept or (self._waiting and not self._away),
                timeout=max(min(pauses), 0) if pauses else None,
            )

    def _write_waiting(self) -> None:
        """The oldest first, until one fails."""
        while (line := self._oldest()) is not None:
            done = self._written(line.job)
            with self._news:
                self._away = not done
                if done and self._waiting and self._waiting[0] is line:
                    self._waiting.popleft()
                for each in [line] if done else [line, *self._waiting]:
                    each.tried.set()
            if not done:
                return

    def _oldest(self) -> _Line | None:
        with self._news:
            return self._waiting[0] if self._waiting else None

    def _written(self, job: Job) -> bool:
        """Whether the job is done with: written, or refused for good."""
        try:
            self._records.add(job)
        except RecordRefused as error:
            log.error("the record of job %s is lost: %s", job.id, error)
            self._count("lost")
            return True
        except RecordsError as error:
            log.error("job %s: its record has to wait: %s", job.id, error)
            self._count("failures")
            return False
        self._count("written")
        return True

    def _count(self, what: str) -> None:
        with self._news:
            self._counts[what] += 1
