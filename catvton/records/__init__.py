"""What is remembered of each job: when, for whom, with which engine and options, and how it ended. Never a picture.

No picture, no file name, no address and no words of a caller's reach these records; `Job` has no place for them. Light:
the database lives in `catvton.records.store`, what `TryOn` hands jobs to in `catvton.records.keeper`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from catvton.errors import Cancelled, InputError

if TYPE_CHECKING:
    from PIL import Image

    from catvton.options import Options

DONE, FAILED, STOPPED, REFUSED = "done", "failed", "stopped", "refused"
ID_DIGITS = 12  # hexadecimal: the 48 bits of the invisible watermark
NOBODY = "(warm-up)"  # the account of runs that are no person's and leave no record; no account can be called that


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job.

    Attributes:
        id: 12 hexadecimal digits.
        time: when it began, in UTC.
        account: who asked, None where nobody is signed in.
        engine: "name@revision"; like the options below None where the request was refused before they were known.
        part, steps, guidance, seed, size: the options used; `size` is (width, height).
        pictures: how many were handed out.
        seconds: {stage: seconds} of the stages that were finished.
        outcome: "done", "refused CODE" with an `InputError`'s code, "failed", or "stopped" on request.
        flags: as in `TryOnResult`.
    """

    id: str
    time: datetime
    account: str | None = None
    engine: str | None = None
    part: str | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    size: tuple[int, int] | None = None
    pictures: int = 0
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    outcome: str = DONE
    flags: tuple[str, ...] = ()

    def info(self) -> dict[str, Any]:
        """Every field, ready for JSON."""
        return {
            "job_id": self.id,
            "time": self.time.isoformat(timespec="seconds"),
            "account": self.account,
            "engine": self.engine,
            "part": self.part,
            "steps": self.steps,
            "guidance": self.guidance,
            "seed": self.seed,
            "size": list(self.size) if self.size else None,
            "pictures": self.pictures,
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "outcome": self.outcome,
            "flags": list(self.flags),
        }


class Recorder(Protocol):
    """What `TryOn` tells of its jobs. One object serves any number of threads."""

    def record(self, job: Job, pictures: Collection[Image.Image] = ()) -> None:
        """Remember a job. Raises nothing for a database that is away: the picture is more than its record.

        Args:
            pictures: the results (PIL RGB), for a recorder that keeps a history; others let them be.
        """

    def close(self) -> None:
        """Finish what is waiting. May be called twice."""


class Ledger:
    """One run's line in the records, filled in while it runs.

    Attributes:
        id: the job's, drawn at random.
        options: set once they are checked; seconds: set to the run's own {stage: seconds}.
    """

    def __init__(self, recorder: Recorder | None, *, account: str | None) -> None:
        self.id = secrets.token_hex(ID_DIGITS // 2)
        self.options: Options | None = None
        self.seconds: Mapping[str, float] = {}
        self._recorder = None if account == NOBODY else recorder
        self._begun = Job(id=self.id, time=datetime.now(UTC), account=account or None)

    @property
    def number(self) -> int:
        """The id as a number below 2**48."""
        return int(self.id, 16)

    def done(self, pictures: Collection[Image.Image], flags: tuple[str, ...]) -> None:
        """The run ended well."""
        self._write(DONE, pictures=pictures, flags=flags)

    @contextmanager
    def open(self) -> Iterator[Ledger]:
        """What is raised inside is written down and raised on."""
        try:
            yield self
        except BaseException as error:
            self._write(outcome_of(error))
            raise

    def _write(self, outcome: str, *, pictures: Collection[Image.Image] = (), flags: tuple[str, ...] = ()) -> None:
        if self._recorder is None:
            return
        chosen = {} if self.options is None else _chosen(self.options)
        job = replace(self._begun, **chosen, seconds=dict(self.seconds), outcome=outcome, flags=flags,
                      pictures=len(pictures))
        self._recorder.record(job, pictures)


def outcome_of(error: BaseException) -> str:
    """How a run that raised `error` ended, in the words of `Job.outcome`."""
    if isinstance(error, InputError):
        return f"{REFUSED} {error.code}"
    return STOPPED if isinstance(error, (Cancelled, KeyboardInterrupt)) else FAILED


def _chosen(options: Options) -> dict[str, Any]:
    return {
        "engine": options.card.id,
        "part": options.part,
        "steps": options.steps,
        "guidance": options.guidance,
        "seed": options.seeds[0],
        "size": options.size,
    }
