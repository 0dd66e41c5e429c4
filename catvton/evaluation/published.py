"""The figures published systems print, each with where it was read: resource/published/ as data."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catvton.errors import SettingsError
from catvton.evaluation.conditions import METRICS, Conditions, conditions

PUBLISHED = Path(__file__).resolve().parents[2] / "resource" / "published"

DATASETS = {"vitonhd": "VITON-HD", "dresscode": "DressCode"}
SETTINGS = {"paired": True, "unpaired": False}
CONFIDENCES = {
    "verified": "read in the source's own table (in a text copy of the paper) or thread",
    "transcribed": "copied from notes that quote the source's table; the table itself was not seen",
    "uncertain": "from a summary that leaves something open",
}
_KEYS = {metric.key for metric in METRICS}
_COLUMNS = {"system", "dataset", "setting", "source", "confidence", "note"} | _KEYS
_WORDS = {"title", "table", "url", "measured_by", "basis"}
_FACTS = {"size", "repaint", "resize", "file_format", "jpeg_quality", "networks", "images"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A published table.

    Attributes:
        id: its name in results.csv; title: of the paper or thread; table: which one; url: where.
        measured_by: who took the figures; basis: where its conditions are stated.
        stated: its conditions as in sources.toml, `images` by data set.
    """

    id: str
    title: str
    table: str
    url: str
    measured_by: str
    basis: str
    stated: Mapping[str, Any]

    def conditions(self, dataset: str, *, paired: bool) -> Conditions:
        images = self.stated.get("images", {}).get(dataset)
        return conditions({**self.stated, "images": images}, paired=paired)


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """What one source prints of one system. `printed`: {metric: its text}, without the figures it does not print."""

    system: str
    dataset: str
    paired: bool
    printed: Mapping[str, str]
    source: Source
    confidence: str
    note: str

    @property
    def figures(self) -> dict[str, float]:
        return {key: float(text) for key, text in self.printed.items()}


def read_published(folder: Path = PUBLISHED) -> tuple[PublishedRow, ...]:
    """Every row of results.csv with its source from sources.toml, in the file's order.

    Raises:
        SettingsError: a key or column is missing or unknown, a row has no source, or a figure is not a number from 0
            up; it names the place.
    """
    sources = _sources(folder / "sources.toml")
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        _exactly(reader.fieldnames or (), _COLUMNS, "results.csv, its columns")
        rows = tuple(_row(fields, sources, f"results.csv, line {reader.line_num}") for fields in reader)
    seen = [(row.system, row.dataset, row.paired, row.source.id) for row in rows]
    if twice := {key for key in seen if seen.count(key) > 1}:
        raise SettingsError(f"results.csv has two rows for {' '.join(map(str, min(twice)))}")
    return rows


def _sources(path: Path) -> dict[str, Source]:
    return {name: _source(name, table) for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def _source(name: str, table: dict[str, Any]) -> Source:
    whose = f"sources.toml, [{name}]"
    _exactly(table, _WORDS | {"conditions"}, whose)
    if unknown := table["conditions"].keys() - _FACTS:
        raise SettingsError(f"{whose}: there is no condition {', '.join(sorted(unknown))}")
    if not table["url"].startswith("https://"):
        raise SettingsError(f"{whose}: its url does not begin with https://")
    return Source(id=name, stated=table["conditions"], **{key: table[key] for key in _WORDS})


def _row(fields: dict[str, str], sources: Mapping[str, Source], whose: str) -> PublishedRow:
    if None in fields or None in fields.values():
        raise SettingsError(f"{whose}: it has more or fewer cells than there are columns")
    for column, allowed in (
        ("dataset", DATASETS), ("setting", SETTINGS), ("confidence", CONFIDENCES), ("source", sources),
    ):  # fmt: skip
        if fields[column] not in allowed:
            raise SettingsError(f"{whose}: {column} {fields[column]!r} is none of {', '.join(allowed)}")
    if not fields["system"]:
        raise SettingsError(f"{whose}: it names no system")
    return PublishedRow(
        system=fields["system"],
        dataset=fields["dataset"],
        paired=SETTINGS[fields["setting"]],
        printed={key: _number(fields[key], f"{whose}, {key}") for key in sorted(_KEYS) if fields[key]},
        source=sources[fields["source"]],
        confidence=fields["confidence"],
        note=fields["note"],
    )


def _number(text: str, whose: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise SettingsError(f"{whose}: {text!r} is not a number from 0 up")
    return text


def _exactly(found: Iterable[str], expected: set[str], whose: str) -> None:
    found = set(found)
    if wrong := found ^ expected:
        words = [f"{name} is {'unknown' if name in found else 'missing'}" for name in sorted(wrong)]
        raise SettingsError(f"{whose}: {', '.join(words)}")
