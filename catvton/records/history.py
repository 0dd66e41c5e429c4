"""Results kept for a while, where an operator has turned that on: one folder, and an age at which a file goes."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.safety.statement import Statement

if TYPE_CHECKING:
    from PIL import Image

    from catvton.records import Job
    from catvton.settings import Settings

log = logging.getLogger(__name__)

FOLDER = "history"
_OURS = re.compile(r"\.?([0-9a-f]{12})-\d+\.png(\.\w+\.part)?")  # a result, or one that was never finished


class History:
    """Finished pictures, and nothing that went in. Files are called JOB-1.png, JOB-2.png ...

    Args:
        folder: made (mode 0700) when the first picture is kept.
        hours: the age at which `sweep` removes a file.
    """

    def __init__(self, folder: Path, *, hours: float) -> None:
        self._folder, self._seconds = folder, hours * 3600

    @classmethod
    def of(cls, settings: Settings, *, hours: float) -> History:
        """The one in the data folder the settings name."""
        from catvton.records.database import data_folder

        return cls(data_folder(settings) / FOLDER, hours=hours)

    def keep(self, job: Job, pictures: Collection[Image.Image]) -> None:
        """Write a job's pictures (PIL RGB). Raises OSError, or InputError where a file cannot be written."""
        from catvton.images import save_picture

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        statement = Statement(engine=job.engine or "", job_id=job.id)
        for number, picture in enumerate(pictures, start=1):
            save_picture(picture, self._folder / f"{job.id}-{number}.png", statement=statement)

    def sweep(self, now: float | None = None) -> int:
        """Remove what is too old, and what a killed process left half written. Returns how many files."""
        limit = (time.time() if now is None else now) - self._seconds
        return sum(_removed(path) for path in self._files() if _modified(path) < limit)

    def forget(self, job_ids: Iterable[str]) -> int:
        """Remove the pictures of these jobs. Returns how many files."""
        gone = set(job_ids)
        return sum(_removed(path) for path in self._files() if _OURS.fullmatch(path.name)[1] in gone)

    def _files(self) -> list[Path]:
        """Ours, and nobody else's that may lie beside them."""
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as entries:
            return [Path(entry.path) for entry in entries
                    if entry.is_file(follow_symlinks=False) and _OURS.fullmatch(entry.name)]  # fmt: skip


def clear(settings: Settings) -> None:
    """Remove what was kept while the history was turned on, now that it is off."""
    gone = History.of(settings, hours=0).sweep()
    if gone:
        log.info("the history is turned off: %d kept results are removed", gone)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was quicker
        return float("inf")


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except PermissionError:  # on Windows: somebody has it open
        log.error("a kept result cannot be removed just now: %s", path.name)
        return False
    return True
