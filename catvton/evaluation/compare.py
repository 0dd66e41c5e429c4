"""Folders of results beside each other and beside what published systems print, ranked only where it is fair.

A table is one data set in one setting. Its rows fall into groups that were measured alike, named by letters; places
are given within a group and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from catvton.evaluation.compare_folders import Folder, Interval
from catvton.evaluation.conditions import METRICS, Conditions, Metric, differences
from catvton.evaluation.published import DATASETS, PublishedRow

Key: TypeAlias = tuple[str, bool]
"""(data set, whether paired): what a table is about."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table: a folder's, or what a source prints of a system.

    Attributes:
        name: of the folder or the system; ours: whether it is a folder's.
        figures, intervals: as in `Folder`. printed: {metric: as the source prints it}, with its digits.
        conditions: as far as stated. maker: rows of one maker were measured alike, whatever is stated of it.
        source: where the figures are from, in words; url: where to read them; basis: who took them, and where their
            conditions are stated; confidence: a key of `published.CONFIDENCES`, or "measured".
        note: what else a reader has to know.
    """

    name: str
    ours: bool
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    conditions: Conditions
    maker: str
    printed: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    url: str = ""
    basis: str = ""
    confidence: str = ""
    note: str = ""

    def text(self, metric: Metric) -> str:
        """The figure for a reader; a dash where there is none."""
        return self.printed.get(metric.key) or metric.text(self.figures.get(metric.key))


@dataclass(frozen=True, kw_only=True)
class Table:
    """One data set in one setting. `groups`: the rows that were measured alike, every row in exactly one group."""

    dataset: str
    paired: bool
    groups: tuple[tuple[Row, ...], ...]
    warnings: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{DATASETS.get(self.dataset, self.dataset)}, {'paired' if self.paired else 'unpaired'}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """SSIM and LPIPS need a right answer, which unpaired results do not have."""
        return tuple(metric for metric in METRICS if self.paired or metric.key in ("fid", "kid"))

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for group in self.groups for row in group)

    def lettered(self) -> list[tuple[str, tuple[Row, ...]]]:
        return [(letter(index), rows) for index, rows in enumerate(self.groups)]


def compare(folders: Sequence[Folder], published: Iterable[PublishedRow], *, keys: Sequence[Key]) -> list[Table]:
    """A table for each of `keys`: published rows first, then the folders'."""
    published = list(published)
    return [
        _compared(
            key,
            [row for row in published if (row.dataset, row.paired) == key],
            [folder for folder in folders if (folder.dataset, folder.paired) == key],
        )
        for key in keys
    ]


def place(row: Row, rows: Sequence[Row], metric: Metric) -> tuple[int, int] | None:
    """(place, of how many) of a row among rows measured alike; equal values share a place. None: nothing to rank."""
    values = [each.figures[metric.key] for each in rows if metric.key in each.figures]
    if metric.key not in row.figures or len(values) < 2:
        return None
    mine = row.figures[metric.key]
    ahead = sum(value > mine if metric.higher else value < mine for value in values)
    return ahead + 1, len(values)


def letter(index: int) -> str:
    """A, B, ... Z, AA, ..."""
    return letter(index // 26 - 1) + chr(65 + index % 26) if index >= 26 else chr(65 + index)


def _compared(key: Key, published: Sequence[PublishedRow], folders: Sequence[Folder]) -> Table:
    warnings = differences({folder.name: folder.conditions for folder in folders})
    rows = [*map(_printed, published), *map(_measured, folders)]
    return Table(dataset=key[0], paired=key[1], groups=_groups(rows), warnings=tuple(warnings))


def _printed(row: PublishedRow) -> Row:
    return Row(
        name=row.system,
        ours=False,
        figures=row.figures,
        printed=row.printed,
        intervals={},
        conditions=row.source.conditions(row.dataset, paired=row.paired),
        maker=row.source.id,
        source=f"{row.source.title}, {row.source.table}",
        url=row.source.url,
        basis=f"Measured by {row.source.measured_by}. {row.source.basis}",
        confidence=row.confidence,
        note=row.note,
    )


def _measured(folder: Folder) -> Row:
    return Row(
        name=folder.name,
        ours=True,
        figures=folder.figures,
        intervals=folder.intervals,
        conditions=folder.conditions,
        maker=str(folder.path),
        source=f"measured here: {folder.protocol.get('engine', 'engine not stated')}",
        confidence="measured",
    )


def _groups(rows: Sequence[Row]) -> tuple[tuple[Row, ...], ...]:
    """Each row joins the first group whose every member was measured like it, or opens one of its own."""
    groups: list[list[Row]] = []
    for row in rows:
        home = next((group for group in groups if all(_alike(row, member) for member in group)), None)
        if home is None:
            groups.append([row])
        else:
            home.append(row)
    return tuple(map(tuple, groups))


def _alike(one: Row, other: Row) -> bool:
    return one.maker == other.maker or one.conditions.alike(other.conditions)
