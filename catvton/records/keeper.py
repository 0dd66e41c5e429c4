"""Takes the jobs of a server to the database, waits while that is away, and keeps to the ages an operator has set.

A job is written before its picture is handed out, so that a process that is killed later has lost nothing. If the
database is away, the job waits in memory, the picture is handed out all the same, and a thread tries again until the
database is back.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from catvton.errors import InputError
from catvton.records import Job
from catvton.records.errors import RecordsError

if TYPE_CHECKING:
    from PIL import Image

    from catvton.records.history import History
    from catvton.settings import Settings

log = logging.getLogger(__name__)

RETRY = 5.0  # seconds
SWEEP = 300.0  # seconds
MOST_WAITING = 10_000  # jobs; a few megabytes


class Store(Protocol):
    """What the keeper asks of `Records`. Each raises RecordsError while the database is away."""

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


class Keeper:
    """A `Recorder` on a database.

    Args:
        days: the age at which records go; history: keeps results as files, None keeps none.
        retry, sweep: seconds between two attempts, and between two looks for what is too old.
    """

    def __init__(
        self,
        records: Store,
        *,
        days: float | None = None,
        history: History | None = None,
        retry: float = RETRY,
        sweep: float = SWEEP,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._records, self._days, self._history, self._now = records, days, history, now
        self._retry, self._sweep_every = retry, sweep
        self._waiting: deque[Job] = deque()
        self._counts = {"written": 0, "failures": 0, "lost": 0}
        self._guard, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Keeper:
        """Raises SettingsError for an address of a database that is none."""
        from catvton.records.database import data_folder
        from catvton.records.history import FOLDER, History
        from catvton.records.store import Records

        hours = settings.history_hours
        history = History(data_folder(settings) / FOLDER, hours=hours) if hours else None
        return cls(Records.of(settings), days=settings.records_days, history=history)

    def record(self, job: Job, pictures: Collection[Image.Image] = ()) -> None:
        """See `Recorder.record`."""
        if self._history is not None and pictures:
            self._keep_pictures(job, pictures)
        with self._guard:
            waits = bool(self._waiting)  # while the database is away nobody waits for it to fail once more
        if waits or not self._written(job):
            self._put_off(job)

    def start(self) -> None:
        """Look for what is too old now, and from now on. The keeper works without it too, but forgets nothing."""
        self._run_thread()

    def counts(self) -> Counts:
        with self._guard:
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

    def retry(self) -> None:
        """Write what is waiting, the oldest first, until one fails."""
        while True:
            with self._guard:
                if not self._waiting:
                    return
                job = self._waiting[0]
            if not self._written(job):
                return
            with self._guard:
                if self._waiting and self._waiting[0] is job:
                    self._waiting.popleft()

    def close(self) -> None:
        """Write what is waiting, if that is possible now. May be called twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.retry()
        left = self.counts().waiting
        if left:
            log.error("the records of %d jobs are lost: their database is away", left)
        self._records.close()

    def _keep_pictures(self, job: Job, pictures: Collection[Image.Image]) -> None:
        try:
            self._history.keep(job, pictures)
        except (OSError, InputError) as error:
            log.error("job %s: its pictures could not be kept (%s)", job.id, type(error).__name__)

    def _written(self, job: Job) -> bool:
        try:
            self._records.add(job)
        except RecordsError as error:
            log.error("job %s: its record has to wait: %s", job.id, error)
            self._count("failures")
            return False
        self._count("written")
        return True

    def _put_off(self, job: Job) -> None:
        with self._guard:
            self._waiting.append(job)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._counts["lost"] += 1
        self._run_thread()

    def _count(self, what: str) -> None:
        with self._guard:
            self._counts[what] += 1

    def _run_thread(self) -> None:
        with self._guard:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(target=self._work, name="catvton-records", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        self.sweep()
        due = self._sweep_every
        while not self._ended.wait(min(self._retry, due)):
            self.retry()
            due -= self._retry
            if due <= 0:
                self.sweep()
                due = self._sweep_every
