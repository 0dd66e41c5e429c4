"""What clothes hide, guessed from a label map: bare arms and legs of the person's own skin tone, and what lies behind.

Long sleeves give way to short ones and trousers to a skirt, and something must be drawn there. No pixel under the mask
is read: where limbs lie follows from the labels, what colour they have from the skin that shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.arms import find_arms, torso
from model.figure import Figure, measure
from model.labels import GARMENTS, TOPS, Body, Label
from model.raster import Box, box_of, components, fill_nearest, grow, shrink
from model.regions import split

HEIGHT = 512  # rows of the map everything is decided on
MARGIN = 0.06  # around the person, of their height

# Parts of the stature.
COLLAR = 0.06  # below the shoulders' row: neck and shoulders, whatever the neckline
LOOSE = 0.006  # cloth stands off the limb by this
BELT = 0.12  # below the waist: where the colour of trousers or a skirt is taken
THIGHS = 0.24  # below the waist: a dress covers at least so much
OVERLAP = 0.01  # below the waist: how far a top that has to reach it goes on
HIP = 0.08  # below the waist legs begin
CROTCH = 0.2  # below the waist they part
THIGH = 0.042  # half the width of a leg at the hip
ROUND = 0.02  # limbs are darker within this of their edge
LEG_WIDTHS = ((0, 0.3, 0.55, 0.7, 1), (0.055, 0.042, 0.03, 0.03, 0.02))  # from hip to ankle: half of a leg's width
NARROW = 0.2  # trousers with the legs together are less wide at the ankle, a long skirt is not

SHADE = 0.3  # how much darker a limb's edge is
LEAST = 30  # pixels to take a colour from

STAYING = (Label.LOWER, Label.UPPER, Label.DRESS, Label.SHOES, Label.OTHER, Label.HAIR)
STAYS = 0.5  # of a class more than this is seen outside the mask: it was not to be replaced
NEAR = 0.025  # of the stature: further from what is seen, it is the part of a dress that goes
TONES = {
    Body.LEG: (Body.LEG, Body.FOOT),
    Body.ARM: (Body.ARM, Body.HAND, Body.SKIN),
    Body.FACE: (Body.NECK, Body.FACE),
}


@dataclass(frozen=True)
class Beneath:
    """What may be seen where old clothes go and no new ones come.

    Attributes:
        paint: uint8 (H, W, 4), RGB of limbs, and of the garment below a hem; alpha 0 where nothing can be said.
        behind: bool (H, W), where nobody is.
        body: bool (H, W), what a garment covers from its top to its hem, without gaps: torso and legs, not the arms.
        least: bool (H, W), what is covered at least: to the waist by a top, to the thighs by what replaces both a
            top and trousers, or a dress.
        worn: bool (H, W), the clothes that are replaced.
        sleeve: bool (H, W), near an arm and beside the torso, whatever is there.
        along: uint8 (H, W), how far down the nearest arm, in hundredths: 0 at the shoulder, 100 at the wrist.
    """

    paint: np.ndarray
    behind: np.ndarray
    body: np.ndarray
    least: np.ndarray
    worn: np.ndarray
    sleeve: np.ndarray
    along: np.ndarray


def beneath(photo: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> Beneath:
    """Guess what the masked clothes of a person hide.

    Args:
        photo: uint8 (H, W, 3), RGB; pixels under the mask are not read.
        mask: uint8 (H, W), 255 where pixels may change.
        labels: uint8 (H, W), values of `Label`, nobody but this person in it.
    """
    paint, along = np.zeros((*mask.shape, 4), np.uint8), np.zeros(mask.shape, np.uint8)
    trunk, least, sleeve = (np.zeros(mask.shape, bool) for _ in range(3))
    box = box_of(labels > 0)
    if box is not None:
        left, top, right, bottom = _with_margin(box, mask.shape)
        near = (each[top:bottom, left:right] for each in (photo, mask, labels))
        for whole, part in zip((paint, trunk, least, sleeve, along), _guess(*near), strict=True):
            whole[top:bottom, left:right] = part
    worn = np.isin(labels, GARMENTS) & (mask > 0)
    return Beneath(paint, labels == 0, trunk, least & (mask > 0), worn, sleeve, along)


def _with_margin(box: Box, shape: tuple[int, int]) -> Box:
    margin = round(MARGIN * (box[3] - box[1]))
    left, top, right, bottom = box
    return max(0, left - margin), max(0, top - margin), min(shape[1], right + margin), min(shape[0], bottom + margin)


def _guess(photo: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """All but `behind` and `worn` of a `Beneath`, of the same size, found on a map `HEIGHT` rows high."""
    size = (photo.shape[1], photo.shape[0])
    scale = min(1.0, HEIGHT / size[1])
    small = (max(1, round(scale * size[0])), max(1, round(scale * size[1])))
    labels, hidden = (cv2.resize(each, small, interpolation=cv2.INTER_NEAREST) for each in (labels, mask))
    colours = cv2.resize(photo, small, interpolation=cv2.INTER_NEAREST)  # never mixes in what the mask hides
    if not labels.any():  # a few pixels, lost in shrinking
        nothing = np.zeros(mask.shape, bool)
        return np.zeros((*mask.shape, 4), np.uint8), nothing, nothing, nothing, nothing.astype(np.uint8)
    figure = measure(labels)
    body = split(labels, figure)
    arms = find_arms(body, figure)
    limbs = {Body.LEG: legs(body, figure), Body.ARM: arms.limb | _shoulders(body, figure)}
    paint = _paint(colours, hidden > 127, body, figure, limbs)
    paint[..., 3] = cv2.GaussianBlur(paint[..., 3], (0, 0), 0.8)
    way = np.clip(np.rint(100 * arms.along), 0, 255).astype(np.uint8)
    trunk = torso(body, figure)
    areas = (trunk | limbs[Body.LEG], _least(body, hidden > 127, figure), arms.sleeve)
    up = {"dsize": size, "interpolation": cv2.INTER_LINEAR}
    scaled = (cv2.resize(area.astype(np.float32), **up) > 0.5 for area in areas)
    return cv2.resize(paint, **up), *scaled, cv2.resize(way, **up)


def _paint(
    colours: np.ndarray, hidden: np.ndarray, body: np.ndarray, figure: Figure, limbs: dict[Body, np.ndarray]
) -> np.ndarray:
    """RGBA: what stays of every class goes on under the mask, over it the limbs, and a garment below a long top."""
    paint = np.zeros((*body.shape, 4), np.uint8)
    for code in STAYING:
        where = body == code
        seen = where & ~hidden
        if seen.sum() > max(LEAST, STAYS * where.sum()):
            _lay(paint, where & grow(seen, NEAR * figure.stature), fill_nearest(colours, seen)[0])
    skin = {code: ~hidden & np.isin(body, codes) for code, codes in TONES.items()}
    for code, limb in limbs.items():
        tone = _colour(colours, *(skin[each] for each in (code, Body.ARM, Body.FACE)))
        if tone is not None:
            limb = (limb | hidden & np.isin(body, TONES[code])) & (paint[..., 3] == 0)
            _lay(paint, limb, tone[None, None] * _roundness(body, limb, figure)[..., None])
    face = _colour(colours, skin[Body.FACE])
    if face is not None:
        _lay(paint, hidden & np.isin(body, TONES[Body.FACE]), np.broadcast_to(face, (*body.shape, 3)))
    rows = np.arange(body.shape[0])[:, None]
    below = _colour(colours, ~hidden & (body == Body.LOWER) & (rows < figure.waist + BELT * figure.stature))
    if below is not None:
        _lay(paint, _hips(body, figure) & (paint[..., 3] == 0), np.broadcast_to(below, (*body.shape, 3)))
    paint[..., :3] = fill_nearest(paint[..., :3], paint[..., 3] > 0)[0]  # so that scaling mixes in no black
    return paint


def _lay(paint: np.ndarray, where: np.ndarray, colours: np.ndarray) -> None:
    """Opaque `colours` (H, W, 3), 0..255, where that is true."""
    paint[where, :3] = np.rint(colours[where]).astype(np.uint8)
    paint[where, 3] = 255


def _colour(colours: np.ndarray, *areas: np.ndarray) -> np.ndarray | None:
    """Median RGB of the first area large enough to have one."""
    for area in areas:
        if area.sum() >= LEAST:
            return np.median(colours[area], axis=0)
    return None


def _roundness(body: np.ndarray, limb: np.ndarray, figure: Figure) -> np.ndarray:
    """float32 (H, W): 1 inside a limb, less towards its edge; where it goes on as bare skin is no edge."""
    inside = limb | np.isin(body, (Body.ARM, Body.HAND, Body.LEG, Body.FOOT, Body.NECK, Body.SHOES))
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 1 - SHADE * np.square(1 - np.clip(depth / (ROUND * figure.stature), 0, 1))


# ---- where limbs lie -------------------------------------------------------------------------------------------------


def _shoulders(body: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): cloth over neck and shoulders, whatever the neckline."""
    rows, columns = np.indices(body.shape)
    (left, top), (right, _) = figure.shoulders
    cloth = shrink(np.isin(body, TOPS), LOOSE * figure.stature)
    return cloth & (rows < top + COLLAR * figure.stature) & (columns > left) & (columns < right)


def _least(body: np.ndarray, hidden: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): the torso to the waist; where the mask takes most of what is worn below it too, to the thighs."""
    rows = np.arange(len(body))[:, None]
    below = np.isin(body, (Body.LOWER, Body.DRESS)) & (rows >= figure.waist)
    both = below.any() and (below & hidden).sum() > STAYS * below.sum()
    covered = torso(body, figure) & (rows < figure.waist + OVERLAP * figure.stature)
    skirt = below & (rows < figure.waist + THIGHS * figure.stature)
    return covered | _closed(skirt) if both else covered


def _closed(area: np.ndarray) -> np.ndarray:
    """Bool (H, W): each row filled from the first to the last column of the area."""
    return np.logical_or.accumulate(area, axis=1) & np.logical_or.accumulate(area[:, ::-1], axis=1)[:, ::-1]


def _hips(body: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): where a long top hangs over trousers or a skirt."""
    rows, columns = np.indices(body.shape)
    (left, _), (right, _) = figure.shoulders
    return np.isin(body, TOPS) & (rows >= figure.waist) & (columns > left) & (columns < right)


def legs(body: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): legs under trousers, or under a skirt from the hips to where they show."""
    rows = np.arange(body.shape[0])[:, None]
    cloth = (body == Body.LOWER) | (body == Body.DRESS) & (rows >= figure.waist)
    if not cloth.any():
        return cloth
    if _parted(cloth, figure):
        return shrink(cloth, LOOSE * figure.stature) & _slim(cloth, figure)
    return cloth & _tubes(body, figure)


def _slim(cloth: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): from the hips down no wider than legs are, along the middle of either trouser leg."""
    _, top, _, bottom = box_of(cloth)
    hip = round(figure.waist + HIP * figure.stature)
    rows = np.arange(max(hip, top), bottom)
    found = np.ones(cloth.shape, bool)
    if not rows.size:
        return found
    found[rows] = False
    columns = np.arange(cloth.shape[1])
    widths = np.interp((rows - hip) / max(bottom - hip, 1), *LEG_WIDTHS) * figure.stature
    middles = np.array([_two_middles(cloth[row]) for row in rows])
    middles = cv2.blur(middles, (1, 2 * round(0.02 * figure.stature) + 1), borderType=cv2.BORDER_REPLICATE)
    for row, pair, width in zip(rows, middles, widths, strict=True):
        found[row] = (np.abs(columns[:, None] - pair) < width).any(1)
    return found


def _two_middles(row: np.ndarray) -> tuple[float, float]:
    """The middles of a row's two widest runs, or of the halves of its only one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    runs = sorted(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[0] - run[1])[:2]
    if not runs:
        return 0.0, 0.0
    if len(runs) == 1 or runs[1][1] - runs[1][0] < 0.3 * (runs[0][1] - runs[0][0]):
        first, last = runs[0]
        return (3 * first + last) / 4, (first + 3 * last) / 4
    left, right = sorted((first + last) / 2 for first, last in runs)
    return left, right


def _parted(cloth: np.ndarray, figure: Figure) -> bool:
    """Whether cloth is trousers: two legs are seen, or it ends at the ankles and is narrow there."""
    _, _, _, bottom = box_of(cloth)
    lower = cloth[round(figure.waist + CROTCH * figure.stature) : bottom]
    lower = lower[lower.any(1)]
    if not len(lower):
        return False
    runs = (np.diff(lower.astype(np.int8), axis=1, prepend=0) == 1).sum(1)
    long = bottom > figure.box[3] - 0.1 * figure.stature
    hem = lower[-max(1, round(0.04 * figure.stature)) :].sum(1).mean()
    return bool((runs >= 2).mean() > 0.3 or (long and hem < NARROW * figure.stature))


def _tubes(body: np.ndarray, figure: Figure) -> np.ndarray:
    """Bool (H, W): a leg from either hip to the top of what is seen of it, or of its shoe."""
    feet = components(np.isin(body, (Body.LEG, Body.FOOT)), min_area=(0.02 * figure.stature) ** 2)
    feet = feet or components(body == Body.SHOES, min_area=(0.02 * figure.stature) ** 2)
    drawn = np.zeros(body.shape, np.uint8)
    hip, middle = figure.waist + HIP * figure.stature, sum(x for x, _ in figure.shoulders) / 2
    for left, top, right, _ in map(box_of, feet[:2]):
        centre, half = (left + right) / 2, min((right - left) / 2, 0.9 * THIGH * figure.stature)
        side = np.sign(centre - middle) if len(feet) > 1 else 0
        at_hip, wide = middle + side * THIGH * figure.stature, THIGH * figure.stature * (1 if side else 1.7)
        outline = [(at_hip - wide, hip), (at_hip + wide, hip), (centre + half, top + 1), (centre - half, top + 1)]
        cv2.fillPoly(drawn, [np.rint(outline).astype(np.int32)], 1)
    return drawn > 0
