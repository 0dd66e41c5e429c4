"""What is done to marked pictures, one at a time, and how often the mark must still be read."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageEnhance

from catvton.safety.watermark import Watermark

FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
Attack = Callable[[Image.Image, np.random.Generator], Image.Image]


def as_file(picture: Image.Image, kind: str, **options: int) -> Image.Image:
    """The picture as it comes back from a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file).convert("RGB")


def resized(factor: float) -> Attack:
    def attack(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        size = round(picture.width * factor), round(picture.height * factor)
        return picture.resize(size, FILTERS[rng.integers(len(FILTERS))])

    return attack


def cropped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part of 80 % of the area, of any proportions that allow it, from anywhere."""
    share = rng.uniform(0.8, 1.0)
    width, height = round(picture.width * share), round(picture.height * 0.8 / share)
    left, top = rng.integers(picture.width - width + 1), rng.integers(picture.height - height + 1)
    return picture.crop((left, top, left + width, top + height))


def through_three_formats(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return as_file(as_file(as_file(picture, "PNG"), "WEBP", quality=80), "JPEG", quality=75)


# {attack: (what is done, the share of pictures from which the mark must be read)}
ATTACKS: dict[str, tuple[Attack, float]] = {
    "none": (lambda picture, rng: picture, 1.0),
    "JPEG quality 60": (lambda picture, rng: as_file(picture, "JPEG", quality=60), 0.98),
    "resize to 200 %": (resized(2.0), 0.98),
    "brightness +20 %": (lambda picture, rng: ImageEnhance.Brightness(picture).enhance(1.2), 0.98),
    "brightness -20 %": (lambda picture, rng: ImageEnhance.Brightness(picture).enhance(0.8), 0.98),
    "contrast +20 %": (lambda picture, rng: ImageEnhance.Contrast(picture).enhance(1.2), 0.98),
    "contrast -20 %": (lambda picture, rng: ImageEnhance.Contrast(picture).enhance(0.8), 0.98),
    "PNG to WebP to JPEG": (through_three_formats, 0.98),
    "resize to 50 %": (resized(0.5), 0.95),
    "crop to 80 % of the area": (cropped, 0.95),
}


@dataclass
class Tally:
    """What came of marking and attacking pictures.

    Attributes:
        read: {attack: from how many pictures the mark was read}; wrong: how often another number was read.
        psnr: dB, of each picture; moved: levels, the most any pixel of each moved.
    """

    pictures: int = 0
    wrong: int = 0
    read: Counter[str] = field(default_factory=Counter)
    psnr: list[float] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    def share(self, attack: str) -> float:
        return self.read[attack] / self.pictures

    def failures(self) -> dict[str, float]:
        """{attack: share read} of those that fall short."""
        return {name: self.share(name) for name, (_, least) in ATTACKS.items() if self.share(name) < least}


def tally(watermark: Watermark, pictures: Iterable[Image.Image], *, seed: int = 0) -> Tally:
    """Mark each picture with a number of its own, do each thing to it, and read."""
    rng, found = np.random.default_rng(seed), Tally()
    for picture in pictures:
        number = int(rng.integers(2**48))
        marked = watermark.embed(picture, number)
        found.pictures += 1
        found.psnr.append(psnr(picture, marked))
        found.moved.append(int(np.abs(np.asarray(picture, np.int16) - np.asarray(marked)).max()))
        for name, (attack, _) in ATTACKS.items():
            read = watermark.read(attack(marked, rng))
            found.read[name] += read == number
            found.wrong += read not in (number, None)
    return found


def psnr(a: Image.Image, b: Image.Image) -> float:
    error = np.mean((np.asarray(a, np.float64) - np.asarray(b)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")
