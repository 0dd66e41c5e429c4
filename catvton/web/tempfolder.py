"""The one folder this process writes strangers' pictures to, and the rules by which they leave it.

An upload goes the moment a request has read it, an answer a few minutes after it was written, everything when the
process ends; whatever a killed process left behind goes when the next one starts. Nothing here knows of gradio.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from catvton.errors import InputError

log = logging.getLogger(__name__)

PREFIX = "catvton-web-"
LOCK_SUFFIX = ".lock"
UPLOAD_AGE = 3600.0  # seconds; an upload may wait this long in the queue
ANSWER_AGE = 300.0  # seconds a client has to fetch its picture
SWEEP_EVERY = 20.0


class Uploads(set):
    """The set gradio reports every upload to, counting them.

    Gradio names an upload after its content, so two people who send the same picture share one file: it may go only
    when both requests have read it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()
        self._guard = threading.Lock()

    def update(self, *groups: Iterable[str]) -> None:
        with self._guard:
            for group in groups:
                for path in group:
                    self._counts[os.path.realpath(path)] += 1
                    self.add(path)

    def release(self, path: Path) -> bool:
        """One reader is done with `path`; True if nobody else waits for it."""
        with self._guard:
            self._counts[str(path)] -= 1
            if self._counts[str(path)] > 0:
                return False
            del self._counts[str(path)]
            self.discard(str(path))
            return True

    def forget(self, path: Path) -> None:
        """Nobody will read `path` any more."""
        with self._guard:
            self._counts.pop(str(path), None)
            self.discard(str(path))


class TempFolder:
    """A private folder (mode 0700) with a lifetime. Make it before gradio is imported: see `catvton.web.server`.

    Attributes:
        path: the folder. Gradio writes uploads to it, answers lie under `path / "answers"`.
        uploads: what gradio is to report uploads to.
    """

    def __init__(self, parent: str | os.PathLike | None = None, *, upload_age: float = UPLOAD_AGE,
                 answer_age: float = ANSWER_AGE) -> None:
        parent = Path(parent or tempfile.gettempdir()).resolve()
        parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parent)
        self.path, self._lock = _make_locked(parent)
        self._answers = self.path / "answers"
        self._answers.mkdir()
        self._ages = {True: answer_age, False: upload_age}
        self.uploads = Uploads()
        self._closed = threading.Event()

    def new_file(self, name: str) -> Path:
        """A path nobody can guess for an answer called `name`; the file is removed some minutes after it is written."""
        folder = self._answers / secrets.token_hex(16)
        folder.mkdir()
        return folder / name

    def take(self, path: str | os.PathLike, *, what: str = "picture", linger: float = 0.0) -> bytes:
        """Read an upload and remove it.

        Args:
            what: how error sentences call it.
            linger: seconds it stays on, for a browser that is about to show it.

        Raises:
            InputError: `path` is not an upload of ours ("image.not_uploaded"), or is gone already ("image.gone").
        """
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self.path):
            raise InputError(f"The {what} is not an uploaded file: upload it and send what the upload answers.",
                             code="image.not_uploaded")
        try:
            return real.read_bytes()
        except OSError as error:
            raise InputError(f"The {what} is no longer here, because uploads are removed once they are used: "
                             "please choose it again.", code="image.gone") from error
        finally:
            if self.uploads.release(real):
                self._remove(real, linger=linger)

    def discard(self, path: str | os.PathLike) -> None:
        """Remove an upload that nobody will read."""
        real = Path(os.path.realpath(path))
        if real.is_relative_to(self.path):
            self.uploads.forget(real)
            self._remove(real, linger=0.0)

    def _remove(self, upload: Path, *, linger: float) -> None:
        if not upload.is_file():
            return
        if linger:  # old enough for the sweep that comes after that time
            due = time.time() - self._ages[False] + linger
            os.utime(upload, (due, due))
        else:
            upload.unlink(missing_ok=True)

    def sweep(self, now: float | None = None) -> None:
        """Remove every file, and every empty folder, that is older than its kind may get."""
        now = time.time() if now is None else now
        for folder, _, names in os.walk(self.path, topdown=False):
            place = Path(folder)
            age = self._ages[place.is_relative_to(self._answers)]
            for name in names:
                if _remove_if_old(place / name, before=now - age):
                    self.uploads.forget(place / name)
            if place not in (self.path, self._answers):
                _remove_if_old(place, before=now - age)

    def keep_sweeping(self, every: float = SWEEP_EVERY) -> None:
        """Start a thread that sweeps until `close`."""

        def loop() -> None:
            while not self._closed.wait(every):
                self.sweep()

        threading.Thread(target=loop, name="temp-folder-sweeper", daemon=True).start()

    def close(self) -> None:
        """Remove the folder and all that is in it. May be called twice."""
        self._closed.set()
        shutil.rmtree(self.path, ignore_errors=True)
        if not self._lock.closed:
            self._lock.close()
            Path(self._lock.name).unlink(missing_ok=True)


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of processes that ended without doing so themselves.

    A living process holds a lock on the file beside its folder. The system lets go of it however the process dies, and
    unlike a process number it is not given out again.
    """
    for folder in parent.glob(PREFIX + "*"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            lock = _open_lock(folder)
        except OSError:  # another account's
            continue
        with lock:
            if _try_lock(lock):
                log.info("removing what a dead process left behind")
                shutil.rmtree(folder, ignore_errors=True)
                Path(lock.name).unlink(missing_ok=True)


def _remove_if_old(path: Path, *, before: float) -> bool:
    """Whether it was old enough and is gone."""
    try:
        if path.lstat().st_mtime >= before:
            return False
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    except OSError:  # gone already, or a folder that is not empty
        return False
    return True


def _make_locked(parent: Path) -> tuple[Path, IO[bytes]]:
    """A new folder whose lock is held before it exists, so that no other start can take it for a dead one's."""
    while True:
        folder = parent / (PREFIX + secrets.token_hex(8))
        lock = _open_lock(folder)
        if _try_lock(lock):
            folder.mkdir(mode=0o700)
            return folder, lock
        lock.close()


def _open_lock(folder: Path) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # never through a link someone else laid there
    return open(str(folder) + LOCK_SUFFIX, "r+b", opener=lambda name, _: os.open(name, flags, 0o600))


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
