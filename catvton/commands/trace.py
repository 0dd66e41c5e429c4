"""`trace`: which job made a picture, by its invisible watermark and by what its file says of itself."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.records.errors import RecordsError

if TYPE_CHECKING:
    from catvton.records import Job
    from catvton.safety.statement import Statement
    from catvton.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What is known of a picture.

    Attributes:
        job_id: by the watermark where there is one, else by the statement.
        watermark: the job's id in the pixels, or None; statement: what the file says, or None.
        job: its record, or None with `gone` saying why there is none.
    """

    job_id: str
    watermark: str | None
    statement: Statement | None
    job: Job | None
    gone: str = ""

    @property
    def doubt(self) -> str:
        """A sentence where pixels and file name different jobs."""
        said = self.statement.job_id if self.statement else ""
        if not (said and self.watermark) or said == self.watermark:
            return ""
        return f"The file says job {said}, but files are easily changed: the pixels are of job {self.watermark}."

    def info(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "job_id": self.job_id,
            "watermark": self.watermark,
            "statement": None if self.statement is None else self.statement.job_id,
            "engine": self.engine,
            "record": None if self.job is None else self.job.info(),
            "notes": [note for note in (self.doubt, self.gone) if note],
        }

    @property
    def engine(self) -> str:
        """As recorded; else as the file says, if it is of the same job."""
        if self.job is not None:
            return self.job.engine or ""
        same = self.statement is not None and self.statement.job_id == self.job_id
        return self.statement.engine if same else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", metavar="PICTURE", help="a picture file, also a part, a copy or a screenshot of one")
    parser.epilog = ("The job is read from the picture's invisible watermark, or from what its file says, and looked "
                     "up in the records of the server that made it: run this with the server's settings.")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on the output, for programs")


def run(args: argparse.Namespace) -> int:
    from catvton.settings import Settings

    found = trace(args.picture, Settings())
    print(json.dumps(found.info(), indent=2) if args.json else _told(found))
    return 0


def trace(path: str, settings: Settings) -> Trace:
    """Look a picture file up.

    Raises:
        InputError: the file is no picture, or ("trace.nothing") carries neither a watermark nor a statement.
    """
    from catvton.imagefiles import read_bytes
    from catvton.images import open_picture
    from catvton.safety.statement import read_statement
    from catvton.safety.watermark import TiledWatermark

    data = read_bytes(path, what="picture", limit=settings.limits.max_bytes)
    number = TiledWatermark().read(open_picture(data, what="picture", limits=settings.limits))
    watermark, statement = None if number is None else f"{number:012x}", read_statement(data)
    job_id = watermark or (statement.job_id if statement else "")
    if not job_id:
        raise InputError(
            "No watermark was found in this picture, and its file does not say where it comes from: it was made "
            "elsewhere or without a watermark, or it was changed too much.",
            code="trace.nothing",
        )
    job, gone = _looked_up(job_id, settings)
    return Trace(job_id=job_id, watermark=watermark, statement=statement, job=job, gone=gone)


def _looked_up(job_id: str, settings: Settings) -> tuple[Job | None, str]:
    from catvton.records.store import Records

    with closing(Records.of(settings)) as records:
        try:
            job = records.get(job_id)
        except RecordsError as error:
            return None, str(error)
    return job, "" if job else "There is no record of this job: it was purged or forgotten, or is kept elsewhere."


def _told(found: Trace) -> str:
    by = " and ".join(
        [*(["its watermark"] if found.watermark else []), *(["its file"] if found.statement is not None else [])]
    )
    lines = [f"job:      {found.job_id} (by {by})", *(_record(found.job) if found.job else [])]
    if found.job is None and found.engine:
        lines.append(f"engine:   {found.engine}, as the file says")
    return "\n".join([*lines, *(f"note:     {note}" for note in (found.doubt, found.gone) if note)])


def _record(job: Job) -> list[str]:
    settings = f", {job.steps} steps, guidance {job.guidance:g}, seed {job.seed}" if job.steps is not None else ""
    size = f", {job.size[0]}x{job.size[1]}" if job.size else ""
    return [
        f"time:     {job.time:%Y-%m-%d %H:%M:%S} UTC",
        f"account:  {job.account or 'nobody signed in'}",
        f"engine:   {job.engine or 'unknown'}",
        f"settings: {job.part or 'unknown'}{settings}{size}",
        f"outcome:  {', '.join([job.outcome, *job.flags])}, {job.pictures} "
        f"{'picture' if job.pictures == 1 else 'pictures'}, {sum(job.seconds.values()):.1f} s",
    ]
