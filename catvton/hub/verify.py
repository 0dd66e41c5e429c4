"""Is an engine's set of files complete? Quickly, by size, as at start-up; or to the last byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.hub.digest import Digest
from catvton.hub.progress import Progress, silent
from catvton.hub.store import LOCK, Store

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.hub.lock import Pin, PinnedFile
    from catvton.hub.sources import Source, WantedFile

PARTIAL = ".partial"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A file that is not as it should be.

    Attributes:
        path: where it lies or should lie; of a file never downloaded the commit is not known, and left out.
        repo: the repository it comes from; name: its path in there.
        what: what is wrong with it, in a few words.
    """

    path: Path
    repo: str
    name: str
    what: str


def in_words(found: Sequence[Fault], *, most: int | None = None) -> str:
    """The faults by repository, each file with what is wrong with it; `most` shortens the list."""
    parts: dict[str, list[str]] = {}
    for fault in found[:most]:
        parts.setdefault(fault.repo, []).append(f"{fault.name} ({fault.what})")
    more = f" and {len(found) - most} more" if most is not None and len(found) > most else ""
    return "; ".join(f"{repo}: {', '.join(files)}" for repo, files in parts.items()) + more


def faults(card: ModelCard, *, full: bool = False, progress: Progress = silent) -> list[Fault]:
    """What is wrong with the files of an engine that come from a hub; nothing, if it is complete.

    Args:
        card: as the registry read it, with what the lock says of it.
        full: whether to read every byte and compare its sha256; else presence and size are looked at.
    """
    store = Store(card.folder)
    if card.install is None:
        return [fault for source in card.sources for fault in _not_there(source, store)] or [_not_locked(store)]
    pins = {pin.role: pin for pin in card.install.pins}
    found = [_missing(source, wanted, store) for source in card.sources for wanted in _beyond(source, pins)]
    for pin in card.install.pins:
        for file in pin.files:
            if what := _wrong(store.file(pin.repo, pin.commit, file.name), file, full=full, progress=progress):
                path = store.file(pin.repo, pin.commit, file.name)
                found.append(Fault(path=path, repo=pin.repo, name=file.name, what=what))
    return found


def begun(card: ModelCard) -> bool:
    """Whether a download of this engine was started and not finished. An engine's own weights are its first source."""
    if card.install is not None or not card.sources:
        return False
    store, own = Store(card.folder), card.sources[0]
    names = [choice.name + end for wanted in own.files for choice in wanted.choices() for end in ("", PARTIAL)]
    return any(store.found(repo, name) for repo, _ in own.places for name in names)


def human(size: int | None) -> str:
    """Bytes as people write them: 182 bytes, 1.5 kB, 198 MB, 3.4 GB."""
    if size is None:
        return "unknown size"
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if size >= 10**power:
            amount = size / 10**power
            return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"
    return f"{size} bytes"


def _wrong(path: Path, file: PinnedFile, *, full: bool, progress: Progress) -> str | None:
    if not path.is_file():
        return _absent(path)
    if (size := path.stat().st_size) != file.size:
        return f"{size} bytes instead of {file.size}"
    if not full:
        return None
    with progress(f"checking {path.name}", file.size, 0) as count:
        found = Digest().read(path, count).sha256
    return None if found == file.sha256 else f"damaged: sha256 {found[:12]}… instead of {file.sha256[:12]}…"


def _absent(path: Path) -> str:
    half = path.with_name(path.name + PARTIAL)
    return f"half downloaded: {human(half.stat().st_size)}" if half.is_file() else "missing"


def _beyond(source: Source, pins: dict[str, Pin]) -> list[WantedFile]:
    """The files a registry newer than the lock asks for."""
    pin = pins.get(source.role)
    have = {file.name for file in pin.files} if pin else set()
    needed = [wanted for wanted in source.files if not wanted.optional]
    return [wanted for wanted in needed if not have & {choice.name for choice in wanted.choices()}]


def _missing(source: Source, wanted: WantedFile, store: Store) -> Fault:
    path = store.folder(source.repo, "") / wanted.name
    return Fault(path=path, repo=source.repo, name=wanted.name, what="missing")


def _not_there(source: Source, store: Store) -> list[Fault]:
    """The needed files of a source that lie at no commit at all."""
    found = []
    for wanted in source.files:
        names = [(repo, choice.name) for repo, _ in source.places for choice in wanted.choices()]
        if wanted.optional or any(store.found(repo, name) for repo, name in names):
            continue
        fault = _missing(source, wanted, store)
        for half in (path for repo, name in names for path in store.found(repo, name + PARTIAL)):
            path = half.with_name(half.name.removesuffix(PARTIAL))
            fault = Fault(path=path, repo=source.repo, name=wanted.name, what=_absent(path))
        found.append(fault)
    return found


def _not_locked(store: Store) -> Fault:
    """All files are there, but who knows whether they are whole: the download ended before its last step."""
    return Fault(path=store.root / LOCK, repo="the store", name=LOCK, what="does not list them yet")
