"""Training pairs made from single photos: the garment is cut from the person's own photo, then moved, bent and relit.

The garment picture must be read to redraw the photo, because it is recoloured together with its appearance on the
person, and its shape on the canvas says little about where it was worn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from catvton.placement import CANVAS_MARGIN, box_of
from catvton.training.photos import Labelled, View, look_at, replace_background
from model.labels import Label

FRAME = (288, 384)
GARMENTS = (Label.UPPER, Label.LOWER, Label.DRESS)
SMALLEST = 0.03  # a garment covers at least this share of the frame


@dataclass(frozen=True)
class Pair:
    """One training case, all maps of one size.

    Attributes:
        image: uint8 (H, W, 3), the photo as it should come out.
        mask: uint8 (H, W), 255 may change.
        region: bool (H, W), where the garment shows.
        canvas: uint8 (H, W, 4), the garment picture, its box filling the canvas, white around.
        sources: float32 (H, W, 2), for every canvas pixel the image pixel (x, y) it was taken from.
    """

    image: np.ndarray
    mask: np.ndarray
    region: np.ndarray
    canvas: np.ndarray
    sources: np.ndarray


class PairMaker:
    """Draws pairs from labelled photos.

    Args:
        photos: labelled photos at working size.
        size: (W, H) of the pairs, of 3:4 aspect.
        bend: strength of the garment's deformation; 1 covers flat-lay pictures with sleeves spread.
        studio: share of pairs whose street is replaced by a plain wall, as catalogues and homes have.
    """

    def __init__(
        self, photos: Sequence[Labelled], *, size: tuple[int, int] = FRAME, bend: float = 1.0, studio: float = 0.3
    ) -> None:
        self.photos, self.size, self.bend, self.studio = photos, size, bend, studio
        self.cases = [(i, label) for i, photo in enumerate(photos) for label in _garments(photo)]

    def draw(self, rng: np.random.Generator) -> Pair:
        """A random case under random changes; photos whose garment ends up out of view are drawn again."""
        while True:
            index, label = self.cases[rng.integers(len(self.cases))]
            pair = self._make(rng, self.photos[index], label)
            if pair is not None:
                return pair

    def _make(self, rng: np.random.Generator, photo: Labelled, label: Label) -> Pair | None:
        view = _view(rng, photo, self.size)
        image, labels = view.image(photo.image), view.labels(photo.labels)
        region = labels == label
        if region.mean() < SMALLEST:
            return None
        image = replace_background(rng, image, labels) if rng.random() < self.studio else image
        image = _recolour(rng, image, region) if rng.random() < 0.6 else image
        mask = random_mask(rng, labels, label)
        canvas, sources = garment_picture(rng, image, region, bend=self.bend)
        return Pair(image, mask, region, canvas, sources)


def _garments(photo: Labelled) -> list[Label]:
    left, top, right, bottom = photo.box
    area = (right - left) * (bottom - top)
    return [g for g in GARMENTS if (photo.labels == g).sum() >= SMALLEST * area]


def _view(rng: np.random.Generator, photo: Labelled, size: tuple[int, int]) -> View:
    """Mostly the protocol's window, a third of the time a closer crop."""
    zoom = rng.uniform(1.2, 1.9) if rng.random() < 0.3 else rng.uniform(0.85, 1.15)
    slack = max(0.0, 0.5 - 0.5 / zoom) + 0.04
    return look_at(
        photo.box,
        size=size,
        zoom=zoom,
        turn=rng.normal(0, 3),
        centre=(0.5 + rng.uniform(-0.06, 0.06), 0.5 + rng.uniform(-slack, slack)),
        mirror=rng.random() < 0.5,
        squeeze=rng.uniform(0.93, 1.08),
    )


def _recolour(rng: np.random.Generator, image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The garment in another colour: hue turned, lightness and saturation changed, seam softened by a pixel."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    centred = lab[..., 1:] - 128
    shift = rng.normal(0, 25, 2).astype(np.float32) if rng.random() < 0.5 else np.zeros(2, np.float32)
    lab[..., 1:] = (centred @ turn.T) * np.float32(np.exp(rng.normal(0, 0.3))) + shift + 128
    level = lab[..., 0][region].mean()
    target = np.clip(level + rng.normal(0, 45), 25, 235)
    lab[..., 0] = (lab[..., 0] - level) * np.float32(np.exp(rng.normal(0, 0.2))) + target
    changed = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    soft = cv2.GaussianBlur(region.astype(np.float32), (0, 0), 0.8)[..., None]
    return (changed * soft + image * (1 - soft) + 0.5).astype(np.uint8)


# -- masks -----------------------------------------------------------------------------------------------------------


def random_mask(rng: np.random.Generator, labels: np.ndarray, label: Label) -> np.ndarray:
    """A mask a user might have: the protocol's, an automatic one with the limbs in it, or a painted blob."""
    height = labels.shape[0]
    region = labels == label
    kept = np.isin(labels, [Label.HAIR, Label.SHOES, *(g for g in GARMENTS if g != label)])
    top = box_of(region)[1]
    kind = rng.random()
    area = dilate(region, height * (0.025 if kind < 0.45 else rng.uniform(0.015, 0.06)))
    if kind > 0.55:
        area |= dilate(region | _limbs(labels, region, label), height * rng.uniform(0.012, 0.04))
    if kind < 0.75:
        area = convex_hull(area)
    elif kind > 0.92:
        left, upper, right, lower = box_of(area)
        area = np.zeros_like(area)
        area[upper:lower, left:right] = True
    area &= ~kept
    area[: max(0, round(top - height / 40))] = False
    return area.astype(np.uint8) * 255


def _limbs(labels: np.ndarray, region: np.ndarray, label: Label) -> np.ndarray:
    """Skin an automatic mask would open: below the top of the garment; for a top, down to its hem."""
    skin = labels == Label.SKIN
    top, bottom = box_of(region)[1], box_of(region)[3]
    rows = np.arange(labels.shape[0])[:, None]
    low = labels.shape[0] if label != Label.UPPER else bottom
    return skin & (rows > top) & (rows < low)


def dilate(region: np.ndarray, radius: float) -> np.ndarray:
    """Bool map grown by a disc of `radius` pixels."""
    side = 2 * max(1, round(radius)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(region.astype(np.uint8), disc) > 0


def convex_hull(region: np.ndarray) -> np.ndarray:
    """Bool map filled to the convex hull of all its pixels."""
    points = cv2.findNonZero(region.astype(np.uint8))
    filled = np.zeros(region.shape, np.uint8)
    if points is not None:
        cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled > 0


# -- garment pictures ------------------------------------------------------------------------------------------------


def garment_picture(
    rng: np.random.Generator, image: np.ndarray, region: np.ndarray, *, bend: float
) -> tuple[np.ndarray, np.ndarray]:
    """The region cut out, deformed, relit and scaled to fill a canvas; see `Pair.canvas` and `Pair.sources`."""
    sources = _deformation(rng, region, bend)
    alpha = cv2.remap(region.astype(np.uint8) * 255, sources, None, cv2.INTER_LINEAR)
    sources = _fill_canvas(sources, box_of(alpha > 127))
    colours = cv2.remap(image, sources, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.remap(region.astype(np.uint8) * 255, sources, None, cv2.INTER_LINEAR)
    if rng.random() < 0.5:  # cut-outs of real garment photos are never exact
        side = 2 * rng.integers(0, 2) + 3
        change = cv2.erode if rng.random() < 0.7 else cv2.dilate
        alpha = change(alpha, np.ones((side, side), np.uint8))
    lit = _relight(rng, colours)
    cover = alpha[..., None].astype(np.float32) / 255
    picture = lit * cover + 255 * (1 - cover)
    return np.dstack([picture + 0.5, alpha]).astype(np.uint8), sources


def _fill_canvas(sources: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The map re-read so that `box` fills the canvas, as `placement.garment_canvas` scales a cut-out."""
    height, width = sources.shape[:2]
    left, top, right, bottom = box
    scale = max((right - left) / (width * (1 - 2 * CANVAS_MARGIN)), (bottom - top) / (height * (1 - 2 * CANVAS_MARGIN)))
    x = (np.arange(width, dtype=np.float32) - width / 2) * scale + (left + right) / 2
    y = (np.arange(height, dtype=np.float32) - height / 2) * scale + (top + bottom) / 2
    grid = np.dstack(np.meshgrid(x, y)).astype(np.float32)
    return cv2.remap(sources, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(-1e4, -1e4))


def _deformation(rng: np.random.Generator, region: np.ndarray, bend: float) -> np.ndarray:
    """float32 (H, W, 2): for every pixel of the deformed picture, the image pixel it shows.

    Affine (turn to 10 degrees, scale, shear), a smooth random bend, and a swing of the sides about the shoulders, which
    takes hanging sleeves to spread ones.
    """
    height, width = region.shape
    rows, columns = height // 4, width // 4  # smooth enough to be computed on every fourth pixel
    left, top, right, bottom = box_of(region)
    centre = np.array([(left + right) / 2, (top + bottom) / 2], np.float32)
    half = np.array([right - left, bottom - top], np.float32) / 2
    x, y = (np.arange(columns) + 0.5) * width / columns - 0.5, (np.arange(rows) + 0.5) * height / rows - 0.5
    grid = np.dstack(np.meshgrid(x, y)).astype(np.float32)
    local = (grid - centre) / half
    angle, shear = np.radians(rng.uniform(-10, 10)), rng.uniform(-0.1, 0.1, 2)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.array(
        [[1, shear[0]], [shear[1], 1]]
    )
    linear *= rng.uniform(0.9, 1.25, 2)
    moved = local @ linear.T.astype(np.float32)
    if rng.random() < 0.35 * bend:
        moved = _swing(moved, np.radians(rng.uniform(-40, 10)), pivot=rng.uniform(0.4, 0.7))
    knots = rng.normal(0, rng.uniform(0.005, 0.05) * bend, (4, 4, 2)).astype(np.float32)
    moved = moved + cv2.resize(knots, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(moved * half + centre, (width, height), interpolation=cv2.INTER_LINEAR)


def _swing(local: np.ndarray, angle: float, pivot: float) -> np.ndarray:
    """Rotate what lies beyond `pivot` on either side about the shoulder, blending in smoothly.

    Args:
        local: (H, W, 2) in units of the garment's half size, -1..1.
        angle: radians; negative lowers what is read, so that the picture shows raised sleeves.
    """
    result = local.copy()
    for side in (-1.0, 1.0):
        x, y = local[..., 0] * side - pivot, local[..., 1] + 0.75
        share = 1 / (1 + np.exp(-np.clip(x / 0.08, -30, 30)))
        cos, sin = np.cos(-angle), np.sin(-angle)
        turned = np.dstack([side * (cos * x - sin * y + pivot), sin * x + cos * y - 0.75])
        result = result * (1 - share[..., None]) + turned * share[..., None]
    return result.astype(np.float32)


def _relight(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    """float32 0..255: another lamp (gain, a soft gradient); colours stay recognisable."""
    height, width = colours.shape[:2]
    slope = cv2.resize(rng.normal(0, 0.06, (3, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    gain = 1 + rng.normal(0, 0.05) + slope
    return np.clip(colours * gain[..., None] * np.exp(rng.normal(0, 0.015, 3)).astype(np.float32), 0, 255)
