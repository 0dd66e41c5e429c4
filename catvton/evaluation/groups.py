"""Figures for groups of people: is the model worse for some? The groups were labelled by eye; see data/groups.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catvton.evaluation.paired import Paired
from catvton.evaluation.parsing import Parsing

LABELS = Path(__file__).parent / "data" / "groups.json"

Groups = Mapping[str, frozenset[int]]
"""{group: photo numbers}; people of one axis are in exactly one of its groups."""


def read_groups(numbers: Sequence[int]) -> dict[str, frozenset[int]]:
    """The groups of these photos, axis after axis; empty ones are left out."""
    axes = json.loads(LABELS.read_text(encoding="utf-8"))["axes"].values()
    groups = {name: members for axis in axes for name, members in _of_axis(axis, frozenset(numbers)).items()}
    return {name: members for name, members in groups.items() if members}


def _of_axis(axis: Mapping[str, list[int] | None], all_numbers: frozenset[int]) -> dict[str, frozenset[int]]:
    named = frozenset(number for members in axis.values() for number in members or ())
    return {name: all_numbers - named if m is None else all_numbers & frozenset(m) for name, m in axis.items()}


def parser_figures(found: Parsing, groups: Groups) -> dict[str, Any]:
    """{group: {"photos", "mean_iou"}}."""
    chosen = {name: found.only(members) for name, members in groups.items()}
    return {name: {"photos": part.photos, "mean_iou": part.mean} for name, part in chosen.items()}


def paired_figures(found: Paired, groups: Groups, ways: Sequence[str]) -> dict[str, Any]:
    """{group: {"cases", way: {"region" or "mask": [CIEDE2000, SSIM]}}}; groups without a case are left out."""
    chosen = {name: found.only(members) for name, members in groups.items()}
    tables = {name: part.table() for name, part in chosen.items() if part.cases}
    return {
        name: {
            "cases": chosen[name].cases,
            **{way: {area: table[way][area]["all"] for area in ("region", "mask")} for way in ways},
        }
        for name, table in tables.items()
    }
