"""What may be wrong with a person photo: turned, cut, covered, badly lit, out of focus, squeezed into a small JPEG.

Each disturbance moves pixels (or not), covers some of them (or not) and changes their values (or not). A mask is moved
and covered in the same way, so that what was to be replaced is still known to the pixel afterwards.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

Pixels = Callable[[np.ndarray], np.ndarray]
Box = tuple[int, int, int, int]

GREY = (128, 128, 128)


def _same(pixels: np.ndarray) -> np.ndarray:
    return pixels


@dataclass(frozen=True)
class Disturbance:
    """One kind of disturbance at one strength.

    Attributes:
        kind, strength: for the table, e.g. "turn" and "+10 degrees".
        turn: degrees, counterclockwise, about the picture's middle.
        keep: (left, top, right, bottom), shares of the picture that stay.
        cover: None, "bar" or "bag": what is drawn over the person.
        wide: of a bar its height, of a bag its width, as a share of the picture's height.
        pixels: changes values, uint8 (H, W, 3) to the same.
    """

    kind: str
    strength: str
    turn: float = 0.0
    keep: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    cover: str | None = None
    wide: float = 0.0
    pixels: Pixels = _same

    def picture(self, image: np.ndarray, where: Box) -> np.ndarray:
        """The disturbed picture.

        Args:
            image: uint8 (H, W, 3).
            where: box (left, top, right, bottom) of what is covered by a bar or a bag, in pixels of `image`.

        Returns:
            uint8 (h, w, 3), smaller only where something is cut off. What turns into view repeats the edge's pixels.
        """
        moved = _turned(image, self.turn, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        moved[self.covered(image.shape[:2], where)] = GREY
        return self.pixels(_cut(moved, self.keep))

    def map(self, mask: np.ndarray, where: Box) -> np.ndarray:
        """A uint8 (H, W) map through the same geometry, nearest pixel: 0 where it is covered or turns into view."""
        moved = _turned(mask, self.turn, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
        moved[self.covered(mask.shape, where)] = 0
        return _cut(moved, self.keep)

    def covered(self, shape: tuple[int, int], where: Box) -> np.ndarray:
        """bool (H, W): what a bar or a bag hides, before anything is cut off."""
        drawn = np.zeros(shape, np.uint8)
        middle, wide = ((where[0] + where[2]) // 2, (where[1] + where[3]) // 2), round(self.wide * shape[0])
        if self.cover == "bar":
            cv2.rectangle(drawn, (0, middle[1] - wide // 2), (shape[1], middle[1] + (wide + 1) // 2 - 1), 1, -1)
        elif self.cover == "bag":
            _draw_bag(drawn, where, wide)
        return drawn > 0


def _draw_bag(drawn: np.ndarray, where: Box, wide: int) -> None:
    """A bag at the left hip of the box, and its strap up to the opposite shoulder."""
    left, top, right, bottom = where
    x, y = left + (right - left) // 4, top + 2 * (bottom - top) // 3
    cv2.line(drawn, (x, y), (right - (right - left) // 4, top), 1, max(2, wide // 8))
    cv2.rectangle(drawn, (x - wide // 2, y - wide // 3), (x + wide // 2, y + wide // 2), 1, -1)


def _turned(pixels: np.ndarray, degrees: float, sampling: int, border: int) -> np.ndarray:
    if not degrees:
        return pixels.copy()
    high, wide = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(pixels, matrix, (wide, high), flags=sampling, borderMode=border)


def _cut(pixels: np.ndarray, keep: tuple[float, float, float, float]) -> np.ndarray:
    high, wide = pixels.shape[:2]
    left, top, right, bottom = (round(share * side) for share, side in zip(keep, (wide, high) * 2, strict=True))
    return pixels[top:bottom, left:right].copy()


# ---- light, focus, compression ---------------------------------------------------------------------------------------


def lit(*gains: float) -> Pixels:
    """Multiplies linear light, one gain for each of R, G, B; what gets too bright is clipped, as in a camera."""

    def change(pixels: np.ndarray) -> np.ndarray:
        linear = (pixels.astype(np.float32) / 255) ** 2.2 * np.float32(gains)
        return np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)

    return change


def blurred(share: float) -> Pixels:
    """Gaussian blur, its sigma a share of the picture's height."""
    return lambda pixels: cv2.GaussianBlur(pixels, (0, 0), share * pixels.shape[0])


def squeezed(quality: int) -> Pixels:
    """Through a JPEG file of this quality, as Pillow writes it."""

    def change(pixels: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return np.array(Image.open(file).convert("RGB"))

    return change


UNDISTURBED = Disturbance("undisturbed", "")
DISTURBANCES = (
    *(Disturbance("turn", f"{angle:+d} degrees", turn=angle) for angle in (-20, -10, -5, 5, 10, 20)),
    Disturbance("crop", "lowest quarter cut off", keep=(0, 0, 1, 0.75)),
    Disturbance("crop", "lower half cut off", keep=(0, 0, 1, 0.5)),
    Disturbance("crop", "third at the side cut off", keep=(1 / 3, 0, 1, 1)),
    Disturbance("cover", "bar, 1/20 of the height", cover="bar", wide=1 / 20),
    Disturbance("cover", "bar, 1/8 of the height", cover="bar", wide=1 / 8),
    Disturbance("cover", "bag with a strap", cover="bag", wide=1 / 6),
    Disturbance("light", "dark, 0.25 of the light", pixels=lit(0.25, 0.25, 0.25)),
    Disturbance("light", "bright, 2.5 times the light", pixels=lit(2.5, 2.5, 2.5)),
    Disturbance("light", "warm cast", pixels=lit(1.3, 1.0, 0.5)),
    Disturbance("light", "cold cast", pixels=lit(0.5, 1.0, 1.3)),
    *(Disturbance("blur", f"sigma 1/{part} of the height", pixels=blurred(1 / part)) for part in (400, 200, 100)),
    *(Disturbance("JPEG", f"quality {quality}", pixels=squeezed(quality)) for quality in (90, 50, 20)),
)
