"""The best and the worst results of a folder as small pictures: person, garment and result side by side."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from catvton.datasets.cases import open_photo
from catvton.errors import InputError
from catvton.evaluation.compare_folders import Folder
from catvton.evaluation.conditions import METRICS, Metric
from catvton.evaluation.sheets import sheet

if TYPE_CHECKING:
    from catvton.datasets.cases import Case

log = logging.getLogger(__name__)

SHOWN = 4  # results at either end
CELL = (120, 160)


@dataclass(frozen=True)
class Shown:
    """One result. `jpeg`: what could be opened of person, garment and result, side by side; `parts` names what is."""

    name: str
    figures: Mapping[str, float]
    parts: tuple[str, ...]
    jpeg: bytes


def judge(folder: Folder) -> Metric | None:
    """The figure that tells best from worst: LPIPS, closer to what people see than SSIM; else SSIM; or nothing."""
    found = set.intersection(*(set(figures) for figures in folder.each.values())) if folder.each else set()
    by_key = {metric.key: metric for metric in METRICS}
    return next((by_key[key] for key in ("lpips", "ssim") if key in found), None)


def extremes(folder: Folder, metric: Metric, *, count: int = SHOWN) -> tuple[list[str], list[str]]:
    """Names of the best results, best first, and of the worst, worst first; no result is in both."""
    ordered = sorted(folder.each, key=lambda name: folder.each[name][metric.key], reverse=metric.higher)
    best = min(count, (len(ordered) + 1) // 2)
    worst = min(count, len(ordered) - best)
    return ordered[:best], ordered[::-1][:worst]


def shown(folder: Folder, names: Sequence[str]) -> list[Shown]:
    """The results of these names; person and garment as well where the data set is still where the protocol says."""
    cases = _cases(folder)
    return [_shown(folder, name, cases.get(name)) for name in names]


def _shown(folder: Folder, name: str, case: Case | None) -> Shown:
    files = {"person": case.person, "garment": case.garment} if case else {}
    files |= {"result": found} if (found := _result(folder.path, name)) else {}
    pictures = {part: picture for part, path in files.items() if (picture := _opened(path))}
    jpeg = _jpeg(list(pictures.values())) if pictures else b""
    return Shown(name, folder.each[name], tuple(pictures), jpeg)


def _cases(folder: Folder) -> dict[str, Case]:
    from catvton.datasets import DressCode, VitonHD

    kinds, root = {"vitonhd": VitonHD, "dresscode": DressCode}, folder.protocol.get("root")
    if not root or folder.dataset not in kinds:
        return {}
    try:
        cases = kinds[folder.dataset](root).cases(folder.protocol.get("split", "test"), paired=folder.paired)
    except InputError as error:
        log.info("no persons and garments are shown of %s: %s", folder.path, error)
        return {}
    return {case.name: case for case in cases}


def _result(folder: Path, name: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{escape(name)}.*"))), None)


def _opened(path: Path) -> Image.Image | None:
    try:
        return open_photo(path, named=str(path))
    except InputError as error:
        log.warning("%s", error)
        return None


def _jpeg(pictures: Sequence[Image.Image]) -> bytes:
    file = io.BytesIO()
    sheet([pictures], cell=CELL).save(file, "JPEG", quality=80)
    return file.getvalue()
