"""The window of a photo that the model sees, and the way back.

A `Frame` ties a rectangle of the photo to the model's picture size. `cut` brings photo pixels to the model, `back`
brings the model's pixels to the photo's resolution, `paste_back` lays them in, inside the mask only: every other pixel
of the result is the photo's own, bit for bit. Where the rectangle reaches beyond the photo, the photo's outermost
pixels are repeated, for pictures and masks alike, so that what is masked at the photo's edge stays masked beyond it.

Boxes are (left, top, right, bottom) in photo pixels, sizes (width, height), both as in Pillow: pixel (x, y) covers the
square from (x, y) to (x + 1, y + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from catvton.resampling import (
    Box,
    Region,
    Size,
    clipped,
    filter_reach,
    nearest,
    outward,
    resized,
    resized_beyond,
)

_BASELINE_HEIGHT = 1024  # feathers are stated for a frame this high
_MAX_DISTORTION = 0.02  # how far a generated picture's proportions may be from the frame's


@dataclass(frozen=True)
class Frame:
    """A window of a photo and the size at which the model sees it.

    box: (left, top, right, bottom) in photo pixels, whole or fractional; may reach beyond the photo.
    size: (width, height) of the model's picture. The two scales may differ by the rounding of the box.
    """

    box: Box
    size: Size

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not all(map(math.isfinite, self.box)) or right <= left or bottom <= top:
            raise ValueError(f"a frame's box must be finite and have an area, got {self.box}")
        if min(self.size) < 1:
            raise ValueError(f"a frame's size must be at least 1 x 1, got {self.size}")

    @classmethod
    def around(cls, box: Box, *, photo_size: Size, size: Size, margin: float = 1.12) -> Frame:
        """The window with `size`'s proportions, centred on `box` and `margin` times as large as it needs to be.

        box: where the person (or the mask) is; what of it lies beyond the photo is left out of account.
        Returns a frame whose box has whole numbers, so that cutting at the photo's own scale copies pixels.
        """
        left, top, right, bottom = clipped(outward(box), photo_size)
        if right <= left or bottom <= top:
            raise ValueError(f"the box {box} does not lie in a photo of {photo_size}")
        aspect = size[0] / size[1]
        exact = max(margin * (bottom - top), margin * (right - left) / aspect)
        width, height = math.ceil(aspect * exact - 1e-6), math.ceil(exact - 1e-6)
        x, y = (left + right - width) // 2, (top + bottom - height) // 2
        return cls(box=(x, y, x + width, y + height), size=size)

    @property
    def height(self) -> float:
        """The window's height in photo pixels."""
        return self.box[3] - self.box[1]

    @property
    def scale(self) -> tuple[float, float]:
        """Photo pixels per frame pixel, across and down."""
        left, top, right, bottom = self.box
        return (right - left) / self.size[0], (bottom - top) / self.size[1]

    def inside(self, photo_size: Size) -> Region:
        """The photo's pixels that the window shows: (left, top, right, bottom), whole, half open, maybe empty.

        A pixel belongs to the window when its centre does, so neighbouring windows share none.
        """
        left, top, right, bottom = (math.ceil(edge - 0.5) for edge in self.box)
        left, top, right, bottom = clipped((left, top, right, bottom), photo_size)
        return left, top, max(left, right), max(top, bottom)

    def cut(self, image: Image.Image) -> Image.Image:
        """What the model sees of `image` (the whole photo, any Pillow mode that can be resampled): a picture of `size`.

        Antialiased; a window that is the whole photo gives what Pillow's plain `resize` gives. Raises ValueError when
        the window and the photo have nothing in common.
        """
        self._check_overlap(image.size)
        (x0, x1), (y0, y1) = self._near_columns(image.width, axis=0), self._near_columns(image.height, axis=1)
        scale_x, scale_y = self.scale
        box = (
            self.box[0] + x0 * scale_x,
            self.box[1] + y0 * scale_y,
            self.box[0] + x1 * scale_x,
            self.box[1] + y1 * scale_y,
        )
        near = resized_beyond(image, box, size=(x1 - x0, y1 - y0))
        if near.size == self.size:
            return near
        beyond = [(y0, self.size[1] - y1), (x0, self.size[0] - x1)]
        pixels = np.asarray(near)
        return Image.fromarray(np.pad(pixels, beyond + [(0, 0)] * (pixels.ndim - 2), mode="edge"))

    def cut_map(self, labels: np.ndarray) -> np.ndarray:
        """What the model sees of a map of the whole photo (HxW or HxWxC, any dtype: mask, labels), by nearest pixel.

        Beyond the photo the outermost values are repeated, as `cut` repeats the outermost pixels.
        """
        height, width = labels.shape[:2]
        self._check_overlap((width, height))
        columns = nearest(self.box[0], self.box[2], count=self.size[0], limit=width)
        rows = nearest(self.box[1], self.box[3], count=self.size[1], limit=height)
        return labels[rows[:, None], columns]

    def back(self, pixels: np.ndarray, *, photo_size: Size, region: Region | None = None) -> np.ndarray:
        """A picture of the frame at the photo's resolution.

        pixels: h x w or h x w x c, uint8 or float32, at `size` or any other size of the frame's proportions.
        region: (left, top, right, bottom) in whole photo pixels within `inside(photo_size)`, the default.
        Returns the region's pixels, of the same dtype and channels. The inverse of `cut` up to resampling, exact when
        the scale is 1.
        """
        self._check_proportions(pixels)
        left, top, right, bottom = region or self.inside(photo_size)
        if right <= left or bottom <= top:
            raise ValueError(f"the region {(left, top, right, bottom)} of a photo of {photo_size} is empty")
        per_x = pixels.shape[1] / (self.box[2] - self.box[0])
        per_y = pixels.shape[0] / self.height
        source = (
            (left - self.box[0]) * per_x,
            (top - self.box[1]) * per_y,
            (right - self.box[0]) * per_x,
            (bottom - self.box[1]) * per_y,
        )
        return resized(pixels, clipped(source, pixels.shape[1::-1]), size=(right - left, bottom - top))

    def _check_overlap(self, photo_size: Size) -> None:
        left, top, right, bottom = self.inside(photo_size)
        if right <= left or bottom <= top:
            raise ValueError(f"the frame {self.box} shows nothing of a photo of {photo_size}")

    def _check_proportions(self, pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        if abs(width * self.size[1] / (height * self.size[0]) - 1) > _MAX_DISTORTION:
            raise ValueError(f"a picture of {width} x {height} does not have the proportions of a frame of {self.size}")

    def _near_columns(self, length: int, *, axis: int) -> tuple[int, int]:
        """Frame columns (axis 0) or rows (axis 1) that can differ from each other; those before and after only repeat.

        Resampling a window far larger than the photo would mean padding the photo to it: gigabytes for a wide
        panorama. One filter's reach beyond the photo is enough, the rest is copies of the outermost frame column.
        """
        start, scale, count = self.box[axis], self.scale[axis], self.size[axis]
        reach = filter_reach(scale)
        first = math.floor((-reach - start) / scale)
        last = math.ceil((length + reach - start) / scale)
        return min(max(first, 0), count - 1), max(min(last, count), 1)


def paste_back(
    photo: np.ndarray, generated: np.ndarray, mask: np.ndarray, frame: Frame, *, feather: float = 10.0
) -> np.ndarray:
    """Lay a generated picture into the photo, inside the mask, with a soft seam.

    photo: uint8 HxWx3, RGB.
    generated: uint8 h x w x 3, the frame's picture, at `frame.size` or any size of its proportions.
    mask: uint8 or bool HxW, non-zero = may change.
    feather: width of the seam in pixels of a frame 1024 high, scaled to the photo. It lies inside the mask, and is
        narrower where the mask is, so that a strap is not left half way between old and new.
    Returns a new uint8 HxWx3. Every pixel where the mask is 0, or outside the frame, equals the photo's bit for bit.
    """
    _check_paste(photo, generated, mask)
    result = photo.copy()
    height, width = mask.shape
    region = _bounds(mask, frame.inside((width, height)))
    if region is None:
        return result
    left, top, right, bottom = region
    fresh = frame.back(generated, photo_size=(width, height), region=region)
    weight = _feathered(mask, region, reach=feather * frame.height / _BASELINE_HEIGHT)
    target = result[top:bottom, left:right]  # a view: writing to it fills the result
    np.copyto(target, fresh, where=(weight >= 1)[:, :, None])
    seam = (weight > 0) & (weight < 1)
    old, new, share = target[seam].astype(np.float32), fresh[seam], weight[seam, None]
    target[seam] = np.rint(old + (new - old) * share).astype(np.uint8)
    return result


# ---- seams -----------------------------------------------------------------------------------------------------------


def _feathered(mask: np.ndarray, region: Region, *, reach: float) -> np.ndarray:
    """float32 weights of the generated pixels in `region`: 0 outside the mask, rising to 1 within `reach` pixels.

    The photo's own edge is no seam; the region's is, unless nothing of the mask lies beyond it.
    """
    left, top, right, bottom = region
    chosen = (mask[top:bottom, left:right] != 0).astype(np.uint8)
    if reach < 1:
        return chosen.astype(np.float32)
    height, width = mask.shape
    around = (int(top > 0), int(bottom < height), int(left > 0), int(right < width))
    # Pixels just outside the region show no generated picture, so they count as unmasked whatever the mask says.
    depth = cv2.distanceTransform(cv2.copyMakeBorder(chosen, *around, cv2.BORDER_CONSTANT, value=0), cv2.DIST_L2, 5)
    depth = np.minimum(depth, reach + 1)  # a mask without any unmasked pixel is infinitely deep
    window = 2 * math.ceil(reach) + 1
    deepest = cv2.dilate(depth, np.ones((window, window), np.uint8))
    # Depth is at least 1 inside the mask: dividing by one more than the seam's width keeps its outermost pixel soft.
    weight = depth / np.minimum(deepest, reach + 1).clip(min=1)
    before_y, _, before_x, _ = around
    return weight[before_y : before_y + bottom - top, before_x : before_x + right - left]


def _bounds(mask: np.ndarray, within: Region) -> Region | None:
    """The smallest box around the mask's pixels inside `within`, or None when there are none."""
    left, top, right, bottom = within
    part = mask[top:bottom, left:right]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not rows.size:
        return None
    return left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1


def _check_paste(photo: np.ndarray, generated: np.ndarray, mask: np.ndarray) -> None:
    for name, picture in (("photo", photo), ("generated", generated)):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"{name} must be uint8 HxWx3, got {picture.dtype} {picture.shape}")
    if mask.shape != photo.shape[:2]:
        raise ValueError(f"the mask is {mask.shape} and the photo {photo.shape[:2]}: they must have the same size")
