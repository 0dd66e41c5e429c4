"""What a folder of results scores: SSIM, LPIPS, FID and KID, by the protocol of CatVTON's published figures.

Its `eval.py` is followed where that changes figures: results are read as they are; a truth of another size is resized
to its result's with LANCZOS and kept as a file of its own kind before anything is measured, so a JPEG is coded once
more, at Pillow's quality of 75. Results and truths are matched by their whole names, not by eight characters.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from catvton.errors import InputError
from catvton.evaluation import measured
from catvton.evaluation.frechet import fid_interval, frechet_distance, kernel_distance, kid_interval
from catvton.evaluation.inception import batches, opened
from catvton.evaluation.measured import Measured
from catvton.evaluation.similarity import ssim

if TYPE_CHECKING:
    from catvton.evaluation.networks import NetworkFile, Networks
    from catvton.evaluation.suite import Watch

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SEED = 42  # of KID's subsets and of the intervals' halves: the same files give the same figures
BATCH = 16
SAVE_EVERY = 16  # batches

Pairs: TypeAlias = dict[str, tuple[Path, Path]]
"""{name: (result, truth)}, sorted by name."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a folder of results scores.

    Attributes:
        images: how many results were scored.
        ssim, lpips: means over images; None for unpaired results, which have no right answer.
        fid, kid: of all results against all truths; KID is times 1000, as papers print it.
        fid_interval, kid_interval: (low, high) at 95 %; KID's times 1000.
        each: {name: {"ssim": ..., "lpips": ...}}; empty for unpaired results.
    """

    images: int
    ssim: float | None
    lpips: float | None
    fid: float
    kid: float
    fid_interval: tuple[float, float]
    kid_interval: tuple[float, float]
    each: dict[str, dict[str, float]]


def _unwatched(things: Iterable[Any], what: str, count: int) -> Iterable[Any]:
    return things


def score_folder(
    results: Path, truths: Mapping[str, Path], *, paired: bool, networks: Networks, watch: Watch = _unwatched
) -> Scores:
    """Score every result against its truth.

    What was measured of each image is kept beside the folder, in `<results>.features.npz`: scoring again takes it from
    there, and a scoring that was stopped goes on where it was.

    Args:
        results: folder of pictures, also in folders below; a result's name is its path in there without the suffix.
        truths: {name: the photo that was dressed}, for exactly the results there are.
        paired: the person wears the garment in the truth already, so SSIM and LPIPS mean something.
        watch: shown the images that are not known yet.

    Raises:
        InputError: results are missing, too many or too few, or a picture cannot be opened.
        WeightsError: a network cannot be had.
    """
    results = Path(results).absolute()
    pairs = match(results, truths)
    kept = results.with_name(f"{results.name}.features.npz")
    rows = _measure(pairs, kept, paired=paired, networks=networks, watch=watch)
    mine, theirs = (np.stack([getattr(row, side) for row in rows]) for side in ("result", "truth"))
    generator = np.random.default_rng(SEED)
    low, high = kid_interval(mine, theirs, generator=generator, matched=True)
    return Scores(
        images=len(rows),
        ssim=float(np.mean([row.ssim for row in rows])) if paired else None,
        lpips=float(np.mean([row.lpips for row in rows])) if paired else None,
        fid=frechet_distance(mine, theirs),
        kid=1000 * kernel_distance(mine, theirs, generator=generator),
        fid_interval=fid_interval(mine, theirs, generator=generator, matched=True),
        kid_interval=(1000 * low, 1000 * high),
        each={name: _likeness(row) for name, row in zip(pairs, rows, strict=True)} if paired else {},
    )


def match(results: Path, truths: Mapping[str, Path]) -> Pairs:
    """Each result with its truth. Raises InputError ("results.*"), which names what does not fit."""
    found = _pictures(results)
    for names, what in (
        (truths.keys() - found.keys(), f"{results} lacks results"),
        (found.keys() - truths.keys(), f"{results} holds pictures that are no results of this data set"),
    ):
        if names:
            raise InputError(f"{what}: {_some(names)}.", code="results.names")
    if gone := {str(path) for path in truths.values() if not path.is_file()}:
        raise InputError(f"Photos of the data set are missing: {_some(gone)}.", code="results.truths")
    return {name: (found[name], truths[name]) for name in sorted(found)}


def truth_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3): the truth at the size (W, H) of its result, as the module's text says."""
    pixels = opened(path)
    if pixels.shape[1::-1] == size:
        return pixels
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return np.asarray(picture)
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return np.asarray(Image.open(file))


# ---- files -----------------------------------------------------------------------------------------------------------


def _pictures(folder: Path) -> dict[str, Path]:
    """{name: path} of the pictures in a folder and below; hidden ones are half written, or another program's."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", code="results.folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in inside.parts):
            continue
        name = inside.with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{found[name]} and {path} are two results of one name.", code="results.twice")
        found[name] = path
    return found


def _some(names: Iterable[str], most: int = 5) -> str:
    names = sorted(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# ---- measuring -------------------------------------------------------------------------------------------------------


def _measure(pairs: Pairs, kept: Path, *, paired: bool, networks: Networks, watch: Watch) -> list[Measured]:
    """What is to know of each image, in the pairs' order; what is not `kept` yet is measured, and kept."""
    keys = dict(zip(pairs, _keys(pairs.values(), networks.files(paired=paired).values()), strict=True))
    known = measured.read(kept)
    rows = {key: known[key] for key in keys.values() if key in known}
    todo = [name for name in pairs if keys[name] not in rows]
    try:
        for index, names in enumerate(batches(watch(todo, "scores", len(todo)), BATCH), start=1):
            new = _rows([pairs[name] for name in names], networks, paired=paired)
            rows |= zip((keys[name] for name in names), new, strict=True)
            if index % SAVE_EVERY == 0:
                measured.write(kept, rows)
    finally:
        if todo:
            measured.write(kept, rows)
    return [rows[key] for key in keys.values()]


def _keys(pairs: Iterable[tuple[Path, Path]], networks: Iterable[NetworkFile]) -> Iterator[str]:
    """What each image is known by."""
    start = [str(measured.DEFINITION), *(file.sha256 for file in networks)]
    for paths in pairs:
        digest = hashlib.sha256(" ".join(start).encode())
        for path in paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        yield digest.hexdigest()


def _rows(pairs: list[tuple[Path, Path]], networks: Networks, *, paired: bool) -> Iterator[Measured]:
    """One for each pair, in their order."""
    results = [opened(result) for result, _ in pairs]
    truths = [truth_picture(path, result.shape[1::-1]) for result, (_, path) in zip(results, pairs, strict=True)]
    seen = zip(networks.inception.features(results), networks.inception.features(truths), strict=True)
    for result, truth, (mine, theirs) in zip(results, truths, seen, strict=True):
        yield Measured(
            result=mine.astype(np.float32),
            truth=theirs.astype(np.float32),
            ssim=ssim(result, truth, device=networks.device) if paired else np.nan,
            lpips=networks.lpips(result, truth) if paired else np.nan,
        )


def _likeness(row: Measured) -> dict[str, float]:
    return {"ssim": row.ssim, "lpips": row.lpips}
