"""Folders of results, read for a comparison: what they score, and how their results were made and scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from catvton.errors import InputError
from catvton.evaluation.conditions import METRICS, Conditions, conditions
from catvton.evaluation.result_folder import PROTOCOL, SCORES, ResultFolder

Interval: TypeAlias = tuple[float, float]

_WAYS = ("repaint", "plain")  # names that tell nothing without the run's before them


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of results.

    Attributes:
        path: where it is; name: how tables call it, unique among the folders of a comparison.
        dataset, paired: what it is about.
        protocol: all of protocol.json.
        figures: {metric: value}; intervals: {metric: (low, high) at 95 %}.
        each: {image: {"ssim": ..., "lpips": ...}}, empty for unpaired results.
    """

    path: Path
    name: str
    dataset: str
    paired: bool
    protocol: Mapping[str, Any]
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    each: Mapping[str, Mapping[str, float]]

    @cached_property
    def conditions(self) -> Conditions:
        return conditions(self.protocol, paired=self.paired)


def read_folders(paths: Sequence[Path]) -> list[Folder]:
    """The folders with their protocol.json and scores.json; of a run's folder, the ones in it.

    They are named by their last parts, as many as tell them apart.

    Raises:
        InputError: "compare.folder", naming the file that is missing or cannot be read; "compare.twice".
    """
    whole = [folder for path in paths for folder in _results_in(path.expanduser().resolve())]
    if twice := {path for path in whole if whole.count(path) > 1}:
        raise InputError(f"{min(twice)} is given twice: give each folder once.", code="compare.twice")
    return [_folder(path, name) for path, name in zip(whole, _names(whole), strict=True)]


def _results_in(path: Path) -> list[Path]:
    if (path / PROTOCOL).is_file():
        return [path]
    return sorted(file.parent for file in path.glob(f"*/{PROTOCOL}")) or [path]


def _names(paths: Sequence[Path]) -> list[str]:
    fewest = 2 if any(path.name in _WAYS for path in paths) else 1
    lengths = range(fewest, max((len(path.parts) for path in paths), default=0) + 1)
    choices = (["/".join(path.parts[-length:]) for path in paths] for length in lengths)
    return next((names for names in choices if len(set(names)) == len(paths)), [])


def _folder(path: Path, name: str) -> Folder:
    protocol = _table(ResultFolder(path).protocol(), path / PROTOCOL)
    scores = _table(ResultFolder(path).scores(), path / SCORES)
    for fact, kind in (("dataset", str), ("paired", bool)):
        if not isinstance(protocol.get(fact), kind):
            raise _unreadable(path / PROTOCOL, f'it does not say "{fact}"')
    return Folder(
        path=path,
        name=name,
        dataset=protocol["dataset"],
        paired=protocol["paired"],
        protocol={**protocol, "images": scores.get("images", protocol.get("images"))},
        figures=_figures(scores, path),
        intervals=_intervals(scores, path),
        each={image: _figures(values, path) for image, values in (scores.get("each") or {}).items()},
    )


def _table(found: Any, file: Path) -> dict[str, Any]:
    if found is None:
        raise InputError(
            f"{file} is missing: give folders that `evaluate vitonhd` or `evaluate dresscode` made and scored.",
            code="compare.folder",
        )
    if not isinstance(found, dict):
        raise _unreadable(file, "it is not an object")
    return found


def _figures(values: Any, path: Path) -> dict[str, float]:
    if not isinstance(values, dict):
        raise _unreadable(path / SCORES, f"{values!r} is not an object of figures")
    return {metric.key: _number(values[metric.key], path) for metric in METRICS if values.get(metric.key) is not None}


def _intervals(scores: Mapping[str, Any], path: Path) -> dict[str, Interval]:
    found = {metric.key: scores.get(f"{metric.key}_interval") for metric in METRICS}
    for ends in filter(None, found.values()):
        if not isinstance(ends, list) or len(ends) != 2:
            raise _unreadable(path / SCORES, f"{ends!r} is not an interval")
    return {key: (_number(ends[0], path), _number(ends[1], path)) for key, ends in found.items() if ends}


def _number(value: Any, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unreadable(path / SCORES, f"{value!r} is not a number")
    return float(value)


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(f"{path} cannot be read: {why}. Score the folder again.", code="compare.folder")
