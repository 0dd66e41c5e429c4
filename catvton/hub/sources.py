"""What an engine is made of: files in repositories of a hub, as the registry names them. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from catvton.errors import SettingsError

ROLES = ("attention", "unet", "base", "vae", "densepose", "schp", "safety")
PRECISIONS = ("auto", "float32", "float16")


@dataclass(frozen=True, kw_only=True)
class WantedFile:
    """One file of a source.

    Attributes:
        name: its path in the repository, parted by "/".
        size: in bytes; sha256: in hexadecimal. Where the registry does not know them, the hub's word is taken at the
            first download and kept in the lock.
        optional: fetched where the repository has it, and not missed elsewhere.
        alternatives: files that do as well, the better first.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    optional: bool = False
    alternatives: tuple[WantedFile, ...] = ()

    @property
    def half(self) -> bool:
        """Whether it holds 16-bit numbers, by diffusers' way of naming such files."""
        return ".fp16." in self.name

    def choices(self, precision: str = "auto") -> list[WantedFile]:
        """What may be taken, the best first. "float16" prefers 16-bit files, "float32" refuses them."""
        all_of_them = [self, *self.alternatives]
        if precision == "float16":
            return sorted(all_of_them, key=lambda choice: not choice.half)
        return [choice for choice in all_of_them if precision == "auto" or not choice.half]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One part of an engine and the repository it comes from.

    Attributes:
        name: what the registry calls it; title: what it is, for people.
        role: what the engine takes it for, one of `ROLES`.
        repo: "owner/name"; revision: a branch, a tag or a commit of it.
        mirrors: repositories with the same files, "owner/name" or "owner/name@revision", asked in turn when `repo` has
            them no more.
        path: what in the repository stands for the role, a folder or a file; "" is the whole repository.
        licence: SPDX name; commercial: whether it allows commercial use.
    """

    name: str
    title: str
    role: str
    repo: str
    licence: str
    commercial: bool
    files: tuple[WantedFile, ...]
    revision: str = "main"
    mirrors: tuple[str, ...] = ()
    path: str = ""

    @property
    def places(self) -> list[tuple[str, str]]:
        """Every (repository, revision) to ask, the first first."""
        return [(self.repo, self.revision), *map(place, self.mirrors)]


def place(text: str) -> tuple[str, str]:
    """"owner/name@revision" -> ("owner/name", "revision"); without a revision, "main"."""
    repo, _, revision = text.partition("@")
    return repo, revision or "main"


def read_source(name: str, table: dict[str, Any]) -> Source:
    """A table `[sources.NAME]` of the registry. Raises SettingsError, which names it and what is wrong."""
    try:
        source = Source(**{"name": name} | table | {
            "files": tuple(map(_file, table["files"])),
            "mirrors": tuple(table.get("mirrors", ())),
        })  # fmt: skip
    except KeyError as error:
        raise _wrong(name, f"{error.args[0]} is missing") from error
    except TypeError as error:  # Python's own sentence names the key that is missing or unknown
        raise _wrong(name, str(error).partition(" ")[2]) from error
    if source.role not in ROLES:
        raise _wrong(name, f"role {source.role!r} is none of {', '.join(ROLES)}")
    for repo, _ in source.places:
        if len(repo.split("/")) != 2 or not _inside(repo):
            raise _wrong(name, f"{repo!r} is no repository, which is named like owner/name")
    for wanted in source.files:
        for choice in wanted.choices():
            if not _inside(choice.name):
                raise _wrong(name, f"{choice.name!r} is no path inside a repository")
    return source


def _file(entry: str | dict[str, Any]) -> WantedFile:
    table = {"name": entry} if isinstance(entry, str) else entry
    return WantedFile(**table | {"alternatives": tuple(map(_file, table.get("alternatives", ())))})


def _inside(path: str) -> bool:
    """Whether it stays below the folder it is joined to, on any system."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and not set(path) & set("\\:")


def _wrong(name: str, what: str) -> SettingsError:
    return SettingsError(f"models.toml, [sources.{name}]: {what}.")
