"""`models.lock`: which version of each engine is in use, what was in use before, and every file's commit and sha256.

A lock is data and its methods return new ones; `catvton.hub.store` reads and writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class PinnedFile:
    """A file as it was checked when it arrived: its path in the repository, bytes, and sha256 in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Pin:
    """What serves one role of an engine: these files of this repository at this commit."""

    role: str
    repo: str
    commit: str
    files: tuple[PinnedFile, ...]


@dataclass(frozen=True, kw_only=True)
class Install:
    """A complete set of files of one version of an engine; an engine that ships with the app has no pins."""

    version: str
    pins: tuple[Pin, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EngineLock:
    """Of one engine: what is in use (None: nothing was chosen), what was before, the oldest first, and the newest
    complete set of every version."""

    active: Install | None = None
    history: tuple[Install, ...] = ()
    installed: Mapping[str, Install] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Lock:
    """{engine: what is known of it}."""

    engines: Mapping[str, EngineLock] = field(default_factory=dict)

    def engine(self, name: str) -> EngineLock:
        return self.engines.get(name, EngineLock())

    def install(self, name: str, version: str) -> Install | None:
        """The set of a version: the one in use, else the newest; None if it was never complete."""
        engine = self.engine(name)
        if engine.active is not None and engine.active.version == version:
            return engine.active
        return engine.installed.get(version)

    def with_install(self, name: str, install: Install) -> Lock:
        """With a newly completed set. It is put in use where none is, or where another set of its version was."""
        engine = self.engine(name)
        engine = replace(engine, installed={**engine.installed, install.version: install})
        lock = self._with(name, engine)
        follows = engine.active is None or engine.active.version == install.version
        return lock.using(name, install) if follows else lock

    def using(self, name: str, install: Install) -> Lock:
        """With this set in use, and the one before it to go back to."""
        engine = self.engine(name)
        if engine.active == install:
            return self
        past = engine.history if engine.active is None else (*engine.history, engine.active)
        return self._with(name, replace(engine, active=install, history=past))

    def rolled_back(self, name: str) -> Lock | None:
        """With the set in use that was before; None if there was none."""
        engine = self.engine(name)
        if not engine.history:
            return None
        *past, last = engine.history
        return self._with(name, replace(engine, active=last, history=tuple(past)))

    def known(self, repo: str, commit: str, name: str) -> PinnedFile | None:
        """What any set of any engine says of a file."""
        for pin in self._pins():
            if (pin.repo, pin.commit) == (repo, commit):
                for file in pin.files:
                    if file.name == name:
                        return file
        return None

    def _pins(self) -> Iterator[Pin]:
        for engine in self.engines.values():
            active = () if engine.active is None else (engine.active,)
            for install in (*active, *engine.history, *engine.installed.values()):
                yield from install.pins

    def _with(self, name: str, engine: EngineLock) -> Lock:
        return Lock(engines={**self.engines, name: engine})


def as_data(lock: Lock) -> dict[str, Any]:
    """Plain dicts and lists, for JSON."""
    return {"format": FORMAT, **asdict(lock)}


def from_data(data: Any) -> Lock:
    """The lock in what JSON gave. Raises KeyError, TypeError, ValueError or AttributeError when it is none."""
    if data["format"] != FORMAT:
        raise ValueError(f"its format is {data['format']!r}, and this version of the app reads {FORMAT}")
    return Lock(engines={name: _engine(table) for name, table in data["engines"].items()})


def _engine(table: dict[str, Any]) -> EngineLock:
    return EngineLock(
        active=None if table["active"] is None else _install(table["active"]),
        history=tuple(map(_install, table["history"])),
        installed={version: _install(install) for version, install in table["installed"].items()},
    )


def _install(table: dict[str, Any]) -> Install:
    return Install(version=table["version"], pins=tuple(map(_pin, table["pins"])))


def _pin(table: dict[str, Any]) -> Pin:
    return Pin(**table | {"files": tuple(PinnedFile(**file) for file in table["files"])})
