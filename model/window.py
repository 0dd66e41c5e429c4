"""The 3:4 window a parser looks through, and the way back from it. Only geometry and pixels, no people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from model.raster import Box, resize_labels

ASPECT = 3 / 4


@dataclass(frozen=True)
class Window:
    """A 3:4 rectangle in photo pixels; it may reach outside the photo, where the edge pixels are repeated."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in photo pixels."""
        return self.right - self.left, self.bottom - self.top

    @classmethod
    def around(cls, box: Box, *, margin: float = 1.12) -> Window:
        """Centred on `box`: `margin` times as high, or as wide where that needs more room."""
        left, top, right, bottom = box
        width = margin * max(right - left, ASPECT * (bottom - top))
        height = width / ASPECT
        x, y = (left + right - width) / 2, (top + bottom - height) / 2
        x0, y0 = round(x), round(y)
        return cls(x0, y0, max(x0 + 1, round(x + width)), max(y0 + 1, round(y + height)))

    @classmethod
    def whole(cls, photo_size: tuple[int, int]) -> Window:
        """The smallest window that holds a whole photo of (width, height)."""
        return cls.around((0, 0, *photo_size), margin=1.0)

    def cut(self, photo: Image.Image, *, max_height: int) -> Image.Image:
        """The window's pixels as RGB, scaled down to `max_height` rows if it has more."""
        width, height = photo.size
        inner = (max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height))
        scale = min(1.0, max_height / self.size[1])
        seen = (max(1, round((inner[2] - inner[0]) * scale)), max(1, round((inner[3] - inner[1]) * scale)))
        part = photo.convert("RGB").resize(seen, Image.Resampling.LANCZOS, box=inner, reducing_gap=3.0)
        total = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))
        before = (
            min(max(round((inner[0] - self.left) * scale), 0), max(total[0] - seen[0], 0)),
            min(max(round((inner[1] - self.top) * scale), 0), max(total[1] - seen[1], 0)),
        )
        after = (max(total[0] - seen[0] - before[0], 0), max(total[1] - seen[1] - before[1], 0))
        padding = ((before[1], after[1]), (before[0], after[0]), (0, 0))
        return Image.fromarray(np.pad(np.asarray(part), padding, mode="edge"))

    def back(self, labels: np.ndarray, photo_size: tuple[int, int]) -> np.ndarray:
        """Bring a label map of the window to the photo; 0 outside the window.

        Args:
            labels: uint8 (h, w) of the whole window, any size.
            photo_size: (width, height).

        Returns:
            uint8 (height, width).
        """
        width, height = photo_size
        result = np.zeros((height, width), np.uint8)
        inner = (max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height))
        if inner[0] >= inner[2] or inner[1] >= inner[3]:
            return result
        full = resize_labels(labels, self.size)
        source = np.s_[inner[1] - self.top : inner[3] - self.top, inner[0] - self.left : inner[2] - self.left]
        result[inner[1] : inner[3], inner[0] : inner[2]] = full[source]
        return result

    def to_photo(self, box: Box, canvas_size: tuple[int, int], photo_size: tuple[int, int]) -> Box:
        """A box on a canvas of (width, height) that shows the window -> the box in the photo, clipped to it."""
        sx, sy = self.size[0] / canvas_size[0], self.size[1] / canvas_size[1]
        left, top = self.left + box[0] * sx, self.top + box[1] * sy
        right, bottom = self.left + box[2] * sx, self.top + box[3] * sy
        width, height = photo_size
        x0, y0 = min(max(int(left), 0), width - 1), min(max(int(top), 0), height - 1)
        x1, y1 = min(int(np.ceil(right)), width), min(int(np.ceil(bottom)), height)
        return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)
