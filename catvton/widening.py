"""Where a placed garment goes on beyond its own edge: over the body that it must cover, and over rims of old clothes.

What is missing there is read from the garment itself, mirrored at its edge, so that prints and checks go on instead of
being smeared. Everything is kept at the frame's size and can be drawn at any.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.beneath import Beneath
from model.raster import box_of, fill_nearest

RIM = 0.022  # of the frame's height: closer to the garment than this, old clothes give way to it, not to skin
DEEP = 0.026  # of the frame's height: no deeper inside the garment is read for what lies beyond its edge
EDGE = 7  # pixels: the outer half of this is where a cut-out may still show its paper
SCRAP = 0.1  # of the largest piece of a placed garment: smaller ones are none of it
SMOOTH = 2.5  # pixels: steps of label maps along the new edge are rounded over this
SOFT = 1.5  # pixels: how wide the new edge is


@dataclass(frozen=True)
class Widened:
    """A garment going on, at the frame's size.

    Attributes:
        reads: float32 (2, H, W), for every pixel of the frame the pixel (x, y) it takes the garment from.
        own: float32 (H, W) in 0..1, where the garment's own edge is kept.
        cover: float32 (H, W) in 0..1, where it lies whatever its own edge says.
    """

    reads: np.ndarray
    own: np.ndarray
    cover: np.ndarray

    def sources(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The canvas pixels each pixel takes (float32 (h, w), any size) after this; `x`, `y`: those before it."""
        height, width = x.shape
        scale = np.array([width, height], np.float32) / self.own.shape[::-1]
        there = [(cv2.resize(r, (width, height)) + 0.5) * s - 0.5 for r, s in zip(self.reads, scale, strict=True)]
        there = [plane.astype(np.float32) for plane in there]
        return tuple(cv2.remap(plane, *there, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in (x, y))

    def alpha(self, alpha: np.ndarray) -> np.ndarray:
        """How the garment covers, float32 (h, w) in 0..1, from how its own edge does."""
        own, cover = (cv2.resize(plane, alpha.shape[::-1]) for plane in (self.own, self.cover))
        return np.maximum(alpha * own, cover)


def widen(alpha: np.ndarray, under: Beneath) -> Widened:
    """Let a garment go on over the body and over narrow rims of the old clothes, in the rows it is worn in.

    Args:
        alpha: float32 (H, W) in 0..1, the placed garment at the frame's size.
        under: what is beneath, at the same size.
    """
    here = np.dstack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in alpha.shape[::-1])))
    own = ~_scraps(alpha)
    whole = (alpha > 0.5) & own
    sure = _smoothed(cv2.erode(whole.astype(np.uint8), np.ones((EDGE, EDGE), np.uint8))) > 0.5
    if not sure.any():
        return Widened(here.transpose(2, 0, 1), own.astype(np.float32), np.zeros_like(alpha))
    nearest, apart = fill_nearest(here, sure)
    beside = _beside(sure, apart, under)
    near = _grown(beside & ~whole, EDGE)
    filled = beside | (near & (alpha > 0.1) & ~sure)
    reads = np.where((_grown(filled, EDGE) & ~sure)[..., None], _mirrored(here, nearest, sure), here)
    kept = own & (sure | ~filled)
    return Widened(reads.transpose(2, 0, 1).copy(), kept.astype(np.float32), _soft(filled, sure))


def _beside(sure: np.ndarray, apart: np.ndarray, under: Beneath) -> np.ndarray:
    """bool (H, W): what the garment must cover."""
    rim = under.worn & (apart < RIM * len(sure))
    _, top, _, bottom = box_of(sure)
    rows = np.arange(len(sure))[:, None]
    return ((under.body | rim) & (rows < bottom) | under.least) & (rows >= top)


def _mirrored(here: np.ndarray, nearest: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """float32 (H, W, 2): as far inside the garment's edge as each pixel lies outside it, or the edge itself.

    It turns round at `DEEP`: a print on the chest is not to be seen again on a sleeve.
    """
    height, width = sure.shape
    inward = nearest - here
    apart = np.maximum(np.hypot(*np.moveaxis(inward, -1, 0)), 1e-3)[..., None]
    deep = DEEP * height
    beyond = nearest + inward / apart * (deep - np.abs(apart % (2 * deep) - deep))
    beyond = np.clip(beyond, 0, (width - 1, height - 1))
    column, row = np.rint(beyond).astype(int).transpose(2, 0, 1)
    return np.where(sure[row, column][..., None], beyond, nearest)


def _soft(filled: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """float32 (H, W) in 0..1: the filled part and the garment beside it, with a smooth edge."""
    ramp = np.clip((_smoothed(filled | sure) - 0.5) * SMOOTH * 2.5 / SOFT + 0.5, 0, 1)
    return np.where(_grown(filled, EDGE), ramp, np.float32(0))


def _smoothed(area: np.ndarray) -> np.ndarray:
    """float32 (H, W): 0.5 runs along the area's edge without its steps."""
    return cv2.GaussianBlur(area.astype(np.float32), (0, 0), SMOOTH)


def _grown(area: np.ndarray, size: int) -> np.ndarray:
    return cv2.dilate(area.astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def _scraps(alpha: np.ndarray) -> np.ndarray:
    """bool (H, W): pieces that lie apart from the garment and are small beside it."""
    count, marks, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.1).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    small = 1 + np.flatnonzero(areas < SCRAP * areas.max()) if count > 2 else []
    return np.isin(marks, small)
