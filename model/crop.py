"""The part of a photo that is looked at, at the size it is looked at, and the way back. Geometry and pixels alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from model.raster import Box

Resize = Callable[[np.ndarray, tuple[int, int]], np.ndarray]

SMALL = 0.6  # of the photo's longer side: who is smaller than this is looked at closer
MARGIN = 0.15  # of the longer side of their box, on each side


def nearest(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels uint8 (H, W) at another (width, height); each pixel takes the one at its middle."""
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)


@dataclass(frozen=True)
class Crop:
    """A rectangle of a photo.

    Attributes:
        photo_size: (width, height) of the photo.
        box: the rectangle, inside the photo: left, top, right, bottom in its pixels, the last two exclusive.
        size: (width, height) at which it is looked at.
    """

    photo_size: tuple[int, int]
    box: Box
    size: tuple[int, int]

    @classmethod
    def of(cls, photo_size: tuple[int, int], box: Box | None = None, *, most: int | None = None) -> Crop:
        """A rectangle (by default the whole photo), scaled down to `most` pixels on its longer side if it has more."""
        left, top, right, bottom = box = box or (0, 0, *photo_size)
        width, height = right - left, bottom - top
        scale = 1.0 if most is None else min(1.0, most / max(width, height))
        return cls(photo_size, box, (max(1, round(width * scale)), max(1, round(height * scale))))

    @classmethod
    def around(cls, person: tuple[float, ...], photo_size: tuple[int, int], *, most: int) -> Crop:
        """The whole photo, or, where the person (a box in photo pixels) is small in it, what is around them."""
        left, top, right, bottom = person
        longer = max(right - left, bottom - top)
        if longer >= SMALL * max(photo_size):
            return cls.of(photo_size, most=most)
        space, (width, height) = MARGIN * longer, photo_size
        x, y = _within(left - space, width - 1), _within(top - space, height - 1)
        box = (x, y, max(x + 1, _within(right + space, width)), max(y + 1, _within(bottom + space, height)))
        return cls.of(photo_size, box, most=most)

    def cut(self, photo: Image.Image) -> Image.Image:
        """The photo's pixels in the rectangle, at `size`."""
        return photo.resize(self.size, Image.Resampling.LANCZOS, box=self.box, reducing_gap=3.0)

    def cut_map(self, labels: np.ndarray) -> np.ndarray:
        """uint8 (h, w) of the whole photo, at any resolution -> uint8 of the rectangle, at `size`."""
        if labels.shape == self.photo_size[::-1] and self.box == (0, 0, *self.photo_size) and self._true_to_scale:
            return labels
        (width, height), (rows, columns) = self.photo_size, labels.shape
        left, top, right, bottom = self.box
        y = (top + (np.arange(self.size[1]) + 0.5) * (bottom - top) / self.size[1]) * rows / height
        x = (left + (np.arange(self.size[0]) + 0.5) * (right - left) / self.size[0]) * columns / width
        return labels[np.clip(y.astype(int), 0, rows - 1)[:, None], np.clip(x.astype(int), 0, columns - 1)[None, :]]

    def back(self, labels: np.ndarray, *, resize: Resize = nearest) -> np.ndarray:
        """uint8 (h, w) of the rectangle -> uint8 (H, W) of the photo, 0 outside the rectangle."""
        left, top, right, bottom = self.box
        result = np.zeros(self.photo_size[::-1], np.uint8)
        result[top:bottom, left:right] = labels if self._true_to_scale else resize(labels, (right - left, bottom - top))
        return result

    def to_photo(self, box: Box) -> Box:
        """A box in the rectangle, in pixels of `size` -> the box in the photo that holds it."""
        left, top, right, bottom = self.box
        sx, sy = (right - left) / self.size[0], (bottom - top) / self.size[1]
        return (
            left + int(box[0] * sx),
            top + int(box[1] * sy),
            min(right, left + int(np.ceil(box[2] * sx))),
            min(bottom, top + int(np.ceil(box[3] * sy))),
        )

    @property
    def _true_to_scale(self) -> bool:
        return self.size == (self.box[2] - self.box[0], self.box[3] - self.box[1])


def _within(value: float, most: int) -> int:
    return min(max(round(value), 0), most)
