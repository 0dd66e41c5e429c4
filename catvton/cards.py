"""The registry: what each engine is called, where its files lie, under which licence, and which options it takes."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from catvton.errors import SettingsError, WeightsError

RESOURCE = Path(__file__).resolve().parent.parent / "resource"
MODELS = RESOURCE / "models.toml"


@dataclass(frozen=True, kw_only=True)
class Range:
    """An option's default and the values it may take, both ends included."""

    default: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One engine of the registry.

    Attributes:
        name, revision: together the identity a result reports, "name@revision".
        title, description: for people.
        licence: SPDX name; commercial: whether it allows commercial use.
        folder: where its files lie; files: the ones it needs, relative to it; mend: the command that brings them back.
        sizes: (width, height) in pixels the engine works at, the default first.
        steps, guidance: ranges and defaults of the two options.
        placement: whether the garment is laid on the body before the engine starts.
    """

    name: str
    revision: str
    title: str
    description: str
    licence: str
    commercial: bool
    folder: Path
    files: tuple[str, ...]
    mend: str
    sizes: tuple[tuple[int, int], ...]
    steps: Range
    guidance: Range
    placement: bool

    @property
    def id(self) -> str:
        return f"{self.name}@{self.revision}"

    @property
    def size(self) -> tuple[int, int]:
        """The default (width, height)."""
        return self.sizes[0]

    def missing_files(self) -> list[Path]:
        """The needed files that are not there; a weight file may be cut into shards, named by its index."""
        return [path for name in self.files for path in _missing(self.folder / name)]

    def require_files(self) -> None:
        """Raises: WeightsError: files are missing; it names every one and the command that brings them back."""
        if missing := self.missing_files():
            names = ", ".join(str(path.relative_to(self.folder)) for path in missing)
            raise WeightsError(
                f'The engine "{self.name}" lacks {len(missing)} of its files in {self.folder}: {names}. '
                f"To bring them back: {self.mend}"
            )


def _missing(path: Path) -> list[Path]:
    if path.is_file():
        return []
    index = path.with_name(path.name + ".index.json")
    if not index.is_file():
        return [path]
    shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return [path.with_name(shard) for shard in shards if not path.with_name(shard).is_file()]


def read_cards(path: Path = MODELS) -> dict[str, ModelCard]:
    """{name: card} from a registry file, in its order; relative folders start at the file's own.

    Raises:
        SettingsError: a key is missing or unknown, or a range does not hold its default; the message names it.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _card(name, table, root=path.parent) for name, table in tables.items()}


def _card(name: str, table: dict[str, Any], *, root: Path) -> ModelCard:
    wanted = {field.name for field in fields(ModelCard)} - {"name"}
    if wrong := wanted ^ table.keys():
        raise SettingsError(f"models.toml, [{name}]: missing or unknown: {', '.join(sorted(wrong))}")
    changed = {
        "folder": root / table["folder"],
        "files": tuple(table["files"]),
        "sizes": tuple((width, height) for width, height in table["sizes"]),
        "steps": _range(name, "steps", table["steps"]),
        "guidance": _range(name, "guidance", table["guidance"]),
    }
    return ModelCard(name=name, **(table | changed))


def _range(name: str, option: str, values: dict[str, float]) -> Range:
    made = Range(**values)
    if not made.minimum <= made.default <= made.maximum:
        raise SettingsError(f"models.toml, [{name}]: {option} {made.default} lies outside its own range")
    return made
