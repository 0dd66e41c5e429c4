"""Pictures the undress check must refuse, and close relatives it must not: people whose clothes are painted over.

Nobody is shown undressed here: the clothes' silhouette is filled with texture made of small squares of the person's own
skin, under the light that fell on the cloth. That is the crude end of what a try-on must not be used for, it can be
made from any labelled photo, and it looks the same to a check that compares cloth with skin.
"""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from model.labels import GARMENTS, Label

SHADE = 0.04  # of the picture's height: sigma of what counts as light on the cloth and not as its pattern
LIGHT = (0.7, 1.3)  # how much darker and brighter that light may make skin
PATCH = 1 / 40  # of the picture's height: the side of the squares
SMALLEST_PATCH = 5  # pixels; below that there is no skin to take texture from
ENOUGH = 40  # places a square may be taken from before a smaller one is tried
TRIES = 12  # places tried for each square: the one that continues its neighbours best is taken


def undressed(
    photo: np.ndarray, labels: np.ndarray, rng: np.random.Generator, *, clothes: Collection[Label] = GARMENTS
) -> np.ndarray | None:
    """The photo with the clothes' region filled with texture of the person's own skin; the light on them is kept.

    Args:
        photo: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W), values of `Label`.
        clothes: which classes are filled.

    Returns:
        uint8 (H, W, 3); None where the photo shows too little skin, or none of the clothes.
    """
    region = np.isin(labels, list(clothes))
    source = _plain_skin(photo, labels)
    if source is None or not region.any():
        return None
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    texture = _quilt(*source, region[window].shape, rng)
    painted = photo.astype(np.float32)
    painted[window] = texture * _light(photo, region)[window][..., None]
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
            return _evenly_lit(photo, plain > 0), centres, side
    return None


def _evenly_lit(photo: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The skin as if lit evenly, around its mean colour; float32 (H, W, 3), meaningless elsewhere."""
    pixels, weight = photo.astype(np.float32), skin.astype(np.float32)
    sigma = len(photo) / 100
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


def _light(photo: np.ndarray, region: np.ndarray) -> np.ndarray:
    """float32 (H, W): how brightly the region is lit, around 1."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    weight, sigma = region.astype(np.float32), SHADE * len(photo)
    slow = cv2.GaussianBlur(grey * weight, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
    return np.clip(slow / max(1.0, float(slow[region].mean())), *LIGHT)


def _odd(length: float) -> int:
    return 2 * (round(length) // 2) + 1
