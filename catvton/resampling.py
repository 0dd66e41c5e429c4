"""Parts of pictures at other sizes, with boxes in fractions of pixels, also beyond the picture's edge.

Boxes are (left, top, right, bottom), sizes (width, height), as in Pillow.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from PIL import Image

Box: TypeAlias = tuple[float, float, float, float]
Region: TypeAlias = tuple[int, int, int, int]
Size: TypeAlias = tuple[int, int]

_FILTER = Image.Resampling.LANCZOS
_LANCZOS_REACH = 3  # pixels of the coarser picture, to each side of a pixel's centre


def clipped(box: Box, size: Size) -> Box:
    """The part of a box that lies in a picture of `size`."""
    left, top, right, bottom = box
    width, height = size
    return min(max(left, 0), width), min(max(top, 0), height), min(max(right, 0), width), min(max(bottom, 0), height)


def outward(box: Box) -> Region:
    """The smallest box of whole pixels that holds `box`."""
    left, top, right, bottom = box
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def nearest(start: float, end: float, *, count: int, limit: int) -> np.ndarray:
    """Indices of the photo pixels under the centres of `count` equal steps from `start` to `end`."""
    centres = start + (np.arange(count) + 0.5) * ((end - start) / count)
    return np.clip(np.floor(centres).astype(np.intp), 0, limit - 1)


def resized_beyond(image: Image.Image, box: Box, *, size: Size) -> Image.Image:
    """`box` of the image at `size`; beyond the image its outermost pixels are repeated."""
    if box == clipped(box, image.size):
        return image.resize(size, _FILTER, box=box)
    reach_x, reach_y = filter_reach((box[2] - box[0]) / size[0]), filter_reach((box[3] - box[1]) / size[1])
    seen = outward((box[0] - reach_x, box[1] - reach_y, box[2] + reach_x, box[3] + reach_y))
    left, top, right, bottom = inner = clipped(seen, image.size)
    beyond = [(top - seen[1], seen[3] - bottom), (left - seen[0], seen[2] - right)]
    pixels = np.asarray(image.crop(inner))
    padded = Image.fromarray(np.pad(pixels, beyond + [(0, 0)] * (pixels.ndim - 2), mode="edge"))
    return padded.resize(size, _FILTER, box=(box[0] - seen[0], box[1] - seen[1], box[2] - seen[0], box[3] - seen[1]))


def filter_reach(scale: float) -> int:
    """How many photo pixels a frame pixel may look beyond its own square, `scale` photo pixels wide."""
    return math.ceil((_LANCZOS_REACH + 1) * max(scale, 1.0))


def resized(pixels: np.ndarray, box: Box, *, size: Size) -> np.ndarray:
    """`box` of an array (h x w or h x w x c, uint8 or float32) at `size`."""
    if pixels.dtype not in (np.uint8, np.float32):
        raise ValueError(f"pixels must be uint8 or float32, got {pixels.dtype}")
    if pixels.ndim == 2 or (pixels.dtype == np.uint8 and pixels.shape[2] == 3):
        return np.asarray(Image.fromarray(pixels).resize(size, _FILTER, box=box))
    # Plane by plane: Pillow has no other float pictures, and would weight four channels by the last, as alpha.
    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, 2, 0))
    return np.stack([np.asarray(plane.resize(size, _FILTER, box=box)) for plane in planes], axis=2)
