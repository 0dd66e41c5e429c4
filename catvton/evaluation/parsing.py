"""The parser's figures: mean intersection over union of the eight classes, in the protocol's window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from catvton.ccp import CCP, CLASSES, cut_window, window_box
from catvton.evaluation.metrics import confusion, intersection_over_union
from catvton.evaluation.protocol import FIGURE_SIZE

Probabilities = Callable[[Image.Image], np.ndarray]
"""RGB 3:4 window -> float32 (8, h, w), as `model.compact_parser.CompactParser.probabilities`."""


@dataclass(frozen=True)
class Parsing:
    """What a parser got right: {photo number: pixels by true class (row) and guessed class (column), int64 (8, 8)}."""

    matrices: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def photos(self) -> int:
        return len(self.matrices)

    @property
    def matrix(self) -> np.ndarray:
        """int64 (8, 8), over all photos."""
        return sum(self.matrices.values(), np.zeros((len(CLASSES), len(CLASSES)), np.int64))

    def only(self, numbers: Collection[int]) -> Parsing:
        """The same for some of the photos."""
        return Parsing({number: matrix for number, matrix in self.matrices.items() if number in numbers})

    @property
    def mean(self) -> float:
        """Mean IoU over the classes that occur, 0..1."""
        return float(np.nanmean(intersection_over_union(self.matrix)))

    @property
    def each(self) -> dict[str, float]:
        """{class: IoU}; NaN for one that neither occurs nor is guessed."""
        return dict(zip(CLASSES, intersection_over_union(self.matrix).tolist(), strict=True))


def parsing(
    ccp: CCP,
    probabilities: Probabilities,
    numbers: Iterable[int],
    *,
    on_photo: Callable[[Image.Image, np.ndarray, np.ndarray], None] | None = None,
) -> Parsing:
    """One confusion matrix a photo, in its window at 192x256.

    Args:
        on_photo: shown each window (RGB), its labels and the guessed ones (uint8 (256, 192)).
    """
    found = Parsing()
    for number in numbers:
        labels = ccp.labels(number)
        box = window_box(labels)
        window, truth = cut_window(ccp.photo(number), box, FIGURE_SIZE), cut_window(labels, box, FIGURE_SIZE)
        guess = _labels(probabilities(window))
        found.matrices[number] = confusion(truth, guess, len(CLASSES))
        if on_photo is not None:
            on_photo(window, truth, guess)
    return found


def _labels(probabilities: np.ndarray) -> np.ndarray:
    """uint8 (256, 192): the likeliest class, of probabilities (8, h, w) of any size."""
    planes = probabilities.transpose(1, 2, 0).astype(np.float32)
    if planes.shape[1::-1] != FIGURE_SIZE:
        planes = cv2.resize(planes, FIGURE_SIZE, interpolation=cv2.INTER_LINEAR)
    return planes.argmax(-1).astype(np.uint8)
