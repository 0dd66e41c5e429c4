"""The published agnostic mask: which pixels of a person photo may change, from three label maps.

Written from a description of what CatVTON's automatic masker computes, and equal to it pixel for pixel where both
sides of the photo are multiples of 4 (the published code fails on others), given the same OpenCV: versions before
4.12 fill polygons up to some 40 pixels of a photo otherwise. `loose`, `grow` and `feather` are this project's own and
off by default.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model import raster
from model.label_sets import Atr, Dense, Lip, Selection

BASE_SIDE = 1024  # the longer side for which the pixels below, and those of `grow` and `feather`, are stated
LOOSE_BODY = 70  # `loose` hides this much around the body: clothes that lie closer to it leave no outline
LOOSE_CLOTHES = 25  # and this much around those that do not
LOOSE_HEM = 40  # and this much of the cloth and legs that stay, where they meet the clothes that go
SPECK = 0.0003  # of the photo: smaller pieces are a parser's mistakes, nothing to hide with a margin

QUARTER = 4  # the body is widened on a map of a quarter of each side
VISIBLE = 25  # of 255: what a blur leaves above this is masked


@dataclass(frozen=True)
class Maps:
    """The three label maps of one photo, uint8 (H, W) each: DensePose's, LIP's and ATR's."""

    densepose: np.ndarray
    lip: np.ndarray
    atr: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.lip.shape

    @property
    def foreground(self) -> np.ndarray:
        """bool (H, W): where either parser sees anything."""
        return (self.lip > 0) | (self.atr > 0)

    def of(self, selection: Selection) -> np.ndarray:
        """bool (H, W): where either parser shows one of the selected classes."""
        return np.isin(self.lip, selection.lip) | np.isin(self.atr, selection.atr)

    def dense(self, codes: tuple[int, ...]) -> np.ndarray:
        """bool (H, W): where DensePose shows one of these parts."""
        return np.isin(self.densepose, codes)


@dataclass(frozen=True)
class Plan:
    """What one part means: classes of both parsers, and DensePose codes.

    Attributes:
        body: skin that stays, if not near `worn`.
        stays: clothes that stay.
        worn: clothes that go.
        gives: of what stays, that which gives way along the worn clothes' hem when the mask is loose.
        dense: body parts that new clothes may cover.
        sign: clothes that, like `sign_dense`, show that the part is in the photo at all.
    """

    body: Selection
    stays: Selection
    worn: Selection
    gives: Selection
    dense: tuple[int, ...]
    sign: Selection
    sign_dense: tuple[int, ...]


_LEGS = Selection.of("LEFT_LEG RIGHT_LEG")
_LIMBS = Selection.of("LEFT_ARM RIGHT_ARM LEFT_LEG RIGHT_LEG")
_FACE = Selection.of(lip="FACE")
_HAIR = Selection.of("HAIR")
_ACCESSORIES = Selection.of("HAT GLOVE SUNGLASSES BAG LEFT_SHOE RIGHT_SHOE SCARF SOCKS")
_TOPS = Selection.of("UPPER_CLOTHES COAT")
_TORSO_AND_ARMS = Dense.TORSO + Dense.UPPER_ARMS + Dense.FOREARMS

PLANS = {
    "upper": Plan(
        body=_LEGS,
        stays=Selection.of("SKIRT PANTS"),
        worn=Selection.of("UPPER_CLOTHES COAT DRESS JUMPSUITS"),
        gives=Selection.of("SKIRT PANTS LEFT_LEG RIGHT_LEG"),
        dense=_TORSO_AND_ARMS,
        sign=_TOPS,
        sign_dense=Dense.TORSO,
    ),
    "lower": Plan(
        body=Selection.of("LEFT_ARM RIGHT_ARM FACE"),
        stays=_TOPS,
        worn=Selection.of("PANTS SKIRT DRESS JUMPSUITS"),
        gives=_TOPS,
        dense=Dense.THIGHS + Dense.LEGS,
        sign=Selection.of("PANTS SKIRT"),
        sign_dense=Dense.THIGHS + Dense.LEGS,
    ),
    "overall": Plan(
        body=Selection(),
        stays=Selection(),
        worn=Selection.of("UPPER_CLOTHES DRESS PANTS SKIRT COAT JUMPSUITS"),
        gives=Selection(),
        dense=_TORSO_AND_ARMS + Dense.THIGHS + Dense.LEGS,
        sign=Selection.of("UPPER_CLOTHES COAT DRESS JUMPSUITS"),
        sign_dense=Dense.TORSO,
    ),
    "inner": Plan(
        body=_LEGS,
        stays=Selection.of("DRESS COAT SKIRT PANTS JUMPSUITS"),
        worn=Selection.of("UPPER_CLOTHES"),
        gives=Selection.of("SKIRT PANTS LEFT_LEG RIGHT_LEG"),
        dense=Dense.TORSO,
        sign=_TOPS,
        sign_dense=Dense.TORSO,
    ),
    "outer": Plan(
        body=_LEGS,
        # A coat that ATR, which has none, calls upper-clothes must not be kept for it.
        stays=Selection.of("DRESS PANTS SKIRT JUMPSUITS", lip="UPPER_CLOTHES"),
        worn=Selection.of("COAT"),
        gives=Selection.of("SKIRT PANTS LEFT_LEG RIGHT_LEG UPPER_CLOTHES DRESS JUMPSUITS"),
        dense=_TORSO_AND_ARMS,
        sign=_TOPS,
        sign_dense=Dense.TORSO,
    ),
}


def agnostic_mask(
    densepose: np.ndarray,
    lip: np.ndarray,
    atr: np.ndarray,
    part: str = "upper",
    *,
    loose: bool = False,
    grow: float = 0,
    feather: float = 0,
) -> np.ndarray:
    """Draw the mask of one part.

    Args:
        densepose: uint8 (H, W), 0..24, of one person; any size.
        lip: uint8 (H, W), values of `Lip`.
        atr: uint8 (H, W), values of `Atr`.
        part: "upper", "lower", "overall"; "inner" (under an open coat) or "outer" (the coat).
        loose: mask generously around body and clothes too, so that the mask's outline does not tell how long sleeves
            and hems were. Face, hands, hair and accessories stay; so does what is not to be replaced, but for a band
            along the worn clothes' hem.
        grow: pixels, for a longer side of 1024, by which the mask is widened over what need not stay.
        feather: pixels, for the same, over which its edge fades; half of them on each side.

    Returns:
        uint8 (H, W): 255 may change, 0 must not. With `feather` also values between, 128 and above being the mask.

    Raises:
        ValueError: an unknown part, a negative length, or maps that are no such maps.
    """
    plan, maps = _plan(part), Maps(densepose, lip, atr)
    _check(maps)
    if grow < 0 or feather < 0:
        raise ValueError(f"grow and feather must be 0 or more, not {grow} and {feather}")
    unit = max(maps.shape) / BASE_SIDE
    strong = _strong(maps)
    weak = _weak(plan, maps, strong)
    mask = _published(plan, maps, strong, weak)
    if loose:
        mask |= _room(plan, maps, strong, weak)
    if grow:
        mask |= raster.grow(mask, grow * unit) & ~weak
    return _faded(mask, feather * unit, never=strong & ~mask)


def in_view(densepose: np.ndarray, lip: np.ndarray, atr: np.ndarray, part: str) -> np.ndarray:
    """bool (H, W): the pixels that show that a part lies inside the photo; arguments as in `agnostic_mask`."""
    plan, maps = _plan(part), Maps(densepose, lip, atr)
    return maps.dense(plan.sign_dense) | maps.of(plan.sign)


def _plan(part: str) -> Plan:
    if part not in PLANS:
        raise ValueError(f"unknown part {part!r}; parts are {', '.join(PLANS)}")
    return PLANS[part]


def _check(maps: Maps) -> None:
    for name, count in (("densepose", Dense.COUNT), ("lip", len(Lip)), ("atr", len(Atr))):
        labels = getattr(maps, name)
        if labels.dtype != np.uint8 or labels.ndim != 2 or not labels.size:
            raise ValueError(f"the {name} map must be uint8 (H, W), not {labels.dtype} {labels.shape}")
        if labels.shape != maps.densepose.shape:
            raise ValueError(f"the {name} map is {labels.shape}, the densepose map {maps.densepose.shape}")
        if labels.max() >= count:
            raise ValueError(f"the {name} map has a label {labels.max()}; its labels are 0 to {count - 1}")


def _strong(maps: Maps) -> np.ndarray:
    """What is never masked, but for the last widening: face, and hands and feet where a parser sees a limb."""
    hands = _widen(maps.dense(Dense.HANDS + Dense.FEET), _odd_share(maps.shape, 250))
    return hands & maps.of(_LIMBS) | maps.of(_FACE)


def _weak(plan: Plan, maps: Maps, strong: np.ndarray) -> np.ndarray:
    """What the drawn area stays out of; clothes to be masked may take it back."""
    return strong | maps.of(plan.body) | maps.of(plan.stays) | maps.of(_HAIR) | maps.of(_ACCESSORIES)


def _published(plan: Plan, maps: Maps, strong: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """bool (H, W): the hulls of body and whatever is not known to stay, a soft step further, and the worn clothes."""
    area = maps.foreground & ~weak | _body(maps.dense(plan.dense))
    area = _hulls(area) & ~weak
    side = _odd_share(maps.shape, 25)
    area = cv2.GaussianBlur(area.astype(np.uint8) * 255, (side, side), 0) >= VISIBLE
    area = (area | maps.of(plan.worn)) & ~strong
    return _widen(area, _odd_share(maps.shape, 250))


def _room(plan: Plan, maps: Maps, strong: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """bool (H, W): the hulls of the body and the worn clothes with a wide margin, for `loose`.

    Some of what stays gives way near the worn clothes: a hem that ends where the mask does would be seen.
    """
    unit = max(maps.shape) / BASE_SIDE
    least = SPECK * weak.size
    worn = raster.drop_small(maps.of(plan.worn), least)
    gives = maps.of(plan.gives)
    firm = strong | maps.of(_HAIR) | maps.of(_ACCESSORIES) | maps.of(plan.body) & ~gives
    hem = raster.grow(worn, LOOSE_HEM * unit) & gives & ~firm
    body = raster.drop_small(maps.dense(plan.dense), least)
    wide = raster.grow(body, LOOSE_BODY * unit) | raster.grow(worn, LOOSE_CLOTHES * unit)
    return _hulls(wide) & (~weak | hem)


def _body(dense: np.ndarray) -> np.ndarray:
    """bool (H, W) -> the same a little wider, in blocks of 4 x 4; each takes its first pixel, the last may be cut."""
    height, width = dense.shape
    small = _widen(dense[::QUARTER, ::QUARTER], _odd_share(dense.shape, 250), times=2)
    return small.repeat(QUARTER, axis=0).repeat(QUARTER, axis=1)[:height, :width]


def _odd_share(shape: tuple[int, int], share: int) -> int:
    """A `share`-th of the longer side, in whole pixels, made odd."""
    return max(shape) // share | 1


def _widen(mask: np.ndarray, side: int, *, times: int = 1) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8), iterations=times) > 0


def _hulls(mask: np.ndarray) -> np.ndarray:
    """The filled convex hull of each connected piece."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = np.zeros(mask.shape, np.uint8)
    for outline in outlines:
        cv2.fillPoly(filled, [cv2.convexHull(outline)], 1)  # fillConvexPoly sets fewer pixels along the edge
    return filled > 0


def _faded(mask: np.ndarray, width: float, *, never: np.ndarray) -> np.ndarray:
    """uint8 (H, W): 255 inside, 0 outside, and a straight slope `width` pixels wide between; 0 at `never`."""
    if not width or not mask.any() or mask.all():
        return np.where(mask, np.uint8(255), np.uint8(0))
    signed = np.where(mask, _depth(mask) - 0.5, 0.5 - _depth(~mask))
    soft = np.rint(np.clip(127.5 + 255 * signed / width, 0, 255)).astype(np.uint8)
    soft[mask] = np.maximum(soft[mask], 128)
    soft[~mask] = np.minimum(soft[~mask], 127)
    soft[never] = 0
    return soft


def _depth(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel of the mask to the nearest one outside it; 0 outside."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
