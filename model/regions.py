"""Split a parser's one skin class by position into face, neck, arms, hands, legs and feet.

A parser trained on eight classes cannot tell a hand from a knee, but where they are tells: the face touches hair and
lies above the garments, arms and hands lie beside the upper garment, legs lie under the lower one, and a hand is the
last fifth of an arm seen from its shoulder. Nothing here knows what a mask is or which part was asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from model.figure import Figure, measure
from model.labels import GARMENTS, TOPS, Body, Label
from model.raster import box_of, components, grow, walk

# Parts of the stature.
ARM_LENGTH = 0.42  # shoulder to fingertip
HAND_LENGTH = 0.1
FOOT_HEIGHT = 0.055
NECK_LENGTH = 0.16  # chin to the bottom of a deep neckline
CHEST_HALF_WIDTH = 0.1


def split(labels: np.ndarray, figure: Figure | None = None) -> np.ndarray:
    """Split the skin of one person.

    Args:
        labels: uint8 (H, W), values of `Label`; nobody but this person in it. Any size.
        figure: the person's measures, if they are known already.

    Returns:
        uint8 (H, W), values of `Body`: as `labels` wherever those are not SKIN. All zero if `labels` is.
    """
    body = labels.astype(np.uint8)
    if not labels.any():
        return body
    figure = figure or measure(labels)
    rest = labels == Label.SKIN
    for code, find in ((Body.FACE, _face), (Body.NECK, _neck), (Body.LEG, _legs), (Body.SKIN, _belly)):
        found = find(labels, rest, figure)
        body[found] = code
        rest &= ~found
    body[rest] = Body.ARM
    body[_hands(labels, rest, figure)] = Body.HAND
    body[_feet(labels, body == Body.LEG, figure)] = Body.FOOT
    return body


def _face(labels: np.ndarray, skin: np.ndarray, figure: Figure) -> np.ndarray:
    head = figure.head
    if head is None:
        return np.zeros_like(skin)
    rows, columns = np.ogrid[: skin.shape[0], : skin.shape[1]]
    reach = max(0.75 * head.width, 0.055 * figure.stature)
    first = head.top - 0.04 * figure.stature  # glasses and a fringe leave bits of face above
    return skin & (rows >= first) & (rows < head.chin) & (abs(columns - head.centre) <= reach)


def _neck(labels: np.ndarray, skin: np.ndarray, figure: Figure) -> np.ndarray:
    """Skin under the face and above the first cloth of its column, as far out as the chest goes."""
    head = figure.head
    rows, columns = np.ogrid[: skin.shape[0], : skin.shape[1]]
    cloth = np.isin(labels, TOPS)
    above_cloth = ~np.logical_or.accumulate(cloth, axis=0)
    if head is None:
        cloth_rows = np.flatnonzero(cloth.any(1))
        if not cloth_rows.size:
            return np.zeros_like(skin)
        top, centre = -1.0, sum(x for x, _ in figure.shoulders) / 2
        bottom = cloth_rows[0] + 0.5 * NECK_LENGTH * figure.stature
    else:
        top, centre, bottom = head.chin - 1, head.centre, head.chin + NECK_LENGTH * figure.stature
    beside = abs(columns - centre) <= CHEST_HALF_WIDTH * figure.stature
    return skin & above_cloth & beside & (rows > top) & (rows < bottom)


def _legs(labels: np.ndarray, skin: np.ndarray, figure: Figure) -> np.ndarray:
    """Skin under a hem, with what hangs together with it; an arm that touches a leg is parted from it."""
    hem, sure = _hem(labels, skin, figure)
    if hem is None:
        return np.zeros_like(skin)
    rows = np.arange(skin.shape[0])[:, None]
    shoes = grow(labels == Label.SHOES, 0.012 * figure.stature)
    legs = np.zeros_like(skin)
    lowest = figure.box[3] - 0.05 * figure.stature
    for part in components(skin):
        below, size = part & sure, part.sum()
        above = part & (rows < hem) & ~sure
        low = np.nonzero(part)[0].mean() > hem
        if below.sum() > 0.12 * size and above.sum() > 0.05 * size:
            legs |= _part_leg_from_arm(part, below, above)
        elif low and ((part & shoes).any() or below.sum() > 0.12 * size):
            legs |= part
        elif np.nonzero(part)[0].mean() > figure.waist and _roof(part, labels, Label.LOWER) > 0.5:
            legs |= part  # a knee in torn jeans, a thigh between skirt and stocking
        elif low and hem < lowest and part[figure.box[3] - 1].any() and not _beside_cloth(part, labels, figure):
            legs |= part
    return legs


def _hem(labels: np.ndarray, skin: np.ndarray, figure: Figure) -> tuple[float | None, np.ndarray]:
    """The row of the hem that legs come out of, and the skin straight under that hem."""
    least = (0.03 * figure.stature) ** 2
    # A dress over stockings ends where the dress does; without dress and trousers, a long shirt does.
    choices = (labels == Label.DRESS, labels == Label.LOWER, labels == Label.UPPER)
    cloth = next((c for c in choices if c.sum() >= least), choices[-1])
    box = box_of(cloth)
    if box is None:
        return None, np.zeros_like(skin)
    rows = np.arange(skin.shape[0])[:, None]
    bottoms = np.where(cloth.any(0), skin.shape[0] - 1 - np.argmax(cloth[::-1], axis=0), -1)
    # Sleeves of a dress end far above its hem: only columns that reach well down count.
    deep = bottoms >= box[3] - 0.3 * (box[3] - box[1])
    under = skin & deep[None, :] & (rows > bottoms[None, :])
    return float(np.median(bottoms[deep])), under


def _part_leg_from_arm(part: np.ndarray, leg: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Give each pixel of a piece of skin to the nearer of two cores, along the skin."""
    if not arm.any():
        return part
    return part & (walk(part, leg) <= walk(part, arm))


def _roof(part: np.ndarray, labels: np.ndarray, *codes: Label) -> float:
    """Share of the columns of a piece of skin that have one of `codes` straight above its top."""
    columns = np.flatnonzero(part.any(0))
    tops = np.argmax(part[:, columns], axis=0)
    return float(np.isin(labels[np.maximum(tops - 2, 0), columns], codes).mean())


def _beside_cloth(part: np.ndarray, labels: np.ndarray, figure: Figure) -> bool:
    """Does this piece of skin hang next to a garment for a good part of its length, as a forearm does?"""
    cloth = grow(labels >= Label.UPPER, 0.02 * figure.stature)
    return bool((part & cloth).any(1).sum() > 0.5 * part.any(1).sum())


def _belly(labels: np.ndarray, skin: np.ndarray, figure: Figure) -> np.ndarray:
    """Bare skin with a top straight above and trousers straight below, across most of the waist; or a bare chest."""
    if np.isin(labels, TOPS).sum() < (0.05 * figure.stature) ** 2:
        return _bare_chest(skin, figure)
    cloth = np.isin(labels, (Label.UPPER, Label.LOWER))
    above = np.logical_or.accumulate(labels == Label.UPPER, axis=0)
    below = np.logical_or.accumulate((labels == Label.LOWER)[::-1], axis=0)[::-1]
    between = skin & above & below
    width = np.median(cloth.sum(1)[cloth.any(1)]) if cloth.any() else 0
    band = between & (between.sum(1) > 0.45 * width)[:, None]
    found = np.zeros_like(skin)
    for part in components(band):
        flipped = _roof(part[::-1], labels[::-1], Label.LOWER)
        if flipped > 0.6 and _roof(part, labels, Label.UPPER) > 0.6:  # else hands folded in front
            found |= part
    return found


def _bare_chest(skin: np.ndarray, figure: Figure) -> np.ndarray:
    (left, top), (right, _) = figure.shoulders
    rows, columns = np.ogrid[: skin.shape[0], : skin.shape[1]]
    inset = 0.15 * (right - left)
    return skin & (rows >= top) & (rows <= figure.waist) & (columns > left + inset) & (columns < right - inset)


def _hands(labels: np.ndarray, arms: np.ndarray, figure: Figure) -> np.ndarray:
    """The last fifth of every arm, the sleeved part counted in."""
    hands = np.zeros_like(arms)
    for part in components(arms):
        reach = [_reach(part, shoulder) for shoulder in figure.shoulders]
        if _spans_both(part, figure):
            hands |= _hands_of_a_pair(part, *reach)
        else:
            hands |= _hand_of_one(part, min(reach, key=lambda r: r.hidden), labels, figure)
    return hands


class Reach(NamedTuple):
    """The way along a piece of skin from its point nearest to a shoulder; how far that point is; its row."""

    way: np.ndarray
    hidden: float
    row: float


def _reach(part: np.ndarray, shoulder: tuple[float, float]) -> Reach:
    ys, xs = np.nonzero(part)
    gaps = np.hypot(xs - shoulder[0], ys - shoulder[1])
    nearest = int(np.argmin(gaps))
    start = np.zeros_like(part)
    start[ys[nearest], xs[nearest]] = True
    return Reach(walk(part, start), float(gaps[nearest]), float(ys[nearest]))


def _hand_of_one(part: np.ndarray, reach: Reach, labels: np.ndarray, figure: Figure) -> np.ndarray:
    length = float(reach.way[part].max())
    whole = ARM_LENGTH * figure.stature
    if reach.hidden < 0.17 * whole and length < 0.4 * whole and _roof(part, labels, *GARMENTS) < 0.3:
        return np.zeros_like(part)  # a bare shoulder beside a strap
    hand = max(0.2 * (reach.hidden + length), HAND_LENGTH * figure.stature)
    bottom = figure.box[3]
    if part[bottom - 2 : bottom].any() and bottom < figure.box[1] + 0.8 * figure.stature:
        # The photo cuts this arm: its last fifth may lie outside.
        return part & (reach.way >= max(length - hand, 0.66 * whole - reach.hidden))
    # What is little longer than a hand is one: a wrist more or less is better kept than half a thumb lost.
    return part & (reach.way >= length - hand) if length > 1.3 * hand else part


def _spans_both(part: np.ndarray, figure: Figure) -> bool:
    """Arms that cross or hands that meet make one piece of skin from one side of the body to the other."""
    (left, _), (right, _) = figure.shoulders
    columns = np.nonzero(part)[1]
    centre, half = (left + right) / 2, (right - left) / 2
    return columns.min() < centre - 0.45 * half and columns.max() > centre + 0.45 * half


def _hands_of_a_pair(part: np.ndarray, left: Reach, right: Reach) -> np.ndarray:
    """Hands that meet low are in the middle of a V; crossed arms do not tell where a hand begins, so all is kept."""
    width, height = part.any(0).sum(), part.any(1).sum()
    if height < 0.5 * width:
        return part
    nearer = np.where(part, np.minimum(left.way, right.way), -1)
    return part & (nearer >= 0.55 * nearer.max())


def _feet(labels: np.ndarray, legs: np.ndarray, figure: Figure) -> np.ndarray:
    """The lowest bit of each bare leg that ends inside the picture and in no shoe."""
    feet = np.zeros_like(legs)
    shoes = grow(labels == Label.SHOES, 0.02 * figure.stature)
    ankle = FOOT_HEIGHT * figure.stature
    rows = np.arange(legs.shape[0])[:, None]
    floor = figure.box[1] + 0.85 * figure.stature
    for leg in components(legs, min_area=(0.015 * figure.stature) ** 2):
        bottom = np.flatnonzero(leg.any(1))[-1]
        if bottom < legs.shape[0] - 2 and bottom > floor and not (leg & shoes & (rows > bottom - ankle)).any():
            feet |= leg & (rows > bottom - ankle)
    return feet
