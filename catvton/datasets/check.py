"""The validator of a set's files: what is missing, damaged, of another size, or no mask although it is called one.

Photos are opened, not decoded: their headers state the size. Masks are decoded, and photos too where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from catvton.datasets import faults as kinds
from catvton.datasets.cases import BROKEN, Case
from catvton.datasets.faults import Fault

if TYPE_CHECKING:
    from catvton.evaluation.suite import Watch

# A mask is near-black or near-white but for the edges JPEG blurs; a third and more of an agnostic picture is neither.
_DARK, _LIGHT = 32, 224
_GREY_SHARE = 0.1
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})  # what a metric reads of a folder


def unwatched(things: Iterable[Any], what: str, count: int) -> Iterable[Any]:
    """The `Watch` that tells nobody."""
    return things


def check_files(cases: Sequence[Case], *, thorough: bool = False, watch: Watch = unwatched) -> list[Fault]:
    """Every fault of the cases' files, in the cases' order.

    thorough: decode the photos as well, which finds truncated ones; about 10 ms for each.
    """
    with ThreadPoolExecutor() as pool:
        found = pool.map(partial(_faults_of, thorough=thorough), cases)
        return [fault for faults in watch(found, "cases", len(cases)) for fault in faults]


def check_truth_folder(folder: Path, cases: Sequence[Case], *, training: Iterable[Case] = ()) -> list[Fault]:
    """What a folder of real photos holds beside one of each of the cases' people, and whom it lacks.

    clean-fid reads every picture below a folder. DressCode's own `images` holds garments and training people too: an
    FID against it is 57 where 4 is right. Files are matched by their name without its ending.
    """
    lacking, trained = {case.person.stem for case in cases}, {case.person.stem for case in training}
    garments, found = {case.garment.stem for case in cases} - lacking, []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES):
        if path.stem in lacking:
            lacking.remove(path.stem)
        else:
            found.append(_stranger(path, garments, trained))
    return found + [
        Fault(kinds.TRUTH_MISSING, folder / name, "A person of the test list is not in this folder.")
        for name in sorted(lacking)
    ]


def _stranger(path: Path, garments: set[str], trained: set[str]) -> Fault:
    if path.stem in garments or path.stem.endswith("_1"):  # DressCode: NNNNNN_0 the person, NNNNNN_1 the garment
        return Fault(kinds.TRUTH_GARMENT, path, "A garment's picture lies among the real photos.")
    if path.stem in trained:
        return Fault(kinds.TRUTH_TRAINING, path, "A training person's photo lies among the real photos.")
    return Fault(kinds.TRUTH_EXTRA, path, "This picture is of nobody in the test list, or of someone a second time.")


def _faults_of(case: Case, *, thorough: bool) -> list[Fault]:
    person, found = _photo(case.person, kinds.PERSON_MISSING, decode=thorough)
    garment, more = _photo(case.garment, kinds.GARMENT_MISSING, decode=thorough)
    found += more
    if person and garment and person != garment:
        message = f"The garment is {_by(garment)} and its person {case.person.name} {_by(person)}."
        found.append(Fault(kinds.SIZES_DIFFER, case.garment, message))
    return [*found, *_mask(case, person)]


def _photo(path: Path, missing: str, *, decode: bool) -> tuple[tuple[int, int] | None, list[Fault]]:
    """The photo's size (W, H), None if it cannot be had, and the photo's faults."""
    try:
        with Image.open(path) as image:
            if decode:
                image.load()
            width, height = image.size
    except FileNotFoundError:
        return None, [Fault(missing, path, f"The {missing.partition('.')[0]}'s photo is missing.")]
    except BROKEN:
        return None, [Fault(kinds.UNREADABLE, path, "This file is damaged, cut short or not a picture.")]
    if abs(width * 4 - height * 3) >= 4:  # a pixel off is rounding
        return (width, height), [Fault(kinds.NOT_3_TO_4, path, f"The photo is {_by((width, height))}, not 3:4.")]
    return (width, height), []


def _mask(case: Case, photo: tuple[int, int] | None) -> Iterator[Fault]:
    try:
        with Image.open(case.mask) as image:
            pixels = np.asarray(image.convert("L"))
    except FileNotFoundError:
        yield Fault(kinds.MASK_MISSING, case.mask, "The mask is missing; it can be made from the photo.")
        return
    except BROKEN:
        yield Fault(kinds.UNREADABLE, case.mask, "This file is damaged, cut short or not a picture.")
        return
    size = pixels.shape[1::-1]
    if photo and size != photo:
        yield Fault(kinds.MASK_SIZE, case.mask, f"The mask is {_by(size)} and its photo {_by(photo)}.")
    grey = np.mean((pixels >= _DARK) & (pixels < _LIGHT))
    if grey > _GREY_SHARE:
        message = f"{grey:.0%} of this picture is neither black nor white: it is an agnostic picture, not a mask."
        yield Fault(kinds.MASK_GREY, case.mask, message)
    elif pixels.max() < _LIGHT or pixels.min() >= _DARK:
        message = f"This mask marks {'everything' if pixels.min() >= _DARK else 'nothing'}: white (255) may change."
        yield Fault(kinds.MASK_UNIFORM, case.mask, message)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
