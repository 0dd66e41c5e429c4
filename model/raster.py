"""Small operations on boolean pixel maps: grow, shrink, close, fill, measure. They know nothing of people or clothes.

Every radius is a Euclidean distance in pixels and may be a fraction; distances come from one distance transform, so
that a large radius costs no more than a small one. Inputs are bool (H, W) and are never changed.
"""

from __future__ import annotations

import cv2
import numpy as np

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are exclusive


def _distance(to: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest True pixel of `to`; float32 (H, W), huge where there is none."""
    if not to.any():
        return np.full(to.shape, np.float32(1e9))
    return cv2.distanceTransform((~to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def grow(mask: np.ndarray, radius: float) -> np.ndarray:
    """All pixels within `radius` of the mask."""
    return _distance(mask) <= radius


def shrink(mask: np.ndarray, radius: float) -> np.ndarray:
    """The mask's pixels further than `radius` from anything outside it. The picture's edge does not eat into it."""
    return _distance(~mask) > radius


def close(mask: np.ndarray, radius: float) -> np.ndarray:
    """Fill gaps and bays narrower than twice the radius; the result contains the mask."""
    pad = int(np.ceil(radius)) + 1
    grown = grow(np.pad(mask, pad), radius)
    return shrink(grown, radius)[pad:-pad, pad:-pad] | mask


def open_(mask: np.ndarray, radius: float) -> np.ndarray:
    """Only what is at least twice the radius thick; the result lies inside the mask."""
    return grow(shrink(mask, radius), radius) & mask


def smooth(mask: np.ndarray, radius: float) -> np.ndarray:
    """Round the boundary off with a Gaussian of the given sigma, leaving areas about the same."""
    if radius <= 0:
        return mask.copy()
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), radius, borderType=cv2.BORDER_REPLICATE)
    return soft > 0.5


def hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull, filled; empty if the mask is."""
    filled = np.zeros(mask.shape, np.uint8)
    points = cv2.findNonZero(mask.astype(np.uint8))
    if points is not None:
        cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled.astype(bool) | mask


def components(mask: np.ndarray, *, min_area: float = 1) -> list[np.ndarray]:
    """The 8-connected components of at least `min_area` pixels, largest first; each bool (H, W)."""
    count, marks, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    order = sorted((i for i in range(1, count) if areas[i] >= min_area), key=lambda i: -areas[i])
    return [marks == i for i in order]


def drop_small(mask: np.ndarray, min_area: float) -> np.ndarray:
    """Without the components smaller than `min_area` pixels."""
    _, marks, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area
    keep[0] = False
    return keep[marks]


def fill_holes(mask: np.ndarray, max_area: float) -> np.ndarray:
    """With holes of at most `max_area` pixels filled; a bay open to the picture's edge is no hole."""
    padded = np.pad(~mask, 1, constant_values=True)
    _, marks, stats, _ = cv2.connectedComponentsWithStats(padded.astype(np.uint8), connectivity=4)
    holes = stats[:, cv2.CC_STAT_AREA] <= max_area
    holes[marks[0, 0]] = False
    holes[0] = True  # the mask itself
    return holes[marks][1:-1, 1:-1]


def box_of(mask: np.ndarray) -> Box | None:
    """The smallest box around the mask, or None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def fill_nearest(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every pixel the value of the known pixel nearest to it.

    Args:
        values: (H, W) or (H, W, C), any dtype.
        known: bool (H, W).

    Returns:
        An array like `values`, equal to it where it is known, all zero where nothing is; and float32 (H, W), how far
        the pixel is that each value comes from.
    """
    apart, marks = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    sources = np.zeros((marks.max() + 1, *values.shape[2:]), values.dtype)
    sources[marks[known]] = values[known]
    return sources[marks], apart


def walk(domain: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Length of the shortest way inside `domain` from `start` to each pixel.

    Steps alternate between 4 and 8 neighbours, which keeps the length within a few per cent of the true one.

    Returns:
        float32 (H, W); inf outside the domain and where no way leads.
    """
    length = np.full(domain.shape, np.inf, np.float32)
    box = box_of(domain)
    if box is None:
        return length
    window = np.s_[box[1] : box[3], box[0] : box[2]]
    free, front = domain[window].astype(np.uint8), (domain & start)[window].astype(np.uint8)
    inner = np.where(front, np.float32(0), np.float32(np.inf))
    cross, square = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.ones((3, 3), np.uint8)
    steps = 0
    while front.any():
        steps += 1
        front = cv2.dilate(front, cross if steps % 2 else square) & free & np.isinf(inner).astype(np.uint8)
        inner[front > 0] = steps
    length[window] = inner
    return length


def resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a label map with smooth borders: each pixel takes the label with most weight around it.

    Args:
        labels: uint8 (H, W).
        size: (width, height) of the result.
    """
    if labels.shape[1::-1] == tuple(size):
        return labels.copy()
    shrinking = size[0] < labels.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    best, result = None, None
    for code in np.unique(labels):
        weight = cv2.resize((labels == code).astype(np.uint8) * 255, size, interpolation=method)
        if best is None:
            best, result = weight, np.full(weight.shape, code, np.uint8)
            continue
        wins = weight > best
        result[wins] = code
        np.maximum(best, weight, out=best)
    return result
