"""The invisible mark on every picture a service hands out: a 48-bit job number, spread over all of it as faint grain.

The same small tile (`catvton.safety.pattern`) is added all over the picture, stronger where the picture hides it. The
reader makes the picture even, lays all its tiles on top of each other, and decodes what stands out of the sum
(`catvton.safety.ecc`): so a part of the picture is enough, wherever it was cut out. Tiles of a picture that was resized
are found by their repeating (`catvton.safety.periods`). It does not outlive turning or mirroring, nor somebody who sets
out to remove it: it is for tracing pictures, not for proving who made them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from catvton.errors import TryOnError
from catvton.safety import ecc, pattern
from catvton.safety.pattern import SIDE, Peak
from catvton.safety.periods import periods

MOST_MOVED = 6  # levels of 255, of any pixel
LEAST_PSNR = 38.5  # dB, before rounding
_COMFORTABLE = 1_200_000  # pixels; larger pictures are marked and read at half, a quarter... of their size

_GRAIN = 0.8, 1.4  # levels: the mark's strength on plain ground, in a picture full of detail and in a plain one
_PLAIN = 0.4, 0.8  # how much of those two is plain
_SHARE = 0.12  # of the picture's own contrast that the mark may have besides
_STRONGEST = 3.0  # levels, standard deviation
_ENOUGH = 400_000  # pixels; smaller pictures get a stronger mark

_PEAKS = 3  # places that are tried at each scale
_PERIODS = 5  # scales that are tried besides the usual three
_HEIGHT = 4.5  # standard deviations; lower peaks are noise

# One reading checks at most so many words, and each passes by chance once in 2**32 times.
FALSE_POSITIVE_BOUND = (3 + _PERIODS) * _PEAKS / 2**ecc.CHECK_BITS


class CannotMark(TryOnError):
    """The picture is too small, or too loud for its size, to carry a mark that can be read back."""


class Watermark(Protocol):
    """What `TryOn` asks of an invisible watermark. One object serves any number of threads."""

    def embed(self, image: Image.Image, payload: int) -> Image.Image:
        """A copy of the picture (PIL RGB) that carries `payload`, a number below 2**48, and can be read back.

        Raises:
            CannotMark: no mark that can be read back fits into the picture.
        """

    def read(self, image: Image.Image) -> int | None:
        """The number that a picture (PIL, any mode) carries; None if none is found."""


class TiledWatermark:
    """The watermark this project has: see the module. Holds nothing."""

    def embed(self, image: Image.Image, payload: int) -> Image.Image:
        """See `Watermark.embed`. No pixel moves by more than 6 levels, and the PSNR is above 38 dB.

        An earlier mark is taken out first: a result that is dressed again tells of its last job.
        """
        pixels = np.asarray(image.convert("RGB"))
        small = _comfortable(_luma(pixels))
        tile = pattern.tile(ecc.encode(payload))
        for old in _found_at(small, 1.0):
            tile = tile - _placed(pattern.tile(ecc.encode(old.payload)), old.peak)
        grain = _limited(_strength(small) * _repeated(tile, small.shape))
        marked = _added(pixels, grain)
        if payload not in [found.payload for found in _found_at(_comfortable(_luma(marked)), 1.0)]:
            raise CannotMark(f"A picture of {image.width} x {image.height} pixels like this one cannot carry the mark.")
        return Image.fromarray(marked)

    def read(self, image: Image.Image) -> int | None:
        """See `Watermark.read`. Of several marks it is the one that stands out most."""
        luma = _comfortable(_luma(np.asarray(image.convert("RGB"))))
        for scale in _scales(luma):
            found = _found_at(luma, scale)
            if found:
                return found[0].payload
        return None


# ---- both ------------------------------------------------------------------------------------------------------------


def _luma(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _comfortable(luma: np.ndarray) -> np.ndarray:
    """The picture (float32 HxW), or its half, quarter...: so that a large one's mark is coarse enough to be resized."""
    shrink = 1
    while luma.size > _COMFORTABLE * shrink**2:
        shrink *= 2
    return luma if shrink == 1 else _resized(luma, 1 / shrink)


def _resized(luma: np.ndarray, scale: float) -> np.ndarray:
    height, width = (max(round(side * scale), 1) for side in luma.shape)
    return cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _band(luma: np.ndarray) -> np.ndarray:
    """What of the picture lies in the mark's frequencies."""
    return cv2.GaussianBlur(luma, (0, 0), 1.0) - cv2.GaussianBlur(luma, (0, 0), 4.0)


# ---- marking ---------------------------------------------------------------------------------------------------------


def _strength(luma: np.ndarray) -> np.ndarray:
    """float32 HxW: the mark's standard deviation in levels, more where the picture is busy."""
    loud = np.abs(_band(luma))
    # The smaller of two neighbourhoods: plain ground beside an edge hides nothing.
    contrast = 1.25 * np.minimum(cv2.GaussianBlur(loud, (0, 0), 2.0), cv2.GaussianBlur(loud, (0, 0), 8.0))
    grain = np.float32(np.interp(np.mean(contrast < 2), _PLAIN, _GRAIN))
    gain = np.float32(min(max(math.sqrt(_ENOUGH / luma.size), 1.0), 3.0))
    return np.minimum(grain + np.float32(_SHARE) * contrast, np.float32(_STRONGEST)) * gain


def _repeated(tile: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape
    return np.tile(tile, (-(-height // SIDE), -(-width // SIDE)))[:height, :width]


def _placed(tile: np.ndarray, peak: Peak) -> np.ndarray:
    """The tile as it lies in a picture in which it begins at `peak`."""
    return np.roll(tile, (round(peak.y), round(peak.x)), axis=(0, 1))


def _limited(grain: np.ndarray) -> np.ndarray:
    most = 255 * 10 ** (-LEAST_PSNR / 20)
    return grain * np.float32(min(1.0, most / max(float(np.sqrt(np.mean(grain**2))), 1e-6)))


def _added(pixels: np.ndarray, grain: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    if grain.shape != (height, width):
        grain = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    step = np.rint(np.clip(grain, -MOST_MOVED, MOST_MOVED)).astype(np.int16)
    return (pixels + step[..., None]).clip(0, 255).astype(np.uint8)


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Found:
    payload: int
    peak: Peak


def _scales(luma: np.ndarray) -> Iterator[float]:
    """By which factors to resize the picture for its tiles, if it has any, to get their first size; likeliest first."""
    yield from (1.0, 2.0, 0.5)
    for period in periods(_even(luma), _PERIODS):
        yield SIDE / period


def _found_at(luma: np.ndarray, scale: float) -> list[_Found]:
    """The marks of a picture whose tiles are 128 pixels once it is resized by `scale`, the clearest first."""
    even = _even(luma if scale == 1 else _resized(luma, scale))
    spectrum = pattern.spectrum(_folded(even))
    likely = [peak for peak in pattern.peaks(spectrum, _PEAKS) if peak.height >= _HEIGHT]
    read = [(ecc.decode(pattern.soft_bits(spectrum, peak)), peak) for peak in likely]
    return [_Found(payload=payload, peak=peak) for payload, peak in read if payload is not None]


def _even(luma: np.ndarray) -> np.ndarray:
    """The picture with all its parts equally loud, about 1, so that no edge drowns the mark."""
    band = _band(luma)
    loudness = np.sqrt(np.maximum(cv2.GaussianBlur(band * band, (0, 0), 6.0), 0))
    return np.clip(band / (loudness + 1), -3, 3)


def _folded(even: np.ndarray) -> np.ndarray:
    """All tiles on top of each other: float32 128 x 128."""
    height, width = even.shape
    padded = np.pad(even, ((0, -height % SIDE), (0, -width % SIDE)))
    return padded.reshape(-(-height // SIDE), SIDE, -(-width // SIDE), SIDE).sum(axis=(0, 2))
