"""Cutting a garment out of its photo: laid on a floor, hanging on a door, or on a shop's white.

Classical segmentation (GrabCut, Rother et al. 2004, in OpenCV) started from what garment photos have in common: the
garment lies in the middle and the edge of the picture shows what it lies on. A picture that has transparency already,
or a garment on one flat colour, needs less.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

WORKING_SIDE = 256  # pixels of the longer side GrabCut works at; the edge is refined at the photo's own resolution
FLAT = 10.0  # a border whose colours differ less than this (CIELAB, standard deviation) counts as one flat colour
SHADOW = 60.0  # a backdrop may be darker than its brightest part by this much lightness (0..255) in a shadow
EDGE = 8.0  # lightness per pixel; steeper is the edge of something
STRIPE = 5.0  # times longer than wide; what is joined to the backdrop and that long is a stripe of the garment
WEDGE = 5.0  # pixels at the working size; what is narrower is not taken for a gap
TIP = 9  # pixels at the working size: how far a gap goes on where it is too narrow to be told from a stripe
REACH = 2.0  # pixels at the working size: how far the edge may move to meet the photo's
FAINT = 1e-3  # variance of lightness (0..1) below which nothing counts as an edge of the photo
SMALLEST = 0.06  # share of the picture; less than this is not taken for a garment


def cut_out(garment: Image.Image) -> Image.Image:
    """Separate a garment from what is around it.

    Args:
        garment: RGB photo of one garment, any size; RGBA pictures keep their own transparency.

    Returns:
        RGBA of the same size, alpha 255 on the garment. Where nothing can be told apart (white on white, a picture
        filled by cloth) the whole picture is taken as garment.
    """
    if garment.mode == "RGBA" and np.asarray(garment.getchannel("A")).min() < 128:
        return garment.copy()
    rgb = garment.convert("RGB")
    small = _reduced(rgb)
    found = _flat_backdrop(small)
    if found is None:
        found = _grabcut(small)
    elif _solid(found).mean() < SMALLEST:  # a garment as pale as a shadow
        found = _flat_backdrop(small, shadows=False)
    found = _solid(found)
    if found.mean() < SMALLEST:
        found = np.ones_like(found)
    alpha = _refined(found, np.asarray(rgb))
    return Image.fromarray(np.dstack([np.asarray(rgb), alpha]))


def _reduced(picture: Image.Image) -> np.ndarray:
    scale = min(1.0, WORKING_SIDE / max(picture.size))
    size = tuple(max(8, round(n * scale)) for n in picture.size)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def _border(shape: tuple[int, ...], share: float = 0.03) -> np.ndarray:
    """Bool (H, W), true along the four edges."""
    width = max(2, round(min(shape[:2]) * share))
    border = np.ones(shape[:2], bool)
    border[width:-width, width:-width] = False
    return border


def _flat_backdrop(pixels: np.ndarray, *, shadows: bool = True) -> np.ndarray | None:
    """The garment before one flat colour, or None when the border is not flat.

    What is joined to the border and looks like it, or like a soft shadow on it, is backdrop; white buttons and collars
    inside stay.
    """
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
    border = _border(pixels.shape)
    backdrop = np.median(lab[border], axis=0)
    distance = np.linalg.norm(lab - backdrop, axis=-1)
    if np.quantile(distance[border], 0.9) > FLAT:
        return None
    same = distance < max(6.0, 2.5 * float(np.quantile(distance[border], 0.8)))
    if shadows:
        same |= _soft_shadow(lab, backdrop)
    _, parts = cv2.connectedComponents(same.astype(np.uint8))
    joined = np.isin(parts, np.setdiff1d(np.unique(parts[border]), 0))
    found = _with_stripes(~joined)
    return cv2.erode(found.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # the edge itself is half backdrop


def _with_stripes(region: np.ndarray) -> np.ndarray:
    """Bool (H, W): the region and the backdrop's inlets into it that are stripes running out at the garment's edge.

    A stripe is about as wide everywhere and long for its width; the backdrop seen between sleeve and body, or between
    two legs, is a wedge.
    """
    closed = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8)) > 0
    inlets = (closed & ~region).astype(np.uint8)
    depth = cv2.distanceTransform(inlets, cv2.DIST_L2, 3)
    count, parts, figures, _ = cv2.connectedComponentsWithStats((depth > 1).astype(np.uint8))  # without thin rims
    width = np.zeros(count)
    np.maximum.at(width, parts, 2 * depth)
    wedges = np.flatnonzero((width >= WEDGE) & (figures[:, cv2.CC_STAT_AREA] < STRIPE * width**2))
    wedge = np.isin(parts, np.setdiff1d(wedges, 0)).astype(np.uint8)
    grow = np.ones((3, 3), np.uint8)
    free = inlets & ~cv2.dilate(((parts > 0) & ~wedge).astype(np.uint8), grow) | wedge
    for _ in range(TIP):
        wedge = cv2.dilate(wedge, grow) & free
    return closed & (wedge == 0)


def _soft_shadow(lab: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """Bool (H, W): the backdrop's own hue, somewhat darker, and without an edge: what a garment throws on paper."""
    lightness = cv2.GaussianBlur(lab[..., 0], (0, 0), 0.8)
    slope = np.hypot(cv2.Sobel(lightness, cv2.CV_32F, 1, 0), cv2.Sobel(lightness, cv2.CV_32F, 0, 1)) / 8
    hue = np.linalg.norm(lab[..., 1:] - backdrop[1:], axis=-1)
    darker = backdrop[0] - lab[..., 0]
    return (hue < 5) & (darker > 0) & (darker < SHADOW) & (slope < EDGE)


def _grabcut(pixels: np.ndarray) -> np.ndarray:
    """Bool (H, W): GrabCut with the border as background and the middle as probable garment."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    from_middle = np.maximum(np.abs((y + 0.5) / height - 0.5), np.abs((x + 0.5) / width - 0.5))
    seeds = np.where(from_middle > 0.40, cv2.GC_PR_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    seeds[_border(pixels.shape, 0.04)] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # OpenCV's own: k-means inside GrabCut would otherwise differ from call to call
    cv2.grabCut(np.ascontiguousarray(pixels[..., ::-1]), seeds, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    return np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _solid(region: np.ndarray) -> np.ndarray:
    """The large pieces of a region, without specks and with small holes closed."""
    side = max(3, round(min(region.shape) / 60)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, parts, figures, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return region & False
    areas = figures[1:, cv2.CC_STAT_AREA]
    kept = np.isin(parts, 1 + np.flatnonzero(areas >= 0.2 * areas.max()))
    count, holes, figures, _ = cv2.connectedComponentsWithStats((~kept).astype(np.uint8))
    small = 1 + np.flatnonzero(figures[1:, cv2.CC_STAT_AREA] < 0.004 * region.size)
    return kept | np.isin(holes, small)


def _refined(region: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """uint8 alpha at the photo's size: the small region enlarged, its edge drawn to the photo's own edges nearby.

    By a guided filter (He et al. 2010) with the lightness as guide; where the photo shows no edge, the region's stays.
    """
    height, width = pixels.shape[:2]
    scale = width / region.shape[1]
    soft = cv2.resize(region.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(soft, (0, 0), max(0.5, 0.7 * scale))
    guide = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    drawn = _guided(soft, guide, 2 * round(REACH * scale) + 1)
    return np.clip((drawn - 0.55) * 255 / 0.3, 0, 255).astype(np.uint8)


def _guided(plane: np.ndarray, guide: np.ndarray, side: int) -> np.ndarray:
    """float32 (H, W): in every square of `side` pixels, the linear function of the guide closest to `plane`."""

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (side, side))

    level, middle = mean(plane), mean(guide)
    slope = (mean(plane * guide) - level * middle) / (mean(guide * guide) - middle**2 + FAINT)
    return mean(slope) * guide + mean(level - slope * middle)
