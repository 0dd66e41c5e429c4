"""Is the seam between cloth and skin natural? How steep the lightness is along it, against the same edge in the photo.

A smeared garment has edges that are too soft. Pasted ones are not found too hard by it: a photo's own edges are nearly
as steep as a flat colour in the same outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.stats import wasserstein_distance
from skimage.color import rgb2lab

SCALE = 0.7  # pixels, sigma: the scale at which an edge is measured
NEAR = 5  # pixels, a square: the garment's edge may be that far off and is still the same edge
BLUR = 2.5  # pixels, sigma: of the smeared seam, the baseline


def seam(region: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """bool (H, W): the outermost pixels of a garment's region that lie inside what was made anew."""
    inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    well_inside = cv2.erode(hole.astype(np.uint8), np.ones((NEAR, NEAR), np.uint8), borderValue=0) > 0
    return region & ~inner & well_inside


def steepness(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """float (N,): lightness (CIELAB, 0..100) per pixel at the steepest place near each seam pixel.

    Args:
        picture: uint8 (H, W, 3), sRGB.
        where: bool (H, W), from `seam`.
    """
    lightness = cv2.GaussianBlur(rgb2lab(picture)[..., 0].astype(np.float32), (0, 0), SCALE)
    steep = np.hypot(cv2.Sobel(lightness, cv2.CV_32F, 1, 0), cv2.Sobel(lightness, cv2.CV_32F, 0, 1)) / 8
    return cv2.dilate(steep, np.ones((NEAR, NEAR), np.uint8))[where]


def hard(photo: np.ndarray, region: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): the photo with one colour (3,) pasted into the region, pixel by pixel: a bad baseline."""
    return np.where(region[..., None], np.rint(colour), photo).astype(np.uint8)


def smeared(photo: np.ndarray, where: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): the photo blurred along the seam: the other bad baseline."""
    band = cv2.dilate(where.astype(np.uint8), np.ones((4 * NEAR + 1,) * 2, np.uint8)) > 0
    return np.where(band[..., None], cv2.GaussianBlur(photo, (0, 0), BLUR), photo)


def distance(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """Wasserstein distance of the steepness along many seams, lightness per pixel: 0 for the same mixture of edges."""
    return float(wasserstein_distance(np.concatenate(one), np.concatenate(other)))
