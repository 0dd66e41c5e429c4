"""Whom of the people DensePose found does the user mean?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from model.errors import NoPersonFound

MIN_RIVAL = 0.25  # of the chosen person's pixels: others smaller than this are passers-by


class Instance(Protocol):
    """One person found.

    Attributes:
        box: left, top, right, bottom in pixels of the image.
        score: 0..1.
        labels: uint8 (H, W) over the whole image, body parts 1..24, 0 where this person is not.
    """

    box: tuple[float, float, float, float]
    score: float
    labels: np.ndarray


class BodyFinder(Protocol):
    """`densepose.DensePose`, as far as a masker needs it."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The best instance's labels, uint8 (H, W); all 0 when there is none."""

    def instances(self, image: Image.Image) -> Sequence[Instance]:
        """Everybody found."""


def choose(instances: Sequence[Instance], *, width: int) -> tuple[Instance, list[Instance]]:
    """The person meant, large and near the middle of a photo `width` pixels wide, and the other people.

    A second finding of the same person is left out.

    Raises:
        NoPersonFound: nobody, or nobody with a body part.
    """
    seen = sorted((one for one in instances if one.labels.any()), key=lambda one: -_weight(one, width))
    if not seen:
        raise NoPersonFound()
    people: list[Instance] = []
    for one in seen:
        if not any(_same(one, other) for other in people):
            people.append(one)
    return people[0], people[1:]


def rivals(chosen: Instance, others: Sequence[Instance]) -> list[Instance]:
    """Those of the others who are large enough to have been meant."""
    least = MIN_RIVAL * np.count_nonzero(chosen.labels)
    return [one for one in others if np.count_nonzero(one.labels) >= least]


def nearer_to_others(own: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """bool (H, W): pixels nearer to one of the other people's bodies than to the chosen one's; maps as `labels`."""
    rest = np.logical_or.reduce([other > 0 for other in others]) if others else np.zeros(own.shape, bool)
    if not rest.any():
        return np.zeros(own.shape, bool)
    if not own.any():
        return np.ones(own.shape, bool)
    return _distance(own > 0) > _distance(rest)


def _distance(to: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _weight(one: Instance, width: int) -> float:
    """Size, halved for somebody at the very side."""
    columns = np.flatnonzero(one.labels.any(0))
    off = abs((columns[0] + columns[-1] + 1) / 2 - width / 2) / (width / 2)
    return float(np.count_nonzero(one.labels) * (1 - 0.5 * off))


def _same(one: Instance, other: Instance) -> bool:
    """More than half of the smaller one's pixels are the other's too."""
    a, b = one.labels > 0, other.labels > 0
    return bool(2 * np.count_nonzero(a & b) > min(np.count_nonzero(a), np.count_nonzero(b)))
