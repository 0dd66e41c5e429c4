"""Requests that are answered later: started now, asked about by their id, fetched when they are done."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from catvton.errors import Cancelled, InputError
from catvton.service.gated import WAITING
from catvton.service.results import Job, Results
from catvton.service.runs import Outcome, Run

if TYPE_CHECKING:
    from catvton.engines import StepReport

NEWS_EVERY = 0.2  # seconds between two states of one stage that are kept


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What a finished run hands out: PNG files, and everything about them that is not a picture."""

    files: list[bytes]
    info: dict[str, Any]


class Jobs:
    """The jobs of this server, and those of other replicas where they share a Redis.

    Args:
        problem_of: an error as what a failed request is answered.
    """

    def __init__(self, results: Results, *, problem_of: Callable[[Exception], dict[str, Any]],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._results, self._problem_of, self._clock = results, problem_of, clock

    def begin(self, job: Job) -> None:
        """Make a new job known. It must be started next."""
        self._results.begin(job)

    def start(self, job: Job, work: Callable[[Callable[[StepReport], None]], Pictures]) -> None:
        """Do a job's `work` in a thread of its own."""
        Run(work, on_news=_Reporter(job, self._results, clock=self._clock),
            on_end=lambda outcome: self._end(job, outcome))

    def keep(self, pictures: Pictures, *, owner: str) -> Job:
        """A job that is done already, for a caller who wants to fetch its pictures."""
        job = new_job(owner=owner)
        self._results.begin(job)
        return self._done(job, pictures)

    def get(self, job_id: str, *, owner: str) -> Job:
        """Raises InputError "job.unknown" where there is none of that id, or it is another account's."""
        job = self._results.get(job_id)
        if job is None or job.owner != owner:
            raise unknown()
        return job

    def pictures(self, job: Job) -> Pictures:
        """Raises InputError "job.unknown" where they are no longer kept."""
        files = self._results.pictures(job.id)
        if not files:
            raise unknown()
        return Pictures(files=files, info=job.info)

    def drop(self, job_id: str, *, owner: str) -> None:
        """Stop a job, and forget it and what it made."""
        self._results.drop(self.get(job_id, owner=owner).id)

    def _end(self, job: Job, outcome: Outcome) -> None:
        if isinstance(outcome.value, Pictures):
            self._done(job, outcome.value)
        elif isinstance(outcome.error, Cancelled):
            self._results.put(replace(job, state="cancelled", place=0))
        else:
            self._results.put(replace(job, state="failed", place=0, problem=self._problem_of(outcome.error)))

    def _done(self, job: Job, pictures: Pictures) -> Job:
        done = replace(job, state="done", place=0, info=pictures.info, pictures=len(pictures.files))
        self._results.put(done, pictures.files)
        return done


def new_job(*, owner: str, place: int = 0) -> Job:
    """A job with an id nobody can guess."""
    return Job(id=secrets.token_urlsafe(16), owner=owner, place=place)


class _Reporter:
    """Writes a run's reports into its job, not each of them; ends the run when the job was dropped."""

    def __init__(self, job: Job, results: Results, *, clock: Callable[[], float]) -> None:
        self._job, self._results, self._clock = job, results, clock
        self._last: tuple[str, float] = "", 0.0

    def __call__(self, report: StepReport) -> None:
        stage, at = self._last
        if report.stage == stage and report.step and self._clock() - at < NEWS_EVERY:
            return
        self._last = report.stage, self._clock()
        if self._results.dropped(self._job.id):
            raise Cancelled("The job was dropped.")
        if report.stage == WAITING:
            self._results.put(replace(self._job, place=report.step))
        else:
            self._results.put(replace(self._job, state="running", place=0, stage=report.stage, step=report.step,
                                      steps=report.steps))


def unknown() -> InputError:
    return InputError("There is no such job: it was never there, was deleted, or was done more than ten minutes ago.",
                      code="job.unknown")
