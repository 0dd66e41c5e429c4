"""Pictures the undress check must refuse, and close relatives it must not: labelled people, painted over.

Nobody is shown undressed here: the clothes' silhouette is filled with texture made of small squares of the person's own
skin, under the light that fell on the cloth. It can be made from any labelled photo, and to a check that compares cloth
with skin it is what it has to find. The relatives are what people wear where much skin, or much that looks like it, is
nothing to refuse: swim shorts, a bare midriff, cloth in the colour of their skin.
"""

from __future__ import annotations

import cv2
import numpy as np

from model.labels import GARMENTS, Label

SHADE = 0.04  # of the picture's height: sigma of what counts as light on the cloth and not as its pattern
LIGHT = (0.7, 1.3)  # how much darker and brighter that light may make skin
PATCH = 1 / 40  # of the picture's height: the side of the squares
SMALLEST_PATCH = 5  # pixels; below that there is no skin to take texture from
ENOUGH = 40  # places a square may be taken from before a smaller one is tried
TRIES = 12  # places tried for each square: the one that continues its neighbours best is taken

SHORTS = 0.17  # of the person's height: how far shorts reach down from the trousers' top
CROP = 0.17  # and a cropped top from its own
TONES = {  # CIELAB of skin in the middle of each group of `tone`
    "very light": (72, 8, 13),
    "light": (67, 10, 15),
    "intermediate": (62, 11, 18.5),
    "tan": (55, 12, 19),
    "brown": (45, 13, 18),
    "dark": (33, 11, 13),
}


# ---- bare skin where cloth was ---------------------------------------------------------------------------------------


def undressed(photo: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Torso and legs filled: the photo with texture of the person's own skin where a top, dress, trousers or skirt is.

    Args:
        photo: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W), values of `Label`.

    Returns:
        uint8 (H, W, 3); None where the photo shows too little skin to take texture from, or none of the clothes.
    """
    return filled(photo, labels, np.isin(labels, GARMENTS), rng)


def in_swim_shorts(photo: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A bare torso, and trousers cut to shorts; None too where no trousers reach down."""
    shorts = _kept(labels, Label.LOWER, SHORTS)
    return None if shorts is None else filled(photo, labels, np.isin(labels, GARMENTS) & ~shorts, rng)


def in_crop_top(photo: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A top that leaves the midriff bare, and trousers cut to shorts; None too where no trousers reach down."""
    top, shorts = _kept(labels, Label.UPPER, CROP), _kept(labels, Label.LOWER, SHORTS)
    if top is None or shorts is None:
        return None
    return filled(photo, labels, np.isin(labels, GARMENTS) & ~shorts & ~top, rng)


def filled(photo: np.ndarray, labels: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """The photo with a region (bool (H, W)) filled with texture of the person's own skin; the light on it is kept.

    None where the photo shows too little skin to take texture from, or the region is empty.
    """
    source = _plain_skin(photo, labels)
    if source is None or not region.any():
        return None
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    painted = photo.astype(np.float32)
    painted[window] = _quilt(*source, region[window].shape, rng) * _light(photo, labels)[window][..., None]
    return _blended(photo, painted, region)


def _kept(labels: np.ndarray, label: Label, reach: float) -> np.ndarray | None:
    """Bool (H, W): a garment down to `reach` of the person's height below its top; None where it ends above that."""
    cloth = labels == label
    rows, height = np.flatnonzero(cloth.any(1)), (labels > 0).any(1).sum()
    if rows.size <= reach * height:
        return None
    return cloth & (np.arange(len(labels)) < rows[0] + reach * height)[:, None]


def _blended(photo: np.ndarray, painted: np.ndarray, region: np.ndarray) -> np.ndarray:
    soft = cv2.GaussianBlur(region.astype(np.float32), (0, 0), 0.8)[..., None]
    return np.clip(painted * soft + photo * (1 - soft) + 0.5, 0, 255).astype(np.uint8)


def _plain_skin(photo: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Skin free of eyes, lips and rough label edges: the picture without its slow shading (float32 (H, W, 3)), the
    centres (N, 2) of squares that hold nothing else, as row and column, and the squares' side."""
    skin = labels == Label.SKIN
    if not skin.any():
        return None
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).astype(np.float32)
    off = np.abs(lab - np.median(lab[skin], axis=0))
    usual = np.median(off[skin], axis=0) + 1
    plain = skin & (off <= 3.5 * usual).all(-1)
    plain = cv2.morphologyEx(plain.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) & skin
    for side in range(_odd(PATCH * len(photo)), SMALLEST_PATCH - 1, -2):
        centres = np.argwhere(cv2.erode(plain, np.ones((side, side), np.uint8), borderValue=0))
        if len(centres) >= ENOUGH:
            even = _evenly_lit(photo, plain > 0)
            return even, _calmest(even, centres, side), side
    return None


def _calmest(skin: np.ndarray, centres: np.ndarray, side: int) -> np.ndarray:
    """The third of the centres around which the skin varies least: no mouth, no knee, no shadow's edge."""
    square = (side, side)
    spread = (cv2.blur(skin**2, square) - cv2.blur(skin, square) ** 2).sum(-1)
    around = spread[centres[:, 0], centres[:, 1]]
    return centres[around <= np.quantile(around, 1 / 3)]


def _evenly_lit(photo: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The skin as if lit evenly, around its mean colour; float32 (H, W, 3), meaningless elsewhere."""
    pixels, weight = photo.astype(np.float32), skin.astype(np.float32)
    sigma = len(photo) / 160
    slow = cv2.GaussianBlur(pixels * weight[..., None], (0, 0), sigma)
    slow /= np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)[..., None]
    return pixels - slow + pixels[skin].mean(0)


def _quilt(
    skin: np.ndarray, centres: np.ndarray, side: int, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """float32 (*shape, 3) of overlapping squares, each chosen to continue those above and to its left."""
    half, overlap = side // 2, max(1, side // 3)
    step = side - overlap
    high, wide = (n + 2 * side for n in shape)
    made, filled = np.zeros((high, wide, 3), np.float32), np.zeros((high, wide, 1), np.float32)
    ramp = np.minimum(1, np.arange(1, side + 1) / (overlap + 1)).astype(np.float32)
    for top in range(0, high - side + 1, step):
        for left in range(0, wide - side + 1, step):
            place = np.s_[top : top + side, left : left + side]
            squares = [skin[y - half : y + half + 1, x - half : x + half + 1] for y, x in rng.choice(centres, TRIES)]
            there, known = made[place], filled[place]
            best = min(squares, key=lambda square: float((known * (square - there) ** 2).sum()))
            grown = np.minimum(*np.meshgrid(ramp, ramp))[..., None]
            alpha = np.where(known > 0, grown, 1)
            made[place], filled[place] = there * (1 - alpha) + best * alpha, 1
    return made[side : side + shape[0], side : side + shape[1]]


def _light(photo: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float32 (H, W): how brightly each garment is lit, around 1; a dark coat over a white shirt is no shadow."""
    grey, sigma = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32), SHADE * len(photo)
    light = np.ones_like(grey)
    for region in (labels == label for label in GARMENTS):
        if region.any():
            slow = cv2.GaussianBlur(grey * region, (0, 0), sigma)
            slow /= np.maximum(cv2.GaussianBlur(region.astype(np.float32), (0, 0), sigma), 1e-3)
            light[region] = np.sqrt(slow[region] / max(1.0, float(slow[region].mean())))
    return np.clip(light, *LIGHT)


def _odd(length: float) -> int:
    return 2 * (round(length) // 2) + 1


# ---- other clothes, places and people --------------------------------------------------------------------------------


def in_nude(photo: np.ndarray, labels: np.ndarray, rng: np.random.Generator, *, off: float) -> np.ndarray | None:
    """All clothes dyed near the colour of the person's own skin, their folds and patterns kept; None without skin.

    Args:
        off: how far from it in CIELAB, in a random direction.
    """
    skin, cloth = labels == Label.SKIN, np.isin(labels, GARMENTS)
    if not skin.any() or not cloth.any():
        return None
    lab = _lab(photo)
    way = rng.normal(size=3)
    aim = np.median(lab[skin], axis=0) + off * way / np.linalg.norm(way)
    for region in (labels == label for label in GARMENTS):
        if region.any():
            lab[region] += aim - np.median(lab[region], axis=0)
    return _blended(photo, _rgb(lab), cloth)


def at_the_beach(photo: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The person before sand, sea and sky."""
    high, wide = labels.shape
    rows = np.linspace(0, 1, high)[:, None, None]
    sky, sea, sand = (np.array(colour, np.float32) for colour in ((170, 205, 235), (60, 130, 165), (214, 187, 148)))
    place = np.where(rows < rng.uniform(0.25, 0.35), sky, np.where(rows < rng.uniform(0.4, 0.5), sea, sand))
    place = np.broadcast_to(place, (high, wide, 3)) + rng.normal(0, 7, (high, wide, 1)).astype(np.float32)
    return _blended(photo, place.astype(np.float32), labels == 0)


def retoned(photo: np.ndarray, labels: np.ndarray, tone: str) -> np.ndarray | None:
    """The person with skin of another tone, one of `TONES`; None without skin."""
    skin = labels == Label.SKIN
    if not skin.any():
        return None
    lab, aim = _lab(photo), np.array(TONES[tone], np.float32)
    usual = np.median(lab[skin], axis=0)
    lab[skin, 0] *= aim[0] / max(usual[0], 1)
    lab[skin, 1:] += aim[1:] - usual[1:]
    return _blended(photo, _rgb(lab), skin)


def _lab(photo: np.ndarray) -> np.ndarray:
    """uint8 RGB -> float32 CIELAB, L 0..100."""
    return cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _rgb(lab: np.ndarray) -> np.ndarray:
    """The way back, float32 0..255."""
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255
