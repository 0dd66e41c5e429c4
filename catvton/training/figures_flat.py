"""Garments laid flat: the clothes of the rendered figures without anyone in them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model.labels import Label

from . import figures_clothes as clothes
from . import figures_legwear as legwear
from .figures_body import LEG_ROWS, Arm, Body, Leg
from .figures_canvas import Canvas, Light
from .figures_fabric import Cloth, Fabric, random_fabric
from .figures_maths import Array, blur, linear, open_spline
from .figures_scene import develop
from .figures_style import Bottom, Style, Top

KINDS = ("tshirt", "shirt", "jumper", "coat", "dress", "trousers", "shorts", "skirt")
_LIGHT = Light(direction=(-0.5, -0.6, 0.85), key=(0.66, 0.65, 0.63), sky=(0.46, 0.47, 0.49), wrap=0.2)
# Half widths at TORSO_ROWS of a garment cut straight, and of one with a waist.
_BOXY = np.array([0.040, 0.052, 0.082, 0.116, 0.118, 0.118, 0.118, 0.119, 0.120, 0.120])
_WAISTED = np.array([0.036, 0.047, 0.068, 0.090, 0.090, 0.084, 0.075, 0.084, 0.100, 0.108])


@dataclass(frozen=True)
class FlatGarment:
    """A rendered garment: `image` uint8 (H, W, 3) RGB on its background, `alpha` uint8 (H, W) of the cloth alone."""

    image: Array
    alpha: Array


def render_garment(
    rng: np.random.Generator,
    *,
    kind: str,
    size: tuple[int, int] = (768, 1024),
    fabric: Fabric | None = None,
    background: tuple[int, int, int] = (247, 247, 246),
    oversample: int = 2,
) -> FlatGarment:
    """One garment of `kind` (one of `KINDS`), laid flat on a plain ground, at `size` (W, H).

    Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown garment {kind!r}; known are {', '.join(KINDS)}")
    part = {"coat": "coat", "dress": "dress", "trousers": "lower", "shorts": "lower", "skirt": "lower"}.get(
        kind, "upper"
    )
    fabric = random_fabric(rng, part=part) if fabric is None else fabric
    top, bottom = _cut_of(kind, fabric)
    body = _stand(rng, kind, top)
    canvas = _table(kind, top, bottom, body, (size[0] * oversample, size[1] * oversample))
    if top is not None:
        _lay_top(canvas, body, top, Label.DRESS if kind == "dress" else Label.UPPER, kind)
    if bottom is not None:
        _lay_bottom(canvas, body, bottom)
    small = canvas.reduced(oversample)
    picture = _on_ground(small, background)
    return FlatGarment(develop(rng, picture, wear=0.0), np.round(small.alpha * 255).astype(np.uint8))


def _cut_of(kind: str, fabric: Fabric) -> tuple[Top | None, Bottom | None]:
    tops = {
        "tshirt": Top(fabric, sleeve=0.46, ease=0.3, hem=0.525, neck="crew"),
        "shirt": Top(fabric, sleeve=0.985, ease=0.3, hem=0.545, neck="collar", buttons=True),
        "jumper": Top(fabric, sleeve=0.985, ease=0.34, hem=0.52, neck="crew"),
        "coat": Top(fabric, sleeve=0.985, ease=0.34, hem=0.66, neck="collar", buttons=True),
        "dress": Top(fabric, sleeve=0.30, ease=0.1, hem=0.74, neck="scoop"),
    }
    bottoms = {
        "trousers": Bottom(fabric, "trousers", hem=0.955, ease=0.5, waist=0.40),
        "shorts": Bottom(fabric, "shorts", hem=0.64, ease=0.8, waist=0.40),
        "skirt": Bottom(fabric, "skirt", hem=0.70, ease=0.2, flare=0.6, waist=0.40),
    }
    return tops.get(kind), bottoms.get(kind)


def _stand(rng: np.random.Generator, kind: str, top: Top | None) -> Body:
    """A body in the garment's own shape, its arms and legs laid straight."""
    half = (_WAISTED if kind in ("dress", "skirt", "trousers", "shorts") else _BOXY).copy()
    long = top is not None and top.sleeve > 0.6
    arms = tuple(_flat_arm(side, half, np.radians(17 if long else 46)) for side in (-1, 1))
    legs = []
    for side in (-1, 1):
        middle = side * np.array([0.050, 0.052, 0.058, 0.062, 0.064, 0.066, 0.068, 0.068])
        width = np.array([0.050, 0.049, 0.044, 0.036, 0.033, 0.031, 0.030, 0.030])
        legs.append(Leg(side, LEG_ROWS.copy(), middle, width, 1.0, 0.5))
    style = Style(female=0.5)
    return Body(style, rng, Cloth.draw(rng), half, 0.0, 0.0, 0.0, (0.0, 0.067), arms, (legs[0], legs[1]))  # type: ignore[arg-type]


def _flat_arm(side: int, half: Array, angle: float) -> Arm:
    shoulder = np.array([side * (half[3] - 0.020), 0.216])
    out = np.array([side * np.sin(angle), np.cos(angle)])
    line = open_spline(np.stack([shoulder + out * d for d in (0.0, 0.08, 0.16, 0.24, 0.315)]), 2)
    radii = np.array([0.026, 0.036, 0.036, 0.033, 0.031, 0.029, 0.027, 0.025, 0.024])
    return Arm(side, line, radii, "hidden", out, False)


def _table(kind: str, top: Top | None, bottom: Bottom | None, body: Body, size: tuple[int, int]) -> Canvas:
    """A canvas that frames the garment with a margin."""
    low, high = (
        (0.150, top.hem) if top is not None else (bottom.waist if bottom else 0.4, bottom.hem if bottom else 1.0)
    )
    reach = 0.14
    if top is not None and top.sleeve > 0:
        tip = body.arms[1].line[min(int(np.ceil(top.sleeve * 8)), 8)]
        reach, high = max(reach, float(tip[0]) + 0.035), max(high, float(tip[1]) + 0.01)
    if kind == "dress":
        reach = 0.19
    scale = min(size[1] * 0.86 / (high - low), size[0] * 0.90 / (2 * reach))
    return Canvas(*size, scale, (size[0] / 2, size[1] / 2 - (low + high) / 2 * scale), _LIGHT, flatness=0.32)


def _lay_top(canvas: Canvas, body: Body, top: Top, label: int, kind: str) -> None:
    inside = linear(top.fabric.colours[0]) * 0.62
    if top.neck != "turtle":
        wide = {"crew": 0.044, "scoop": 0.054, "collar": 0.040}.get(top.neck, 0.042)
        drop = {"scoop": 0.06}.get(top.neck, 0.035)
        rows = np.array([0.160, 0.180, 0.168 + drop])
        back = canvas.column(rows, -wide * np.ones(3), wide * np.ones(3), depth=0.2, top=lambda u: 0.007 * (1 - u * u))
        canvas.paint(back, inside, label, shadow=0.0)
        if back is not None:
            _label_tag(canvas, inside)
    flare = 0.55 if kind == "dress" else 0.0
    clothes.paint_top(canvas, body, top, label=label, flare=flare, shadow=0.3)
    for arm in body.arms:
        clothes.paint_sleeve(canvas, body, arm, top, label=label)
    if kind == "shirt":
        _pocket(canvas, body, top, label)


def _label_tag(canvas: Canvas, inside: Array) -> None:
    tag = canvas.limb(
        np.array([[-0.007, 0.1745], [0.007, 0.1745]]), [0.004, 0.004], flat_start=True, flat_end=True, depth=0.1
    )
    canvas.paint(tag, np.float32([0.8, 0.8, 0.78]), Label.UPPER, shadow=0.2, reach=0.002)


def _pocket(canvas: Canvas, body: Body, top: Top, label: int) -> None:
    corners = np.array([[0.030, 0.262], [0.078, 0.262], [0.078, 0.302], [0.054, 0.314], [0.030, 0.302]])
    patch = canvas.blob(corners, rounding=0.004, closed=False)
    if patch is not None:
        clothes.paint_cloth(canvas, body, patch, top.fabric, label, shadow=0.35)


def _lay_bottom(canvas: Canvas, body: Body, bottom: Bottom) -> None:
    fabric = bottom.fabric
    inside = linear(fabric.colours[0]) * 0.5
    left, right = body.torso(np.array([bottom.waist]), ease=0.005)
    rows = np.array([bottom.waist - 0.004, bottom.waist + 0.02])
    back = canvas.column(rows, [float(left[0])] * 2, [float(right[0])] * 2, depth=0.2)
    canvas.paint(back, inside, Label.LOWER, shadow=0.0)
    legwear.paint_bottom(canvas, body, bottom)


def _on_ground(canvas: Canvas, background: tuple[int, int, int]) -> Array:
    """The garment over its plain ground with the shadow of something that lies on it."""
    ground = np.broadcast_to(linear(background), canvas.rgb.shape)
    near = blur(canvas.alpha, 0.006 * canvas.scale)
    shift = np.float32([[1, 0, 0.008 * canvas.scale], [0, 1, 0.012 * canvas.scale]])
    far = blur(cv2.warpAffine(canvas.alpha, shift, canvas.alpha.shape[::-1]), 0.014 * canvas.scale)
    shadow = 1 - 0.18 * near - 0.22 * far
    return canvas.rgb + ground * shadow[..., None] * (1 - canvas.alpha[..., None])
