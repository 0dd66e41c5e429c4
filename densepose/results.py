"""What is found in a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]


def scale_box(box: Sequence[float], before: tuple[int, int], after: tuple[int, int]) -> Box:
    """Left, top, right, bottom when an image of (height, width) `before` becomes one of `after`."""
    y, x = after[0] / before[0], after[1] / before[1]
    left, top, right, bottom = box
    return left * x, top * y, right * x, bottom * y


@dataclass(frozen=True)
class Instance:
    """One person in a photo of H rows and W columns.

    Attributes:
        box: left, top, right, bottom in photo pixels, not rounded.
        score: probability that it is a person.
        labels: uint8 (H, W), the part each pixel shows, 1 to 24, 0 outside this person: 1, 2 torso (back, front);
            3, 4 hands; 5, 6 feet; 7 to 10 upper and 11 to 14 lower legs; 15 to 18 upper and 19 to 22 lower arms;
            23, 24 head.
    """

    box: Box
    score: float
    labels: np.ndarray


@dataclass(frozen=True)
class Surface:
    """One person as a CSE network sees them.

    Attributes:
        box: left, top, right, bottom in photo pixels, not rounded.
        score: probability that it is a person.
        embedding: float32 (D, S, S), a grid laid over the box: the point in embedding space of what is seen there.
        coarse: float32 (C, S, S), logits over the same grid: "nothing" first, then body (C = 2) or parts.
    """

    box: Box
    score: float
    embedding: np.ndarray
    coarse: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """bool (S, S): where the grid shows the person."""
        return self.coarse.argmax(0) > 0
