"""The embedded check: does a photo show a person mostly undressed? Geometry and colour, over any parser's label map.

A parser of street photos takes bare skin where clothes belong for cloth, more often than not. So its labels only say
where the person is; whether torso and hips are bare is asked of the colours there: how alike are they to the skin of
the same person's face and arms? Colours are compared as ratios, which light and shade leave alone, and a person's own
skin is the measure, whatever its tone. Both torso and hips must be bare: a short skirt or a bare midriff are nothing to
refuse, nor are swim shorts, though very short ones under a bare torso are refused about as often as not.

What it does not see: what lies outside the photo, people whose face and arms are not in it, and anything but skin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from PIL import Image

from catvton.safety import Verdict
from model.errors import NoPersonFound
from model.figure import Figure, measure
from model.labels import Body, Label
from model.parsing import Parse
from model.raster import Box, resize_labels
from model.regions import split
from model.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = (192, 256)  # (W, H) of the window everything is compared in
NAME = "undressed"

THRESHOLD = 0.48  # of `Bareness.score`; what it lets through and what it refuses: benchmarks/moderation.md

# Where torso and hips are, from the chin down, in parts of the stature; and how far out from their middle.
TORSO = (0.06, 0.26)
HIPS = (0.28, 0.48)
HALF_WIDTH = 0.11
SEEN = 0.2  # of such a zone's area: less in the photo, or not behind bags and hair, is not judged
WORN = (Label.SKIN, Label.UPPER, Label.LOWER, Label.DRESS)  # may all be skin: a parser trained on clothes sees clothes

OWN = (Body.FACE, Body.NECK, Body.ARM, Body.HAND)
LEAST_SKIN = 40  # pixels to compare with

# Of what a parser took for somebody, the least there is of a person: in a photo of a garment alone it finds less.
WEARER_SKIN, WEARER_HAIR, WEARER_SHOES = 0.045, 0.02, 0.015
WEARER_FACE = 0.03  # the face's width, a share of the person's height

SPREAD = 0.05  # of a colour's log ratio: what differs less is the same colour, however even the face
SHADE = (0.3, 0.3)  # of log brightness: what light and shade may do to skin; and how fast likeness falls beyond
DARK = 10.0  # added to every channel: the ratio of two dark numbers says little


class Seen(Protocol):
    """What a parser found: `model.parsing.Parse` and `model.published.PublishedParse` are such."""

    @property
    def labels(self) -> np.ndarray: ...

    @property
    def box(self) -> Box: ...


@dataclass(frozen=True, kw_only=True)
class Bareness:
    """How much of two parts of a body looks like the same person's skin, 0 to 1; None where that cannot be told."""

    torso: float | None = None
    hips: float | None = None

    @property
    def score(self) -> float:
        """0 to 1: how surely the person is mostly undressed; 0 where torso or hips cannot be judged."""
        return min(self.torso or 0.0, self.hips or 0.0)


def bareness(photo: Image.Image, seen: Seen) -> Bareness:
    """How bare the person in a photo is.

    Args:
        photo: RGB, any size (W, H).
        seen: the person found in it; `labels` is uint8 (H, W), values of `Label`.
    """
    pixels, labels = _window(photo, seen)
    if not labels.any():
        return Bareness()
    figure = measure(labels)
    likeness = _likeness(pixels, labels, figure)
    if likeness is None:
        return Bareness()
    return Bareness(
        torso=_level(likeness, labels, figure, TORSO),
        hips=_level(likeness, labels, figure, HIPS),
    )


class UndressChecker:
    """A `catvton.safety.Checker`: flags a picture of somebody mostly undressed; one without a person passes.

    Args:
        parse: RGB picture -> what is seen; raises `model.errors.NoPersonFound`.
    """

    def __init__(self, parse: Callable[[Image.Image], Seen], *, threshold: float = THRESHOLD) -> None:
        self._parse, self._threshold = parse, threshold

    def check(self, images: Sequence[Image.Image]) -> list[Verdict]:
        """One verdict per picture (PIL RGB, any size)."""
        return [self.judge(image, self.look(image)) for image in images]

    def look(self, image: Image.Image, parse: Callable[[Image.Image], Seen] | None = None) -> Seen | None:
        """The person in a picture; None for nobody. `parse`: another parser, such as one that remembers this photo."""
        try:
            return (parse or self._parse)(image)
        except NoPersonFound:
            return None

    def look_for_wearer(self, image: Image.Image) -> Seen | None:
        """The same of a garment photo, in which there is mostly nobody, whatever a parser makes of sleeves."""
        seen = self.look(image)
        return seen if seen and is_wearer(seen.labels) else None

    def judge(self, image: Image.Image, seen: Seen | None) -> Verdict:
        """The verdict on one picture in which that person is seen."""
        above = (bareness(image, seen).score if seen else 0.0) - self._threshold
        return Verdict(
            flagged=above > 0,
            scores=MappingProxyType({NAME: round(above, 3)}),
            hits=(NAME,) if above > 0 else (),
        )


def is_wearer(labels: np.ndarray) -> bool:
    """Whether it is sure to be a person: skin, a face, and hair or shoes. labels: uint8 (H, W), values of `Label`."""
    if not labels.any():
        return False
    figure = measure(labels)
    skin, hair, shoes = (np.mean(labels[labels > 0] == code) for code in (Label.SKIN, Label.HAIR, Label.SHOES))
    face = figure.head is not None and figure.head.width >= WEARER_FACE * (figure.box[3] - figure.box[1])
    return bool(face and skin >= WEARER_SKIN and (hair >= WEARER_HAIR or shoes >= WEARER_SHOES))


def _window(photo: Image.Image, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """The person's 3:4 window: uint8 (256, 192, 3) RGB, and uint8 (256, 192) labels, 0 outside the photo."""
    if isinstance(seen, Parse):  # its small map serves as well as one of the photo's size, which takes time to make
        window, labels = seen.window, seen.canvas
    else:
        window = Window.around(seen.box)
        labels = _cut(seen.labels, window)
    pixels = window.cut(photo, max_height=2 * SIZE[1]).resize(SIZE, Image.Resampling.LANCZOS)
    return np.asarray(pixels), resize_labels(labels, SIZE)


def _cut(labels: np.ndarray, window: Window) -> np.ndarray:
    """Labels (H, W) within the window, 0 where it leaves the photo."""
    rows, columns = np.arange(window.top, window.bottom), np.arange(window.left, window.right)
    cut = labels[np.clip(rows, 0, labels.shape[0] - 1)[:, None], np.clip(columns, 0, labels.shape[1] - 1)]
    cut[(rows < 0) | (rows >= labels.shape[0])] = 0
    cut[:, (columns < 0) | (columns >= labels.shape[1])] = 0
    return cut


def _likeness(pixels: np.ndarray, labels: np.ndarray, figure: Figure) -> np.ndarray | None:
    """float32 (256, 192) in 0..1: how alike each pixel is to the person's own skin; None where too little shows."""
    own = _own_skin(labels, figure)
    if own.sum() < LEAST_SKIN:
        return None
    red, green, blue = (pixels[..., channel].astype(np.float32) + DARK for channel in range(3))
    brightness = np.log(0.3 * red + 0.59 * green + 0.11 * blue)
    off = np.zeros(labels.shape, np.float32)
    for ratio in (np.log(red / green), np.log(blue / green)):
        usual = np.median(ratio[own])
        spread = 1.4826 * np.median(np.abs(ratio[own] - usual))
        off += (ratio - usual) ** 2 / (spread**2 + SPREAD**2)
    beyond = np.maximum(0, np.abs(brightness - np.median(brightness[own])) - SHADE[0]) / SHADE[1]
    return np.exp(-0.5 * (off + beyond**2))


def _own_skin(labels: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (256, 192): face and arms, or all skin where neither is told apart; without its rim, if that leaves any."""
    skin = np.isin(split(labels, figure), OWN)
    if skin.sum() < LEAST_SKIN:
        skin = labels == Label.SKIN
    inner = cv2.erode(skin.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return inner if inner.sum() >= LEAST_SKIN else skin


def _level(likeness: np.ndarray, labels: np.ndarray, figure: Figure, rows: tuple[float, float]) -> float | None:
    """Mean likeness over a zone of the body; None where too little of it is seen."""
    chin = figure.head.chin if figure.head else figure.shoulders[0][1] - 0.05 * figure.stature
    first, last = (round(chin + share * figure.stature) for share in rows)
    zone = np.isin(labels, WORN)
    zone[: max(0, first)] = zone[max(0, last) :] = False
    if zone.any():
        middle = np.median(np.nonzero(zone)[1])
        zone &= np.abs(np.arange(SIZE[0]) - middle) <= HALF_WIDTH * figure.stature
    area = (last - first) * 2 * HALF_WIDTH * figure.stature
    return float(likeness[zone].mean()) if zone.sum() > SEEN * area else None
