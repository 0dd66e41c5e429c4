"""Where arms lie under sleeves, judged from a label map: from each shoulder over an elbow to the hand that is seen.

No pixel of a photo is read. Sleeves that hang along a torso have no edge of their own in a label map: which cloth is
sleeve follows from the way between shoulder and hand, and from how wide a torso is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model.figure import Figure
from model.labels import TOPS, Body
from model.raster import components

# Parts of the stature.
LENGTH = 0.36  # shoulder to wrist
REACH = (0.06, 0.33)  # a hanging hand from its shoulder, outward and down
JOINT = 0.02  # the shoulder's joint lies this far in from its outside
ARMPIT = 0.06  # below the shoulders
BESIDE = 0.03  # from a shoulder's outside in to the torso
SLEEVE = 0.085  # cloth farther than this from the arm is no sleeve
WAISTBAND = 0.03  # how high the strip is in which the waist is measured
WAIST = (0.12, 0.24)  # how wide a waist may be
HALF_WIDTHS = (0.034, 0.027, 0.019)  # of a bare arm at the shoulder, the elbow and the wrist
BEND = 0.04  # how exactly an elbow is as far from the shoulder as from the wrist
SMALLEST = 0.012  # side of the smallest patch of skin taken for a hand

Point = tuple[float, float]


@dataclass(frozen=True)
class Arms:
    """Both arms over one label map.

    Attributes:
        limb: bool (H, W), what bare arms would cover.
        sleeve: bool (H, W), where sleeves would be: beside the torso, near an arm; where a hand is seen in front of the
            torso, its forearm too.
        along: float32 (H, W), how far down the nearest arm: 0 at the shoulder, 1 at the wrist.
    """

    limb: np.ndarray
    sleeve: np.ndarray
    along: np.ndarray


@dataclass(frozen=True)
class _Arm:
    """(x, y) of its joints; `seen`: a hand was; `length`: pixels from the shoulder to the wrist along it."""

    joints: tuple[Point, Point, Point]
    seen: bool
    length: float


def find_arms(body: np.ndarray, figure: Figure) -> Arms:
    """The arms of one person.

    Args:
        body: uint8 (H, W), values of `Body`.
    """
    cloth, between = np.isin(body, TOPS), _between(body, figure)
    limb, sleeve = np.zeros(body.shape, bool), np.zeros(body.shape, bool)
    along, nearest = np.zeros(body.shape, np.float32), np.full(body.shape, np.inf, np.float32)
    beside = cloth & ~torso(body, figure)
    for shoulder, hand in zip(figure.shoulders, _hands(body, figure), strict=True):
        arm = _arm(shoulder, hand, beside, body, figure)
        apart, way = _to_path(arm.joints, body.shape)
        share = way / max(arm.length, 1.0)
        width = np.interp(share, (0, 0.5, 1), HALF_WIDTHS) * figure.stature
        bare = (apart < width) & (share <= 1)
        limb |= bare & (cloth | (body == Body.ARM))
        sleeve |= ~between & (apart < SLEEVE * figure.stature)
        if arm.seen and _at(between, arm.joints[-1]):
            sleeve |= cloth & bare & (share > 0.3)
        closer = apart < nearest
        along[closer], nearest[closer] = share[closer], apart[closer]
    return Arms(limb, sleeve, along)


def _at(area: np.ndarray, point: Point) -> bool:
    column, row = (int(np.clip(round(at), 0, size - 1)) for at, size in zip(point, area.shape[::-1], strict=True))
    return bool(area[row, column])


def torso(body: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): the cloth of a top further in than hanging arms are, from the armpits down."""
    rows = np.arange(body.shape[0])[:, None]
    return np.isin(body, TOPS) & _between(body, figure) & (rows > figure.shoulders[0][1] + ARMPIT * figure.stature)


def _between(body: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): the columns of the torso: from inside the shoulders to the waist, where that is seen."""
    rows, columns = np.indices(body.shape)
    (left, top), (right, _) = figure.shoulders
    inset = BESIDE * figure.stature
    down = np.clip((rows - top) / max(figure.waist - top, 1.0), 0, 1)
    sides = left + inset, right - inset
    waist = _waist(body, figure) or sides
    first, last = (side + (end - side) * down for side, end in zip(sides, waist, strict=True))
    return (columns > first) & (columns < last)


def _waist(body: np.ndarray, figure: Figure) -> tuple[float, float] | None:
    """The first and last column of trousers or a skirt at the top, if they are about as wide as a waist."""
    start = round(figure.waist)
    found = np.flatnonzero((body[start : start + max(2, round(WAISTBAND * figure.stature))] == Body.LOWER).any(0))
    if not found.size:
        return None
    left, right = float(found[0]), float(found[-1])
    wide = (right - left) / figure.stature
    return (left, right) if WAIST[0] < wide < WAIST[1] else None


def _arm(shoulder: Point, hand: np.ndarray | Point, beside: np.ndarray, body: np.ndarray, figure: Figure) -> _Arm:
    middle = sum(x for x, _ in figure.shoulders) / 2
    inward = JOINT * figure.stature * np.sign(middle - shoulder[0])
    start = np.array([shoulder[0] + inward, shoulder[1]])
    seen = isinstance(hand, np.ndarray)
    end = _nearest(hand & (body == Body.HAND) if (body[hand] == Body.HAND).any() else hand, start) if seen else hand
    columns = np.arange(body.shape[1])
    own = (beside | (body == Body.ARM)) & (columns < middle if shoulder[0] < middle else columns > middle)
    elbow = _elbow(start, np.array(end), own, figure)
    path = np.hypot(*(elbow - start)) + np.hypot(*(end - elbow))
    return _Arm((tuple(start), tuple(elbow), tuple(end)), seen, path)


def _nearest(area: np.ndarray, point: np.ndarray) -> Point:
    """(x, y) of the pixel of an area that is nearest to a point."""
    ys, xs = np.nonzero(area)
    place = int(np.argmin(np.hypot(xs - point[0], ys - point[1])))
    return float(xs[place]), float(ys[place])


def _elbow(start: np.ndarray, end: np.ndarray, beside: np.ndarray, figure: Figure) -> np.ndarray:
    """The middle of the sleeve or bare arm as far from the shoulder as from the wrist, if there is any."""
    rows, columns = np.nonzero(beside)
    points = np.stack([columns, rows], 1).astype(float)
    first, second = (np.hypot(*(points - each).T) for each in (start, end))
    near = (abs(first - second) < BEND * figure.stature) & (first < 0.6 * LENGTH * figure.stature)
    return points[near].mean(0) if near.sum() > 3 else (start + end) / 2


def _to_path(joints: tuple[Point, Point, Point], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """float32 (H, W): distance from the line over the joints, and the way along it to the nearest point."""
    rows, columns = np.indices(shape, np.float32)
    apart, way, before = np.full(shape, np.inf, np.float32), np.zeros(shape, np.float32), 0.0
    for (x0, y0), (x1, y1) in pairwise(joints):
        across, down = x1 - x0, y1 - y0
        length = max(float(np.hypot(across, down)), 1e-3)
        share = ((columns - x0) * across + (rows - y0) * down) / length**2
        inside = np.clip(share, 0, 1)
        distance = np.hypot(columns - x0 - inside * across, rows - y0 - inside * down)
        closer = distance < apart
        # Past the wrist the way goes on, so that a hand is not the wrist's neighbour.
        reached = before + (np.maximum(share, 0) if (x1, y1) == joints[-1] else inside) * length
        apart[closer], way[closer] = distance[closer], reached[closer]
        before += length
    return apart, way


def _hands(body: np.ndarray, figure: Figure) -> list[np.ndarray | Point]:
    """Of the left and the right hand the skin that is seen, bool (H, W), or where a hanging one would be."""
    middle = sum(x for x, _ in figure.shoulders) / 2
    hands = components(np.isin(body, (Body.HAND, Body.ARM)), min_area=(SMALLEST * figure.stature) ** 2)
    found: list[np.ndarray | Point] = []
    for side, (x, y) in zip((-1, 1), figure.shoulders, strict=True):
        mine = [hand for hand in hands if side * (np.nonzero(hand)[1].mean() - middle) > 0]
        hanging = (x + side * REACH[0] * figure.stature, y + REACH[1] * figure.stature)
        found.append(mine[0] if mine else hanging)
    return found
