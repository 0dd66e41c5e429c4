"""How large is the person in a label map, and where are head, shoulders and waist? Geometry from eight classes only.

Proportions are those of an adult standing upright; they only have to be right to a tenth, since masks are generous.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.labels import TOPS, Label
from model.raster import Box, box_of, components, grow

# Parts of the stature (the body's height, whole, even where the photo cuts it).
FACE_WIDTH = 0.078
SHOULDER_HALF_WIDTH = 0.115
TORSO_WIDTH = 0.24
CHIN_TO_WAIST = 0.27
LONGEST_TOP = 0.5  # chin to the hem of a top that leaves some trouser or leg to see
HEAD_HEIGHT = 0.13


@dataclass(frozen=True)
class Head:
    """The face's skin: `top` and `chin` are rows, `centre` a column, `width` pixels."""

    top: int
    chin: int
    centre: float
    width: float


@dataclass(frozen=True)
class Figure:
    """Measures of one person, in pixels of the label map.

    `box` holds every labelled pixel; `head` is None when no face is seen; `shoulders` are (x, y) of the left and right
    one as seen in the picture; `waist` is the row where a top would meet a skirt.
    """

    box: Box
    stature: float
    head: Head | None
    shoulders: tuple[tuple[float, float], tuple[float, float]]
    waist: float


def measure(labels: np.ndarray) -> Figure:
    """Measure the one person in a label map.

    Args:
        labels: uint8 (H, W), values of `Label`, nobody else in it.

    Raises:
        ValueError: the map is all background.
    """
    box = box_of(labels > 0)
    if box is None:
        raise ValueError("the label map shows nobody")
    head = find_head(labels, box)
    stature = _stature(labels, box, head)
    shoulders = _shoulders(labels, box, head, stature)
    return Figure(box, stature, head, shoulders, _waist(labels, box, head, shoulders, stature))


def find_head(labels: np.ndarray, box: Box) -> Head | None:
    """Find the face: the skin at or under the hair, or, without hair, the topmost skin above the garments."""
    height = box[3] - box[1]
    hair = labels == Label.HAIR
    skin = (labels == Label.SKIN) | _glasses(labels, height)
    near = _face_candidate(skin, hair, labels, height)
    if near is None:
        return None
    left, top, right, _ = box_of(near)
    crown = np.flatnonzero(near[top : top + max(2, height // 40)].any(0))
    hair_rows = np.flatnonzero(hair.any(1))
    centre = float(np.median(crown))
    if hair_rows.size and hair_rows[0] < top + 0.1 * height:
        upper_hair = hair & (np.arange(len(hair))[:, None] < hair_rows[0] + max(2, 0.08 * height))
        centre = float(np.clip(np.median(np.nonzero(upper_hair)[1]), left, right - 1))
    # Seen from crown to shoe, a body tells where its chin must be; glasses and beards blur that.
    whole = _is_whole(labels, box)
    earliest = min(box[1] + 0.9 * HEAD_HEIGHT * height, top + 0.11 * height) if whole else 0.0
    return _measure_face(near, top, centre, height=height, earliest=earliest)


def _glasses(labels: np.ndarray, height: int) -> np.ndarray:
    """Accessories with skin closely above and below: they would cut the face in two."""
    reach = max(1, round(0.035 * height))
    skin = (labels == Label.SKIN).astype(np.uint8)
    column = np.ones((2 * reach + 1, 1), np.uint8)
    return (cv2.morphologyEx(skin, cv2.MORPH_CLOSE, column) > 0) & (labels == Label.OTHER)


def _face_candidate(skin: np.ndarray, hair: np.ndarray, labels: np.ndarray, height: int) -> np.ndarray | None:
    parts = components(skin, min_area=max(3, (0.012 * height) ** 2))
    cloth = np.isin(labels, (Label.UPPER, Label.DRESS, Label.LOWER))
    cloth_rows = np.flatnonzero(cloth.sum(1) > 0.02 * height)
    cloth_top = cloth_rows[0] if cloth_rows.size else skin.shape[0]
    if hair.any():
        around = grow(hair, 0.015 * height)
        hair_top = int(np.flatnonzero(hair.any(1))[0])
        parts = [p for p in parts if (p & around).any() and np.flatnonzero(p.any(1))[0] < hair_top + 0.3 * height]
    else:
        parts = [p for p in parts if np.flatnonzero(p.any(1))[0] < cloth_top]
    # The highest wins, unless it is a splinter beside something much larger that is nearly as high.
    parts.sort(key=lambda p: np.flatnonzero(p.any(1))[0] - 0.35 * np.sqrt(p.sum()))
    return parts[0] if parts else None


def _run_width(row: np.ndarray, centre: float, reach: float) -> float:
    """Width of the run of True pixels nearest to `centre`, 0 if none starts within `reach` of it."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    starts, ends = edges[::2], edges[1::2]
    if not starts.size:
        return 0.0
    gaps = np.maximum(np.maximum(starts - centre, centre - (ends - 1)), 0)
    best = int(np.argmin(gaps))
    return float(ends[best] - starts[best]) if gaps[best] <= reach else 0.0


def _measure_face(skin: np.ndarray, top: int, centre: float, *, height: int, earliest: float) -> Head:
    """Walk down the face until it narrows to the neck, opens into shoulders, or ends.

    The first rows are a few pixels of forehead between hair: nothing is decided there, nor above row `earliest`.
    """
    widths: list[float] = []
    for y in range(top, skin.shape[0]):
        width = _run_width(skin[y], centre, max(0.02 * height, 0.5 * max(widths, default=0.0)))
        depth, widest = len(widths), max(widths, default=0.0)
        usual = float(np.median(widths)) if widths else 0.0
        narrowed = depth > 0.6 * widest and width < 0.72 * widest
        opened = depth > 0.8 * usual and width > 1.6 * usual
        if y >= earliest and depth > 0.03 * height and (narrowed or opened or depth > max(1.5 * widest, 0.05 * height)):
            break
        widths.append(width)
    width = float(np.percentile(widths, 85))
    chin = top + len(widths)
    centre = float(np.median(np.nonzero(skin[top:chin])[1]))  # blown or parted hair had pulled it aside
    return Head(top, chin, centre, max(width, 1.0))


def _stature(labels: np.ndarray, box: Box, head: Head | None) -> float:
    """The whole body's height: seen from crown to shoe, or judged from the face, or from the torso's width."""
    height = float(box[3] - box[1])
    if _is_whole(labels, box):
        return height
    if head is not None:
        return float(np.clip(head.width / FACE_WIDTH, 0.8 * height, 5 * height))
    torso = np.isin(labels, TOPS)
    widths = torso.sum(1)[torso.any(1)]
    if widths.size:
        return float(np.clip(np.median(widths) / TORSO_WIDTH, height, 4 * height))
    return 1.8 * height


def _is_whole(labels: np.ndarray, box: Box) -> bool:
    """Is the body seen from crown to shoe?"""
    hair, shoes = (np.flatnonzero((labels == code).any(1)) for code in (Label.HAIR, Label.SHOES))
    height = box[3] - box[1]
    return bool(hair.size and hair[0] < box[1] + 0.2 * height and shoes.size and shoes[-1] > box[1] + 0.75 * height)


def _shoulders(labels: np.ndarray, box: Box, head: Head | None, stature: float) -> tuple[tuple[float, float], ...]:
    torso = np.isin(labels, TOPS)
    rows = np.flatnonzero(torso.sum(1) > 0.03 * stature)
    if head is not None:
        top = head.chin + 0.03 * stature
        if rows.size:
            top = float(np.clip(rows[0], head.chin, head.chin + 0.12 * stature))
        centre = head.centre
    else:
        top = float(rows[0]) if rows.size else float(box[1])
        band = np.nonzero(torso[int(top) : int(top + 0.1 * stature) + 1])[1]
        centre = float(np.median(band)) if band.size else (box[0] + box[2]) / 2
    y, half = top + 0.025 * stature, SHOULDER_HALF_WIDTH * stature
    return (centre - half, y), (centre + half, y)


def _waist(labels: np.ndarray, box: Box, head: Head | None, shoulders, stature: float) -> float:
    """Where the lower garment starts; on a dress, its narrowest row near where a waist should be."""
    lower, upper = labels == Label.LOWER, labels == Label.UPPER
    dress = labels == Label.DRESS
    if lower.sum() > 0.3 * dress.sum() and lower.any():
        widths = lower.sum(1)
        return float(np.flatnonzero(widths > 0.3 * widths.max())[0])
    start = head.chin if head is not None else shoulders[0][1] - 0.05 * stature
    guess = start + CHIN_TO_WAIST * stature
    if not dress.any():
        rows = np.flatnonzero(upper.any(1))
        bottom = float(rows[-1] + 1) if rows.size else guess
        return bottom if bottom < start + LONGEST_TOP * stature else guess  # a suit or a coat parsed as one top
    first, last = int(start + 0.2 * stature), int(start + 0.32 * stature)
    body = np.isin(labels, (Label.DRESS, Label.OTHER))[max(first, 0) : max(last, 1)]
    left, right = (int(max(0, x)) for x in (shoulders[0][0], shoulders[1][0]))
    widths = body[:, left : right + 1].sum(1).astype(float)
    if not widths.size or widths.min() == 0:
        return float(guess)
    rows = np.arange(len(widths))
    cost = widths / widths.mean() + 0.5 * np.abs(rows + first - guess) / (0.06 * stature)
    return float(max(first, 0) + int(np.argmin(cost)))
