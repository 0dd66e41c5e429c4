"""Clothes over the torso of a posed body: tops, dresses, coats, their necks and sleeves; and how cloth folds."""

from __future__ import annotations

import numpy as np

from model.labels import Label

from .figures_body import TORSO_ROWS, Arm, Body, blend_shoulder, trunk_relief
from .figures_canvas import Canvas, Cut, Patch
from .figures_fabric import Fabric, stamp
from .figures_maths import Array, linear, sample, smoothstep
from .figures_style import Top


def paint_cloth(
    canvas: Canvas, body: Body, patch: Patch | None, fabric: Fabric, label: int, *, relief: Array | None = None,
    shadow: float = 0.4, chest: tuple[float, float, float] | None = None,
) -> None:  # fmt: skip
    """Paint `patch` in `fabric`; `relief` carries the folds; `chest` = (s, t, width) of the fabric's motif."""
    if patch is None:
        return
    if relief is not None and canvas.flatness < 1:  # a fold takes the pattern with it
        patch.t = patch.t + 0.8 * relief
        patch.s = patch.s + 0.5 * relief
    albedo = fabric.albedo(patch, body.cloth)
    if chest is not None and fabric.motif is not None:
        albedo = stamp(albedo, patch, fabric.motif, centre=chest[:2], width=chest[2])
    if fabric.pattern == "knit":
        weave = fabric.relief(patch, body.cloth)
        relief = weave if relief is None else relief + weave
    canvas.paint(patch, albedo, label, relief=relief, gloss=fabric.gloss, shadow=shadow)


# -- folds, as height in figure units ---------------------------------------------------------------------------


def folds(body: Body, patch: Patch, *, across: float, along: float, lean: float = 0.0, seed: float = 0.0) -> Array:
    """Ridged noise with so many folds per figure height across and along the surface."""
    a = patch.s * across + patch.t * lean + seed
    b = patch.t * along + seed * 1.7
    return sample(body.cloth.ridged, a / 6, b / 6) * 0.6 + sample(body.cloth.smooth, a / 6 + 0.4, b / 6) * 0.4


def _torso_folds(body: Body, patch: Patch, fabric: Fabric, ease: float, hem: float) -> Array:
    seed = float(body.rng.random())
    x = patch.u
    pull = folds(body, patch, across=16, along=9, lean=9 * np.sign(float(body.rng.random()) - 0.5), seed=seed)
    low = folds(body, patch, across=7, along=26, seed=seed + 0.3)
    amount = (0.0010 + 0.0028 * min(ease, 1.3)) * fabric.folds
    waist = smoothstep(patch.t, 0.28, 0.42)
    return (amount * (pull * (0.35 + 0.65 * waist) + low * waist * 0.4 * (0.4 + np.abs(x)))).astype(np.float32)


def _limb_folds(body: Body, patch: Patch, fabric: Fabric, ease: float, bend: float, end: float) -> Array:
    seed = float(body.rng.random())
    rings = folds(body, patch, across=9, along=30, lean=8, seed=seed)
    long = folds(body, patch, across=24, along=6, lean=5, seed=seed + 0.5)
    where = np.exp(-(((patch.v - bend) / 0.14) ** 2)) + 0.7 * smoothstep(patch.v, end - 0.22, end) + 0.3
    return ((0.0009 + 0.0020 * min(ease, 1.2)) * fabric.folds * (rings * where + long * 0.5)).astype(np.float32)


def hanging_folds(body: Body, patch: Patch, fabric: Fabric, flare: float, start: float, end: float) -> Array:
    seed = float(body.rng.random())
    hang = sample(body.cloth.smooth, patch.u * (0.10 + 0.10 * flare) + seed, patch.v * 0.03) + 0.5 * sample(
        body.cloth.smooth, patch.u * 0.28 + seed, patch.v * 0.05
    )
    depth = (0.0015 + 0.011 * max(flare, 0)) * fabric.folds
    cross = folds(body, patch, across=9, along=7, lean=6, seed=seed) * 0.0009 * fabric.folds
    return (depth * hang * smoothstep(patch.t, start, end) + cross).astype(np.float32)


# -- over the torso ---------------------------------------------------------------------------------------------


def ellipse(x: float, y: float, a: float, b: float) -> Cut:
    """Positive outside an ellipse."""
    return lambda px, py: (np.hypot((px - x) / a, (py - y) / b) - 1) * min(a, b)


def neckline(body: Body, neck: str) -> Cut:
    """Signed distance that is negative where the neck of a garment is open."""
    x = float(body.middle(0.17))
    wide = 0.031 - 0.004 * body.style.female
    if neck in ("crew", "hood"):
        return ellipse(x, 0.163, wide + 0.006, 0.027)
    if neck == "scoop":
        return ellipse(x, 0.163, wide + 0.018, 0.060)
    if neck == "straps":
        return ellipse(x, 0.150, 0.042, 0.088)
    if neck == "turtle":
        return lambda px, py: np.ones_like(px * py)
    depth = 0.030 if neck == "collar" else 0.075
    return lambda px, py: np.maximum(
        np.abs(px - x) - (wide + 0.006) * np.clip(1 - (py - 0.172) / depth, 0, 1), py - 0.172 - depth
    )


def _armholes(body: Body, top: Top) -> Cut:
    """Where a sleeveless garment ends towards the shoulders."""
    x, shoulder = float(body.middle(0.2)), float(body.half[3])
    strap = shoulder * (0.60 if top.neck == "straps" else 0.80)
    return lambda px, py: (
        (strap - np.abs(px - x) + 9.0 * np.maximum(py - 0.185, 0) ** 1.8 + np.maximum(py - 0.25, 0) * 2) * 0.8
    )


def torso_patch(
    canvas: Canvas, body: Body, top: Top, hem: float, *, flare: float = 0.0, cut: Cut | None = None
) -> Patch | None:
    """The trunk of a garment down to `hem`, flaring below the hips."""
    rows = np.concatenate([TORSO_ROWS[min(hem, 0.54) - 0.012 > TORSO_ROWS], [min(hem, 0.541)]])
    ease = 0.004 + 0.013 * top.ease
    left, right = body.torso(rows, ease=ease)
    if top.ease > 0.35:  # loose cloth hangs straight from the chest instead of following the waist
        hang = min((top.ease - 0.35) / 0.5, 1.0)
        chest_l, chest_r = body.torso(np.array([0.265]), ease=ease)
        below = rows > 0.265
        sway = body.middle(rows) - body.middle(0.265)
        left = np.where(below, np.minimum(left, left * (1 - hang) + (chest_l + sway) * hang), left)
        right = np.where(below, np.maximum(right, right * (1 - hang) + (chest_r + sway) * hang), right)
    bottom = body.style.bottom
    if bottom is not None:  # what is worn under it must not stick out at the hips
        seat_l, seat_r = body.torso(rows, ease=0.007 + 0.010 * min(bottom.ease, 0.8))
        low = rows > bottom.waist - 0.03
        left, right = np.where(low, np.minimum(left, seat_l), left), np.where(low, np.maximum(right, seat_r), right)
    if hem > 0.541:
        rows, left, right = skirt_rows(body, rows, left, right, hem, flare)
    bare = neckline(body, top.neck)
    cuts = [bare] + ([cut] if cut is not None else []) + ([_armholes(body, top)] if top.sleeve < 0.1 else [])

    def opening(x: Array, y: Array) -> Array:
        return np.minimum.reduce(np.broadcast_arrays(*(c(x, y) for c in cuts)))

    sag = 0.004 + 0.01 * max(flare, 0)
    ripple = body.wobble(0.0012 + 0.004 * max(flare, 0), 1.0)
    return canvas.column(
        rows, left, right, depth=0.5, smooth=0.008, cut=opening, ragged=body.wobble(0.0012 * (0.3 + top.ease), 2.0),
        bottom=lambda u: sag * (1 - u * u) - sag + ripple(u * (0.12 + 0.2 * max(flare, 0))),
        top=None if top.neck == "turtle" else lambda u: 0.011 + 0.0 * u,
    )  # fmt: skip


def skirt_rows(
    body: Body, rows: Array, left: Array, right: Array, hem: float, flare: float
) -> tuple[Array, Array, Array]:
    below = np.linspace(0.56, hem, 4) if hem > 0.6 else np.array([hem])
    middle = body.middle(0.49) * np.clip(1 - (below - 0.5) * 1.2, 0.4, 1) + 0.0
    half = (right[-1] - left[-1]) / 2
    fall = (below - 0.541) / 0.2
    out = half + flare * 0.055 * fall - 0.006 * np.clip(-flare + 0.15, 0, 1) * fall * 2
    reach = np.minimum(below, 0.9)
    legs = np.maximum(np.abs(body.thighs(reach, -1) - middle), np.abs(body.thighs(reach, 1) - middle))
    out = np.maximum.accumulate(np.maximum(out, legs + 0.004)) if flare > 0.1 else np.maximum(out, legs + 0.004)
    return np.concatenate([rows, below]), np.concatenate([left, middle - out]), np.concatenate([right, middle + out])


def paint_top(
    canvas: Canvas,
    body: Body,
    top: Top,
    *,
    label: int = Label.UPPER,
    hem: float | None = None,
    flare: float = 0.0,
    cut: Cut | None = None,
    shadow: float = 0.35,
) -> None:
    """The trunk of a top, dress or coat, with its neck, buttons and hem; sleeves come with the arms."""
    hem = top.hem if hem is None else hem
    patch = torso_patch(canvas, body, top, hem, flare=flare, cut=cut)
    if patch is None:
        return
    folds = _torso_folds(body, patch, top.fabric, top.ease, hem)
    if hem > 0.541:
        folds = folds + hanging_folds(body, patch, top.fabric, flare, 0.44, hem)
    if canvas.flatness == 1:
        folds = folds + trunk_relief(body, patch) * (1.0 - 0.45 * min(top.ease, 1.0))
    else:
        folds = folds * 1.5 + _creases(body, patch) * top.fabric.folds
    if top.fabric.pattern == "knit":
        folds = folds + _rib(patch, patch.t, hem - 0.03)
    paint_cloth(
        canvas, body, patch, top.fabric, label, relief=folds.astype(np.float32), shadow=shadow,
        chest=(0.0, 0.285, top.fabric.motif_width * (1 + 0.3 * (body.style.build - 1))),
    )  # fmt: skip
    hem_line(canvas, patch, top.fabric)
    if cut is None:
        _trim_neck(canvas, body, top, label)


def _rib(patch: Patch, along: Array, start: float) -> Array:
    """The ribbed band that ends a knitted piece."""
    return 0.0011 * np.sin(patch.s / 0.0032 * np.pi) * smoothstep(along, start - 0.001, start + 0.001)


def _creases(body: Body, patch: Patch) -> Array:
    """Broad soft waves of cloth that was laid down by hand."""
    seed = float(body.rng.random())
    wave = sample(body.cloth.smooth, patch.s * 0.9 + patch.t * 0.5 + seed, patch.t * 1.3 - patch.s * 0.4)
    ridge = sample(body.cloth.ridged, patch.s * 1.1 - patch.t * 0.8 + seed, patch.t * 0.5 + patch.s * 0.7)
    return (0.0022 * wave + 0.0012 * ridge).astype(np.float32)


def hem_line(canvas: Canvas, patch: Patch, fabric: Fabric) -> None:
    """A stitched hem: a faint dark line just above the lower end."""
    rows = np.flatnonzero(patch.alpha.max(1) > 0.5)
    if not len(rows) or patch.top + rows[-1] >= canvas.height - 2:
        return
    end = float(patch.y[rows[-1], 0])
    line = np.exp(-(((patch.y - end + 0.010) / 0.0012) ** 2)) * patch.alpha
    canvas.rgb[patch.window] *= 1 - 0.18 * line[..., None]


def _trim_neck(canvas: Canvas, body: Body, top: Top, label: int) -> None:
    tone = linear(top.fabric.colours[0])
    nx = float(body.middle(0.172))
    wide = 0.031 - 0.004 * body.style.female
    if top.neck in ("crew", "scoop"):
        a, b = (wide + 0.006, 0.027) if top.neck == "crew" else (wide + 0.018, 0.060)
        t = np.linspace(0.12, np.pi - 0.12, 12)
        line = np.stack([nx + (a + 0.002) * np.cos(t), 0.163 + (b + 0.002) * np.sin(t)], -1)
        canvas.paint(canvas.limb(line, [0.0026, 0.0030, 0.0026]), tone * 0.92, label, shadow=0.25, reach=0.004)
    elif top.neck == "turtle":
        rows = np.array([0.143, 0.165, 0.188])
        half = np.array([wide + 0.001, wide + 0.004, wide + 0.017])
        patch = canvas.column(rows, nx - half, nx + half, depth=0.7, top=lambda u: 0.006 * (1 - u * u))
        if patch is not None:
            paint_cloth(
                canvas,
                body,
                patch,
                top.fabric,
                label,
                relief=folds(body, patch, across=4, along=70) * 0.0009,
                shadow=0.3,
            )
    elif top.neck == "hood":
        for side in (-1, 1):
            pts = [
                (nx, 0.196),
                (nx + side * 0.030, 0.188),
                (nx + side * 0.048, 0.170),
                (nx + side * 0.044, 0.150),
                (nx + side * 0.034, 0.150),
                (nx + side * 0.022, 0.176),
            ]
            canvas.paint(canvas.blob(pts, rounding=0.012), tone * 0.95, label, shadow=0.35, reach=0.006)
            cord = np.array([[nx + side * 0.012, 0.192], [nx + side * 0.014, 0.225], [nx + side * 0.012, 0.252]])
            canvas.paint(canvas.limb(cord, [0.0014, 0.0012]), tone * 0.5 + 0.35, label, shadow=0.3, reach=0.003)
    elif top.neck == "collar":
        _collar(canvas, nx, wide, tone, label)
    if top.buttons:
        buttons(canvas, body, 0.215, min(top.hem, 0.47), tone, label)


def _collar(canvas: Canvas, nx: float, wide: float, tone: Array, label: int) -> None:
    for side in (-1, 1):
        pts = np.array(
            [
                (nx + side * (wide - 0.002), 0.150),
                (nx + side * (wide + 0.012), 0.166),
                (nx + side * (wide + 0.006), 0.200),
                (nx + side * 0.004, 0.196),
                (nx + side * (wide - 0.006), 0.168),
            ]
        )
        sharp = np.repeat(pts, 2, 0)
        canvas.paint(canvas.blob(sharp, rounding=0.005, closed=False), tone * 1.02, label, shadow=0.4, reach=0.005)


def buttons(canvas: Canvas, body: Body, start: float, end: float, tone: Array, label: int) -> None:
    """A placket with buttons down the middle."""
    rows = np.linspace(start, end, 12)
    line = np.stack([body.middle(rows) + 0.007, rows], -1)
    seam = canvas.limb(line, [0.0008, 0.0008])
    canvas.stain(seam, np.float32([0.55, 0.55, 0.55]), 0.7)
    light = 0.75 if tone.mean() < 0.2 else 0.25
    for y in np.linspace(start + 0.01, end - 0.015, 6):
        x = float(body.middle(y))
        dot = canvas.limb(np.array([[x, y], [x + 1e-4, y + 1e-4]]), [0.0026, 0.0026])
        canvas.paint(dot, tone * 0.4 + light * 0.5, label, shadow=0.3, reach=0.002)


def paint_sleeve(canvas: Canvas, body: Body, arm: Arm, top: Top, *, label: int) -> None:
    """A sleeve over `top.sleeve` of the arm."""
    if top.sleeve <= 0.02:
        return
    ease = 0.003 + 0.009 * top.ease
    taper = np.linspace(1.0, 1.15 if top.sleeve < 0.5 else 0.75, len(arm.radii))
    taper[0] = 0.3
    radii = arm.radii + ease * taper
    puff = body.wobble(0.0022 * (0.25 + min(top.ease, 1.2)), 1.7)
    patch = canvas.limb(arm.line, radii, end=min(top.sleeve, 0.985), flat_end=True, swell=0.004, wobble=puff)
    if patch is None:
        return
    blend_shoulder(canvas, patch, label, arm.side, soft=top.fabric.plain and canvas.flatness == 1)
    folds = _limb_folds(body, patch, top.fabric, top.ease, 0.5, top.sleeve)
    if canvas.flatness < 1:
        folds = folds + _creases(body, patch) * 0.6 * top.fabric.folds
    if top.fabric.pattern == "knit" and top.sleeve > 0.6:
        folds = folds + _rib(patch, patch.v, top.sleeve - 0.09)
    patch.t = patch.t + 0.19  # so that stripes of sleeve and trunk meet
    paint_cloth(canvas, body, patch, top.fabric, label, relief=folds.astype(np.float32), shadow=0.4)
    cuff = np.exp(-(((patch.v - top.sleeve + 0.035) / 0.006) ** 2)) * patch.alpha
    canvas.rgb[patch.window] *= 1 - 0.22 * cuff[..., None]


def paint_coat(canvas: Canvas, body: Body, coat: Top, *, is_open: bool) -> None:
    """A coat, jacket or cardigan over the rest, open to show what is under it or buttoned."""
    flare = 0.15 if coat.hem > 0.55 else 0.0
    if is_open:
        gap = float(body.rng.uniform(0.014, 0.04))
        spread = float(body.rng.uniform(0.0, 0.10))
        x0 = float(body.middle(0.3))
        cut = lambda x, y: np.abs(x - x0) - gap * smoothstep(y, 0.15, 0.24) - np.maximum(y - 0.33, 0) * spread + 0.002  # noqa: E731
        paint_top(canvas, body, coat, hem=coat.hem, flare=flare, cut=cut, shadow=0.55)
        tone = linear(coat.fabric.colours[0])
        for side in (-1, 1):
            x = x0 + side * gap
            pts = np.array(
                [
                    (x0 + side * 0.026, 0.150),
                    (x0 + side * 0.044, 0.166),
                    (x + side * 0.034, 0.225),
                    (x + side * 0.022, 0.232),
                    (x + side * 0.002, 0.32),
                    (x - side * 0.001, 0.24),
                ]
            )
            canvas.paint(
                canvas.blob(np.repeat(pts, 2, 0), rounding=0.006, closed=False),
                tone * 0.95,
                Label.UPPER,
                shadow=0.35,
                reach=0.006,
            )
    else:
        paint_top(canvas, body, coat, hem=coat.hem, flare=flare, shadow=0.5)
