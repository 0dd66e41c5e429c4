"""What becomes of jobs: their state and pictures, kept for ten minutes in memory or in Redis, never in the database."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from catvton.service.refusals import Refused
from catvton.service.sharing import Away, SharedRedis

KEEP = 600.0  # seconds a finished job's pictures can be fetched
PULSE = 60.0  # seconds after which an unfinished job nobody reports on counts as lost with its process
UNFINISHED = ("queued", "running")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as it stands, all of it JSON.

    Attributes:
        owner: the account it belongs to, or "" where its id is all there is to know.
        state: "queued", "running", "done", "failed" or "cancelled".
        place: how many are before it, while it is queued.
        stage, step, steps: where the run is.
        info: a finished result's fields that are not pictures; pictures: how many there are.
        problem: of a failed job, what a failed request would have been answered: {"status", "code", "message", ...}.
    """

    id: str
    owner: str = ""
    state: str = "queued"
    place: int = 0
    stage: str = ""
    step: int = 0
    steps: int = 0
    info: dict[str, Any] = field(default_factory=dict)
    pictures: int = 0
    problem: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


class StoreAway(Refused):
    """The job may be known to another replica, and cannot be asked for just now. `code` is "jobs.away"."""

    def __init__(self) -> None:
        super().__init__("This job cannot be looked up just now. Please try again in a few seconds.",
                         code="jobs.away", wait_seconds=5)


class Results(Protocol):
    """Where jobs are kept. Every method may be called from any thread; what is unknown or too old is None."""

    def begin(self, job: Job) -> None:
        """Keep a new job."""

    def put(self, job: Job, pictures: list[bytes] | None = None) -> None:
        """Keep a job as it stands now; one that was dropped stays dropped."""

    def get(self, job_id: str) -> Job | None: ...

    def pictures(self, job_id: str) -> list[bytes] | None: ...

    def drop(self, job_id: str) -> None:
        """Forget a job. Whoever is at work on it learns of it from `dropped`."""

    def dropped(self, job_id: str) -> bool: ...


@dataclass
class _Kept:
    job: Job
    pictures: list[bytes]
    until: float

    @property
    def weight(self) -> int:
        return sum(map(len, self.pictures))


class MemoryResults:
    """Jobs in this process's memory, bounded: the oldest finished ones give way.

    Args:
        max_bytes: of all pictures together; the newest job always stays.
    """

    def __init__(self, *, keep: float = KEEP, max_bytes: int = 2**29,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._keep, self._max_bytes, self._clock = keep, max_bytes, clock
        self._jobs: OrderedDict[str, _Kept] = OrderedDict()
        self._guard = threading.Lock()

    def begin(self, job: Job) -> None:
        with self._guard:
            self._jobs[job.id] = _Kept(job=job, pictures=[], until=0.0)

    def put(self, job: Job, pictures: list[bytes] | None = None) -> None:
        with self._guard:
            if job.id not in self._jobs:
                return
            self._jobs[job.id] = _Kept(job=job, pictures=pictures or [], until=self._clock() + self._keep)
            self._jobs.move_to_end(job.id)
            self._make_room()

    def get(self, job_id: str) -> Job | None:
        with self._guard:
            self._forget_old()
            return self._jobs[job_id].job if job_id in self._jobs else None

    def pictures(self, job_id: str) -> list[bytes] | None:
        with self._guard:
            self._forget_old()
            return self._jobs[job_id].pictures if job_id in self._jobs else None

    def drop(self, job_id: str) -> None:
        with self._guard:
            self._jobs.pop(job_id, None)

    def dropped(self, job_id: str) -> bool:
        return job_id not in self._jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def _forget_old(self) -> None:
        now = self._clock()
        for job_id in [each for each, kept in self._jobs.items() if kept.until < now and kept.job.finished]:
            del self._jobs[job_id]

    def _make_room(self) -> None:
        self._forget_old()
        weight = sum(kept.weight for kept in self._jobs.values())
        for job_id in [each for each, kept in self._jobs.items() if kept.job.finished][:-1]:
            if weight <= self._max_bytes:
                return
            weight -= self._jobs.pop(job_id).weight


class SharedResults:
    """Jobs in Redis, where every replica finds them; this process's own are in its memory too.

    While Redis is away, a job is known to the replica that works on it, and only to that one.
    """

    def __init__(self, shared: SharedRedis, *, keep: float = KEEP, pulse: float = PULSE,
                 own: MemoryResults | None = None) -> None:
        self._shared, self._keep, self._pulse = shared, keep, pulse
        self._own = own or MemoryResults(keep=keep)

    def begin(self, job: Job) -> None:
        self._own.begin(job)
        self.put(job)

    def put(self, job: Job, pictures: list[bytes] | None = None) -> None:
        self._own.put(job, pictures)
        if self._own.dropped(job.id):
            return
        milliseconds = int(1000 * (self._keep if job.finished else self._pulse))

        def work(client: Any) -> None:
            with client.pipeline() as together:
                if pictures:
                    together.delete(_pictures(job.id)).rpush(_pictures(job.id), *pictures)
                    together.pexpire(_pictures(job.id), milliseconds)
                together.set(_state(job.id), json.dumps(asdict(job)), px=milliseconds)
                together.execute()

        self._try(work, None)

    def get(self, job_id: str) -> Job | None:
        own = self._own.get(job_id)
        if own is not None:
            return None if self.dropped(job_id) else own
        found, gone = self._ask(lambda client: (client.get(_state(job_id)), client.exists(_dropped(job_id))))
        return None if found is None or gone else Job(**json.loads(found))

    def pictures(self, job_id: str) -> list[bytes] | None:
        own = self._own.pictures(job_id)
        return own if own is not None else self._ask(lambda client: client.lrange(_pictures(job_id), 0, -1)) or None

    def drop(self, job_id: str) -> None:
        self._own.drop(job_id)

        def work(client: Any) -> None:
            with client.pipeline() as together:
                together.delete(_state(job_id), _pictures(job_id))
                together.set(_dropped(job_id), b"1", px=int(1000 * self._keep))
                together.execute()

        self._ask(work)

    def dropped(self, job_id: str) -> bool:
        """Whether this process's own job was forgotten, here or through another replica."""
        if self._own.dropped(job_id):
            return True
        if self._try(lambda client: client.exists(_dropped(job_id)), 0):
            self._own.drop(job_id)
            return True
        return False

    def _try(self, work: Callable[[Any], Any], otherwise: Any) -> Any:
        try:
            return self._shared.use(work)
        except Away:
            return otherwise

    def _ask(self, work: Callable[[Any], Any]) -> Any:
        try:
            return self._shared.use(work)
        except Away:
            raise StoreAway from None


def _state(job_id: str) -> str:
    return f"catvton:job:{job_id}"


def _pictures(job_id: str) -> str:
    return f"catvton:pictures:{job_id}"


def _dropped(job_id: str) -> str:
    return f"catvton:dropped:{job_id}"
