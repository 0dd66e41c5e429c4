"""An engine's files from the hub to the disk: planned, weighed, fetched, and only then written into the lock."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.hub.digest import Digest
from catvton.hub.errors import HubError
from catvton.hub.fetch import Partial, fetch
from catvton.hub.lock import Install, Pin, PinnedFile
from catvton.hub.plan import Part, Wish, make_plan
from catvton.hub.progress import Progress, silent
from catvton.hub.remote import Hub, RemoteFile
from catvton.hub.store import Store
from catvton.hub.verify import faults, human

if TYPE_CHECKING:
    from catvton.cards import ModelCard

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """What a download did.

    Attributes:
        install: the complete set; active: whether it is the one in use now.
        fetched: bytes that came over the network.
        mirrors: repositories that served in place of the registry's first choice.
    """

    install: Install
    active: bool
    fetched: int = 0
    mirrors: tuple[str, ...] = ()


def download(card: ModelCard, hub: Hub, *, wish: Wish | None = None, progress: Progress = silent) -> Downloaded:
    """Make an engine's set of files complete. Files that are there and right, from any engine, are not fetched again.

    Args:
        card: one made of sources, as the registry read it.

    Raises:
        HubError: a sentence that says what is in the way and which command to run then. The lock is as it was.
    """
    job = _Job(card, hub, progress)
    try:
        with job.store.alone():
            return job.run(wish or Wish())
    except HubError as error:
        raise type(error)(f"{error} Then run: {card.mend}", code=error.code) from error


class _Job:
    """One download: its card, its ways out, and the bytes counted so far."""

    def __init__(self, card: ModelCard, hub: Hub, progress: Progress) -> None:
        self.card, self.hub, self.progress = card, hub, progress
        self.store = Store(card.folder)
        self.fetched = 0

    def run(self, wish: Wish) -> Downloaded:
        if wish.plain and self.card.install and not faults(self.card, full=True, progress=self.progress):
            return self._locked(self.card.install)
        parts = make_plan(self.card, self.hub, wish=wish, lock=self.store.read_lock())
        there = self._there(parts)
        self._check_space(parts, there)
        pins = tuple(self._pin(part, there) for part in parts)
        mirrors = {part.repo for part in parts if part.repo != part.source.repo}
        return self._locked(Install(version=self.card.revision, pins=pins), mirrors=tuple(sorted(mirrors)))

    def _items(self, parts: list[Part]) -> Iterator[tuple[Path, Part, RemoteFile]]:
        for part in parts:
            for file in part.files:
                yield self.store.file(part.repo, part.commit, file.name), part, file

    def _there(self, parts: list[Part]) -> dict[Path, PinnedFile]:
        """{path: figures} of the files that are on the disk and agree with everything known of them."""
        found = {}
        for path, _, file in self._items(parts):
            if path.is_file() and path not in found and file.size in (None, path.stat().st_size):
                digest = self._read(path, file)
                if file.sha256 in (None, digest.sha256) and digest.git_sha1 in (None, file.git_sha1):
                    found[path] = PinnedFile(name=file.name, size=digest.size, sha256=digest.sha256)
        return found

    def _read(self, path: Path, file: RemoteFile) -> Digest:
        git_size = path.stat().st_size if file.sha256 is None and file.git_sha1 else None
        with self.progress(f"checking {path.name}", file.size, 0) as count:
            return Digest(git_size=git_size).read(path, count)

    def _check_space(self, parts: list[Part], there: dict[Path, PinnedFile]) -> None:
        sizes = {path: file.size or 0 for path, _, file in self._items(parts) if path not in there}
        needed = sum(size - min(Partial.of(path).size, size) for path, size in sizes.items())
        if needed > (free := shutil.disk_usage(self.store.root).free):
            raise HubError(
                f"There is not enough room in {self.store.root}: {human(needed)} are to come and {human(free)} are "
                "free. Make room, or choose another folder with CATVTON_MODELS_DIR.",
                code="hub.space",
            )

    def _pin(self, part: Part, there: dict[Path, PinnedFile]) -> Pin:
        """Fetch what is not there of a part. `there` learns of it: another part may need the same file."""
        for path, _, file in self._items([part]):
            if path not in there:
                there[path] = self._fetch(part, file, path)
        files = tuple(there[path] for path, _, _ in self._items([part]))
        return Pin(role=part.source.role, repo=part.repo, commit=part.commit, files=files)

    def _fetch(self, part: Part, file: RemoteFile, path: Path) -> PinnedFile:
        log.info("fetching %s of %s at %s", file.name, part.repo, part.commit)
        with self.progress(file.name, file.size, Partial.of(path).size) as tell:

            def count(number: int) -> None:
                self.fetched += max(number, 0)
                tell(number)

            return fetch(
                lambda headers: self.hub.open(part.repo, part.commit, file.name, headers=headers),
                path,
                file=file,
                count=count,
            )

    def _locked(self, install: Install, *, mirrors: tuple[str, ...] = ()) -> Downloaded:
        lock = self.store.read_lock()
        if install != self.card.install:
            lock = lock.with_install(self.card.name, install)
            self.store.write_lock(lock)
        active = lock.engine(self.card.name).active == install
        return Downloaded(install=install, active=active, fetched=self.fetched, mirrors=mirrors)
