"""How results were made, as `protocol.json` says it: everything that moves a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from catvton.bench import machine
from catvton.errors import InputError
from catvton.evaluation.benchmark import REPAINT
from catvton.evaluation.benchmark_engine import identity
from catvton.evaluation.result_folder import FORMATS, JPEG_QUALITY, ResultFolder, differences
from catvton.evaluation.scores import SUFFIXES

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.datasets import Case
    from catvton.datasets.listed import ListedSet
    from catvton.evaluation.benchmark import Benchmark
    from catvton.evaluation.benchmark_engine import How

SPLIT = "test"
NOISE = "a generator of each picture's own, on the processor, seeded by the sha256 of SEED/NAME"
FILTER = "lanczos"


def about(source: ListedSet, cases: Sequence[Case], *, paired: bool) -> dict[str, Any]:
    """What the results are of."""
    return {
        "dataset": source.kind,
        "root": str(source.root.resolve()),
        "split": SPLIT,
        "paired": paired,
        "images": len(cases),
        "resize": FILTER,
        "networks": {},
    }


def making(card: ModelCard, how: How, run: Benchmark, *, masker: str) -> dict[str, Any]:
    """How the results are made, but for what `about` says. Raises WeightsError: files are missing."""
    formats = sorted({FORMATS[case.suffix.lower()] for case in run.cases})
    from_set = sum(case.mask.is_file() for case in run.cases)
    masks = {"set": from_set, "made": len(run.cases) - from_set, "masker": masker}
    return {
        "engine": card.id,
        "weights": identity(card),
        "precision": run.dresser.precision,
        "size": list(how.size),
        **({"network_size": list(card.size)} if card.placement else {}),
        "steps": how.steps,
        "guidance": how.guidance,
        "seed": run.seed,
        "noise": NOISE,
        "batch": run.batch,
        "file_format": ", ".join(formats),
        **({"jpeg_quality": JPEG_QUALITY} if "jpeg" in formats else {}),
        **({} if run.dresser.mask_free else {"masks": masks}),
        "machine": machine(),
    }


def pasted(way: str) -> dict[str, bool]:
    """What differs between the two ways results are kept."""
    return {"repaint": way == REPAINT}


def state_results(folder: ResultFolder, told: dict[str, Any], *, repaint: bool | None) -> None:
    """Make sure that a folder of finished results says what it is of.

    What the folder does not say itself is filled in as far as it can be seen: the size and the kind of its files.

    Args:
        told: as `about` has it.
        repaint: whether the results were pasted into the photos; None: not known.

    Raises:
        InputError: "results.folder", it has no pictures; "results.protocol", it is of another data set or setting.
    """
    there = folder.protocol() or {}
    same = {fact: told[fact] for fact in ("dataset", "split", "paired")}
    if found := differences({**same, **there}, {**there, **same}):
        raise InputError(f"The results in {folder.path} are others: {'; '.join(found)}.", code="results.protocol")
    stated = {"engine": folder.path.resolve().name, **({} if repaint is None else {"repaint": repaint})}
    now = {fact: told[fact] for fact in ("root", "images")}
    folder.write_protocol({**told, **stated, **_seen(folder.path), **there, **now})


def _seen(folder: Path) -> dict[str, Any]:
    first = min((path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES), default=None)
    if first is None:
        raise InputError(f"There are no pictures in {folder}.", code="results.folder")
    with Image.open(first) as picture:
        return {"size": list(picture.size), "file_format": (picture.format or "").lower()}
