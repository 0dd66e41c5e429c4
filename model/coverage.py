"""Which pixels may change when a top, a bottom or a whole outfit is replaced, drawn from a body map.

Generous where old cloth could show through (its dilated hull, arms to the wrist, legs to the ankle), strict where the
person must stay the person (face, hair, hands, feet and shoes, bags, the garment that was not asked for).
Radii are stated for a window of 1024 rows and scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.errors import PartNotVisible
from model.figure import Figure
from model.labels import TOPS, Body
from model.raster import box_of, close, drop_small, fill_holes, grow, hull, open_, shrink, smooth

BASE_HEIGHT = 1024
PARTS = ("upper", "lower", "overall")

GARMENT_MARGIN = 51  # cloth grows by this: 1/20 of the window, what the try-on network is trained with
LIMB_MARGIN = 30  # bare arms and legs grow by this, to make room for a sleeve or a trouser leg
BAY = 90  # bays narrower than twice this are filled, so that the outline does not tell what was worn
TOP_MARGIN = 26  # how far above the worn garment's top edge the mask may reach: 1/40 of the window
BOTTOM_MARGIN = 26  # and below hem and ankles
EDGE_MARGIN = 10  # the edge of cloth that stays gives way by this: a parser is that unsure where a hem is
THIN = 17  # straps, chains and belts are thinner than twice this
SMOOTHING = 4

MIN_PART_AREA = 0.006  # of the window: less of a garment or limb in view is not worth dressing
MIN_BAG_AREA = 0.004
MIN_FILLED = 0.78  # of its hull: what fills less has limbs spread wide

TELL = {
    "upper": "The photo does not show the upper body, so there is no place for a top."
    " Use a photo that shows it from the shoulders to the waist.",
    "lower": "The photo does not show the lower body, so there is no place for trousers or a skirt."
    " Use a photo that shows the person from the waist down, best from head to feet.",
    "overall": "The photo does not show the torso, so there is no place for a dress or a whole outfit."
    " Use a photo that shows the person from the shoulders down.",
}
NOTE_BODICE = "The person wears a dress: only its top half is replaced. Choose 'overall' to replace all of it."
NOTE_SKIRT = "The person wears a dress: only its skirt is replaced. Choose 'overall' to replace all of it."
NOTE_CUT = "The legs are not in the picture, so the outfit ends where the photo does."


@dataclass(frozen=True)
class Target:
    """What one part means on one person: bool (H, W) maps.

    `worn` is the cloth (or bare skin) to be replaced and always covered, `limbs` the bare skin new cloth may need,
    `other` the cloth and limbs that stay. `notes` are sentences for the user.
    """

    worn: np.ndarray
    limbs: np.ndarray
    other: np.ndarray
    notes: tuple[str, ...] = ()


def cover(
    body: np.ndarray, figure: Figure, part: str, *, loose: bool = False, keep: np.ndarray | None = None
) -> np.ndarray:
    """Draw the mask of one part.

    Args:
        body: uint8 (H, W) body map of a 3:4 window around the person (`regions.split`).
        figure: the person's measures in that map.
        part: "upper", "lower" or "overall".
        loose: hide the outline altogether: the convex hull of everything, grown further.
        keep: bool (H, W), further pixels that must not change, such as other people.

    Returns:
        bool (H, W), True where pixels may change.

    Raises:
        PartNotVisible: too little of that part is in view.
    """
    return draw(body, figure, aim(body, figure, part), loose=loose, keep=keep)


def aim(body: np.ndarray, figure: Figure, part: str) -> Target:
    """Decide what the part means on this person: a dress is a top and a skirt to those who ask for one of them.

    Raises as `cover` does.
    """
    if part not in PARTS:
        raise ValueError(f"unknown part {part!r}; parts are {', '.join(PARTS)}")
    return {"upper": _upper, "lower": _lower, "overall": _overall}[part](body, figure)


def _upper(body: np.ndarray, figure: Figure) -> Target:
    above, least = _rows(body) < figure.waist, MIN_PART_AREA * body.size
    worn, notes = body == Body.UPPER, ()
    bodice = (body == Body.DRESS) & above
    if bodice.sum() > least:
        notes = (NOTE_BODICE,) if bodice.sum() > worn.sum() else ()
        worn = worn | bodice
    limbs = np.isin(body, (Body.ARM, Body.SKIN)) & ~_under(worn, figure)
    if worn.sum() < least:
        worn = worn | _bare_torso(body, figure)
    if worn.sum() < least:
        raise PartNotVisible("upper", TELL["upper"])
    stays = np.isin(body, (Body.LOWER, Body.DRESS, Body.LEG))
    return Target(worn, limbs, stays & ~worn & ~limbs, notes)


def _lower(body: np.ndarray, figure: Figure) -> Target:
    below = _rows(body) >= figure.waist
    worn, limbs, notes = body == Body.LOWER, body == Body.LEG, ()
    skirt = (body == Body.DRESS) & below
    if skirt.sum() > MIN_PART_AREA * body.size:
        notes = (NOTE_SKIRT,) if skirt.sum() > worn.sum() else ()
        worn = worn | skirt
    if max(worn.sum(), 0.4 * limbs.sum()) < MIN_PART_AREA * body.size:
        worn = worn | (body == Body.UPPER) & below  # the trousers of a suit that was parsed as one top
    if max(worn.sum(), 0.4 * limbs.sum()) < MIN_PART_AREA * body.size:
        raise PartNotVisible("lower", TELL["lower"])
    stays = np.isin(body, (*TOPS, Body.NECK, Body.ARM, Body.SKIN))
    return Target(worn, limbs, stays & ~worn, notes)


def _overall(body: np.ndarray, figure: Figure) -> Target:
    worn = np.isin(body, (Body.UPPER, Body.LOWER, Body.DRESS))
    torso = np.isin(body, TOPS) | _bare_torso(body, figure)
    if torso.sum() < MIN_PART_AREA * body.size:
        raise PartNotVisible("overall", TELL["overall"])
    limbs = np.isin(body, (Body.ARM, Body.SKIN, Body.LEG))
    legs = np.isin(body, (Body.LOWER, Body.LEG, Body.DRESS)) & (_rows(body) > figure.waist)
    cut = legs.sum() < MIN_PART_AREA * body.size
    return Target(worn | torso, limbs, np.zeros_like(worn), (NOTE_CUT,) if cut else ())


def _rows(body: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.arange(body.shape[0])[:, None], body.shape)


def _under(worn: np.ndarray, figure: Figure) -> np.ndarray:
    """Rows well below a top: loose skin there is no arm."""
    box = box_of(worn)
    bottom = figure.waist if box is None else max(box[3], figure.waist)
    return _rows(worn) > bottom + 0.2 * figure.stature


def _bare_torso(body: np.ndarray, figure: Figure) -> np.ndarray:
    """The skin of somebody without a top: between the shoulders, from the collar bones to the waist."""
    if figure.head is None:
        return np.zeros(body.shape, bool)
    (left, top), (right, _) = figure.shoulders
    skin = np.isin(body, (Body.SKIN, Body.NECK, Body.ARM))
    columns = np.arange(body.shape[1])[None, :]
    rows = _rows(body)
    return skin & (rows > top) & (rows < figure.waist) & (columns > left) & (columns < right)


def draw(
    body: np.ndarray, figure: Figure, target: Target, *, loose: bool = False, keep: np.ndarray | None = None
) -> np.ndarray:
    """The mask of a target; arguments and result as in `cover`."""
    unit = body.shape[0] / BASE_HEIGHT
    worn = drop_small(target.worn, (6 * unit) ** 2)
    limbs = drop_small(target.limbs, (14 * unit) ** 2)
    room = grow(limbs, LIMB_MARGIN * unit * (2 if loose else 1))
    area = grow(worn, GARMENT_MARGIN * unit * (1.5 if loose else 1)) | room
    area = hull(area) if loose else _outline(area, figure.waist, unit)
    area &= _between(target, worn, limbs, unit) | room  # a raised arm reaches above the collar
    area = smooth(fill_holes(area, (60 * unit) ** 2), SMOOTHING * unit)
    area |= target.worn
    area &= ~_protected(body, target, unit)
    return area if keep is None else area & ~(keep & ~target.worn)


def _outline(area: np.ndarray, waist: float, unit: float) -> np.ndarray:
    """The hull, as in training, unless limbs spread so far that it would swallow the scene.

    Then bays are filled, and the halves above and below the waist have a hull each if they are not spread themselves.
    """
    whole = hull(area)
    if area.sum() > MIN_FILLED * whole.sum():
        return whole
    result = close(area, BAY * unit)
    for half in (area & (_rows(area) < waist), area & (_rows(area) >= waist)):
        around = hull(half)
        if half.sum() > MIN_FILLED * around.sum():
            result |= around
    return result


def _between(target: Target, worn: np.ndarray, limbs: np.ndarray, unit: float) -> np.ndarray:
    """Rows from just above the worn garment (or limb) to just below hem, wrists and ankles."""
    _, top, _, _ = box_of(worn if worn.any() else limbs) or (0, 0, 0, 0)
    _, _, _, bottom = box_of(worn | limbs) or (0, 0, 0, 0)
    rows = _rows(worn)
    return (rows >= top - TOP_MARGIN * unit) & (rows <= bottom + BOTTOM_MARGIN * unit)


def _protected(body: np.ndarray, target: Target, unit: float) -> np.ndarray:
    """What never changes. Cloth that stays loses a thin edge where it meets the worn garment."""
    strict = np.isin(body, (Body.HAIR, Body.FACE, Body.HAND, Body.SHOES, Body.FOOT))
    around = shrink(target.other, EDGE_MARGIN * unit) | target.other & ~grow(target.worn, 2 * EDGE_MARGIN * unit)
    return strict | around | _accessories(body, target, unit)


def _accessories(body: np.ndarray, target: Target, unit: float) -> np.ndarray:
    """Bags, hats and the like stay; straps, chains and belts that lie on the worn garment go with it."""
    other = body == Body.OTHER
    thick = drop_small(open_(other, THIN * unit), MIN_BAG_AREA * body.size)
    on_cloth = close(target.worn | target.limbs, 1.2 * THIN * unit)
    return other & (~on_cloth | grow(thick, 4 * unit))
