"""The square a published parser looks at, and the way back: the whole photo, shrunk to fit, black around it.

The outermost pixels' centres lie on each other: a photo's longer side spans pixel 0 to pixel side - 1. Pixels are
interpolated by OpenCV, as in the published code. Its versions differ: 4.x rounds coordinates to 1/32 pixel, 5.x does
not (2 % of the bytes differ, by up to 2 levels; labels agree on 99.7 %). The installed one is followed, so that the
result equals the published code's on the same machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Warp:
    """Between a photo of (width, height) `photo_size` and a square of `side` pixels."""

    photo_size: tuple[int, int]
    side: int

    def there(self, pixels: np.ndarray) -> np.ndarray:
        """The square's pixels, uint8 (side, side, 3), of a photo's uint8 (H, W, 3); 0 outside the photo."""
        return cv2.warpAffine(pixels, self._matrix(), (self.side, self.side), flags=cv2.INTER_LINEAR)

    def back(self, plane: np.ndarray) -> np.ndarray:
        """float32 (side, side) -> float32 (H, W) over the photo."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(plane, self._matrix(), self.photo_size, flags=flags)

    def _matrix(self) -> np.ndarray:
        """float64 (2, 3): photo (x, y, 1) -> square (x, y)."""
        width, height = self.photo_size
        last = self.side - 1
        scale = last / max(width - 1, height - 1, 1)
        left, top = (last - scale * (width - 1)) / 2, (last - scale * (height - 1)) / 2
        return np.array([[scale, 0, left], [0, scale, top]])
