"""Labelled photos held in memory at working size, and the random views of them that training draws.

Every photo is scaled so that its 3:4 window is `WINDOW_HEIGHT` pixels high and kept with what surrounds the window, so
that turned and moved views show street, not padding. 800 photos take about 400 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from catvton.ccp import CCP, window_box
from model.errors import NoPersonFound
from model.parsing import Parse

WINDOW_HEIGHT = 384


@dataclass(frozen=True)
class Labelled:
    """One photo at working size.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W), the eight classes.
        box: the 3:4 window, (left, top, right, bottom) in pixels, possibly reaching outside.
    """

    image: np.ndarray
    labels: np.ndarray
    box: tuple[float, float, float, float]


def load_labelled(ccp: CCP, numbers: Iterable[int]) -> list[Labelled]:
    """Read and scale photos; what lies more than a window away from the person is left out."""
    return [_scaled(ccp.photo(n), ccp.labels(n)) for n in numbers]


def load_guessed(
    ccp: CCP, numbers: Iterable[int], parse: Callable[[Image.Image], Parse], cache: Path
) -> list[Labelled]:
    """The same for photos without labels: a parser's guesses stand in for them, kept as pictures in the folder `cache`.

    Photos in which the parser sees nobody, or several people, are left out: there its guesses are worth little.
    """
    cache.mkdir(parents=True, exist_ok=True)
    photos = []
    for number in numbers:
        photo, path = ccp.photo(number), cache / f"{number:04d}.png"
        if not path.exists():
            Image.fromarray(_guess(photo, parse)).save(path)
        with Image.open(path) as image:
            labels = np.asarray(image)
        if labels.any():
            photos.append(_scaled(photo, labels))
    return photos


def _guess(photo: Image.Image, parse: Callable[[Image.Image], Parse]) -> np.ndarray:
    """uint8 (H, W) labels; all background where the guess should not be used."""
    try:
        found = parse(photo)
    except NoPersonFound:
        return np.zeros(photo.size[::-1], np.uint8)
    return np.zeros_like(found.labels) if found.notes else found.labels


def _scaled(photo: Image.Image, labels: np.ndarray) -> Labelled:
    left, top, right, bottom = window_box(labels)
    scale = WINDOW_HEIGHT / (bottom - top)
    width, height = (max(1, round(n * scale)) for n in photo.size)
    return Labelled(
        np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS)),
        cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST),
        tuple(v * scale for v in (left, top, right, bottom)),
    )


@dataclass(frozen=True)
class View:
    """An affine view of a photo: output pixel = matrix (2, 3) applied to a photo's pixel."""

    matrix: np.ndarray
    size: tuple[int, int]

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 RGB at `size`, edge-padded."""
        return cv2.warpAffine(pixels, self.matrix, self.size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """uint8 labels at `size`; outside the photo the edge is repeated, as in the picture."""
        return cv2.warpAffine(labels, self.matrix, self.size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def look_at(
    box: tuple[float, float, float, float],
    *,
    size: tuple[int, int],
    zoom: float = 1.0,
    turn: float = 0.0,
    centre: tuple[float, float] = (0.5, 0.5),
    mirror: bool = False,
    squeeze: float = 1.0,
) -> View:
    """The view of `box` through a window of `size` (W, H).

    Args:
        zoom: 2 shows half the box's width and height.
        turn: degrees, counter-clockwise.
        centre: which point of the box lies in the view's middle, as fractions.
        squeeze: extra horizontal scale.
    """
    left, top, right, bottom = box
    scale = size[1] / (bottom - top) * zoom
    x, y = left + centre[0] * (right - left), top + centre[1] * (bottom - top)
    cos, sin = np.cos(np.radians(turn)) * scale, np.sin(np.radians(turn)) * scale
    flip = -squeeze if mirror else squeeze
    linear = np.array([[cos * flip, sin], [-sin * flip, cos]])
    offset = np.array(size) / 2 - linear @ np.array([x, y])
    return View(np.hstack([linear, offset[:, None]]), size)


def random_view(rng: np.random.Generator, photo: Labelled, size: tuple[int, int], *, near: float = 0.35) -> View:
    """What a parser may look at: a share `near` of close views, 1.3x to 2.5x; else the whole figure, seldom distant."""
    if rng.random() < near:
        zoom = rng.uniform(1.3, 2.5)
        middle = (0.5 + rng.uniform(-0.12, 0.12), rng.uniform(0.5 / zoom, 1 - 0.5 / zoom))
    else:
        zoom = rng.uniform(0.75, 1.25)
        middle = (0.5 + rng.uniform(-0.1, 0.1), 0.5 + rng.uniform(-0.08, 0.08))
    return look_at(
        photo.box,
        size=size,
        zoom=zoom,
        turn=rng.normal(0, 6),
        centre=middle,
        mirror=rng.random() < 0.5,
        squeeze=rng.uniform(0.88, 1.14),
    )


def jitter_colours(rng: np.random.Generator, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Random gain, gamma, white balance, saturation, noise and blur on a uint8 RGB picture."""
    pixels = image.astype(np.float32) / 255
    gain = np.exp(rng.normal(0, 0.07 * strength, 3) + rng.normal(0, 0.15 * strength))
    gamma = np.exp(rng.normal(0, 0.2 * strength))
    pixels = np.clip(pixels * gain.astype(np.float32), 0, 1) ** np.float32(gamma)
    grey = pixels.mean(-1, keepdims=True)
    pixels = grey + (pixels - grey) * np.float32(np.exp(rng.normal(0, 0.25 * strength)))
    if rng.random() < 0.1:
        pixels = np.repeat(grey, 3, -1)
    if rng.random() < 0.25:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.4:
        pixels = pixels + rng.normal(0, rng.uniform(0.005, 0.04), pixels.shape).astype(np.float32)
    return np.clip(pixels * 255 + 0.5, 0, 255).astype(np.uint8)


def studio_background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """float32 (H, W, 3) in 0..255: a plain wall or a gradient, now and then with a floor, as in catalogues."""
    width, height = size
    light = rng.uniform(90, 255) if rng.random() < 0.8 else rng.uniform(10, 90)
    colour = np.clip(light + rng.normal(0, 14 if rng.random() < 0.7 else 45, 3), 0, 255)
    across, down = np.linspace(-0.5, 0.5, width)[None, :, None], np.linspace(-0.5, 0.5, height)[:, None, None]
    slope = rng.normal(0, 25, 2)
    wall = colour + slope[0] * across + slope[1] * down
    if rng.random() < 0.5:
        floor = np.clip(colour + rng.normal(0, 30), 0, 255)
        edge = 1 / (1 + np.exp(-(down - rng.uniform(0.25, 0.45)) * rng.uniform(10, 200)))
        wall = wall * (1 - edge) + floor * edge
    return np.clip(wall, 0, 255).astype(np.float32)


def replace_background(rng: np.random.Generator, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The labelled person before a studio background, with a slightly soft edge."""
    person = cv2.GaussianBlur((labels > 0).astype(np.float32), (0, 0), rng.uniform(0.6, 1.4))[..., None]
    wall = studio_background(rng, (image.shape[1], image.shape[0]))
    return (image * person + wall * (1 - person) + 0.5).astype(np.uint8)
