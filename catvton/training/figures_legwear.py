"""Trousers, shorts, skirts and shoes on a posed body."""

from __future__ import annotations

import numpy as np

from model.labels import Label

from .figures_body import Body, Leg
from .figures_canvas import Canvas
from .figures_clothes import ellipse, folds, hanging_folds, hem_line, paint_cloth, skirt_rows
from .figures_maths import Array, linear, open_spline, smoothstep
from .figures_style import Bottom


def paint_bottom(canvas: Canvas, body: Body, bottom: Bottom) -> None:
    if bottom.kind == "skirt":
        _paint_skirt(canvas, body, bottom)
        return
    for leg in body.legs:
        _paint_trouser_leg(canvas, body, bottom, leg)
    _paint_seat(canvas, body, bottom)


def _paint_trouser_leg(canvas: Canvas, body: Body, bottom: Bottom, leg: Leg) -> None:
    hem = 0.46 + (bottom.hem - 0.46) * (leg.floor - 0.46) / 0.54
    inner = leg.knots[(leg.knots < hem - 0.02) & (leg.knots > 0.51)]
    rows = np.concatenate([[0.505], inner, [hem]])
    middle, half = _trouser_rows(bottom, leg, rows)
    ripple = body.wobble(0.0016 * (0.4 + bottom.ease), 2.6)
    patch = canvas.column(
        rows, middle - half, middle + half, depth=0.85, ragged=ripple, bottom=lambda u: 0.004 * (1 - u * u) - 0.002
    )
    if patch is None:
        return
    seed = float(body.rng.random())
    rings = folds(body, patch, across=10, along=22, lean=10 * leg.side, seed=seed)
    long = folds(body, patch, across=20, along=4, seed=seed)
    knee = np.exp(-(((patch.y - leg.knots[3]) / 0.05) ** 2))
    stack = smoothstep(patch.y, hem - 0.09, hem) * (bottom.hem > 0.9)
    crotch = np.exp(-(((patch.y - 0.54) / 0.04) ** 2)) * np.clip(-patch.u * leg.side + 0.3, 0, 1)
    amount = (0.0008 + 0.0022 * min(bottom.ease, 1.0)) * bottom.fabric.folds
    relief = amount * (rings * (0.25 + knee + 1.2 * stack + 0.9 * crotch) + long * 0.5)
    crease = 0.0012 * np.exp(-((patch.u / 0.06) ** 2)) * (bottom.fabric.pattern in ("plain", "pinstripes", "melange"))
    paint_cloth(
        canvas, body, patch, bottom.fabric, Label.LOWER, relief=(relief + crease).astype(np.float32), shadow=0.35
    )
    hem_line(canvas, patch, bottom.fabric)


def _trouser_rows(bottom: Bottom, leg: Leg, rows: Array) -> tuple[Array, Array]:
    """Middle line and half widths of a trouser leg at `rows`."""
    middle, half = leg.at(rows)
    fall = np.clip((rows - 0.5) / 0.45, 0, 1)
    half = (
        half + 0.002 + 0.012 * bottom.ease * (0.6 + 0.4 * fall) + 0.03 * bottom.flare * fall**2.5 * (bottom.flare > 0)
    )
    if bottom.ease > 0.25:  # loose legs fall straight from the thigh
        thigh = float(leg.at(0.53)[1][0]) + 0.002 + 0.0075 * bottom.ease
        straight = np.interp(rows, [0.50, 0.56, 1.0], [thigh, thigh * 0.97, thigh * (0.62 + 0.3 * bottom.ease)])
        half = np.maximum(half, straight * min(bottom.ease * 1.1, 1.0))
    return middle, half


def _paint_seat(canvas: Canvas, body: Body, bottom: Bottom) -> None:
    """Waistband to crotch, fading into the legs."""
    rows = np.array([bottom.waist, bottom.waist + 0.02, 0.46, 0.510, 0.535])
    left, right = body.torso(rows, ease=0.003 + 0.010 * min(bottom.ease, 0.8))
    for leg in body.legs:  # the seat ends as wide as the legs begin
        middle, half = _trouser_rows(bottom, leg, rows[-2:])
        (left if leg.side < 0 else right)[-2:] = middle + leg.side * half
    patch = canvas.column(
        rows, left, right, depth=0.5, bottom=lambda u: 0.004 * np.ones_like(u), top=lambda u: 0.004 * (1 - u * u)
    )
    if patch is None:
        return
    patch.alpha *= np.clip((0.537 - patch.y) / 0.026, 0, 1)
    seed = float(body.rng.random())
    vee = folds(body, patch, across=14, along=10, lean=0, seed=seed) * smoothstep(patch.y, 0.46, 0.54)
    lap = folds(body, patch, across=4, along=26, seed=seed) * 0.5
    fly = -0.0015 * np.exp(-(((patch.x - body.middle(patch.y)) / 0.0018) ** 2)) * (patch.y < 0.515)
    amount = (0.0012 + 0.0016 * bottom.ease) * bottom.fabric.folds
    paint_cloth(
        canvas,
        body,
        patch,
        bottom.fabric,
        Label.LOWER,
        relief=(amount * (vee + lap) + fly).astype(np.float32),
        shadow=0.0,
    )
    _waistband(canvas, body, bottom)
    if body.style.belt is None:
        _stitching(canvas, body, bottom)


def _stitching(canvas: Canvas, body: Body, bottom: Bottom) -> None:
    """Pockets, fly, button and belt loops."""
    tone = linear(bottom.fabric.colours[0])
    denim = bottom.fabric.pattern == "denim"
    thread = np.float32([0.50, 0.36, 0.17]) if denim else tone * 0.6
    left, right = body.torso(np.array([bottom.waist + 0.03]), ease=0.003 + 0.010 * min(bottom.ease, 0.8))
    middle = float(body.middle(bottom.waist + 0.03))
    for edge in (float(left[0]) - middle, float(right[0]) - middle):
        line = np.array([[edge * 0.52, 0.020], [edge * 0.60, 0.044], [edge * 1.02, 0.060]]) + (middle, bottom.waist)
        pocket = open_spline(line, 6)
        canvas.stain(canvas.limb(pocket, [0.0015, 0.0015]), np.float32([0.5, 0.5, 0.5]), 0.7)
        if denim:
            canvas.paint(canvas.limb(pocket + [0, 0.003], [0.0005, 0.0005]), thread, Label.LOWER, shadow=0.0)
        loop = np.array([[middle + edge * 0.45, bottom.waist - 0.001], [middle + edge * 0.45, bottom.waist + 0.020]])
        canvas.paint(canvas.limb(loop, [0.0026, 0.0026], depth=0.3), tone * 0.9, Label.LOWER, shadow=0.35, reach=0.003)
    fly = open_spline(
        np.array([[0.011, 0.020], [0.011, 0.070], [0.006, 0.088], [0.0, 0.094]]) + (middle, bottom.waist), 6
    )
    canvas.stain(canvas.limb(fly, [0.0007, 0.0007]), np.clip(thread * 1.2, 0, 1), 0.6)
    button = np.array([[middle, bottom.waist + 0.0115], [middle + 1e-4, bottom.waist + 0.0115]])
    metal = np.float32([0.42, 0.32, 0.2]) if denim else tone * 0.7
    canvas.paint(canvas.limb(button, [0.0042, 0.0042]), metal, Label.LOWER, gloss=0.4, shadow=0.4, reach=0.003)


def _waistband(canvas: Canvas, body: Body, bottom: Bottom) -> None:
    rows = np.array([bottom.waist, bottom.waist + 0.009, bottom.waist + 0.018])
    left, right = body.torso(rows, ease=0.0035 + 0.010 * min(bottom.ease, 0.8))
    patch = canvas.column(
        rows, left, right, depth=0.5, top=lambda u: 0.004 * (1 - u * u), bottom=lambda u: 0.004 * (1 - u * u)
    )
    if patch is None:
        return
    if body.style.belt is not None:
        canvas.paint(patch, linear(body.style.belt), Label.OTHER, gloss=0.06, shadow=0.3, reach=0.005)
        x, y = float(body.middle(bottom.waist)), bottom.waist + 0.013
        buckle = np.array(
            [
                [x - 0.008, y - 0.006],
                [x + 0.008, y - 0.006],
                [x + 0.008, y + 0.006],
                [x - 0.008, y + 0.006],
                [x - 0.008, y - 0.006],
            ]
        )
        canvas.paint(
            canvas.limb(buckle, [0.0016, 0.0016]),
            np.float32([0.55, 0.5, 0.38]),
            Label.OTHER,
            gloss=0.4,
            shadow=0.2,
            reach=0.003,
        )
    else:
        canvas.paint(patch, bottom.fabric.albedo(patch, body.cloth) * 0.93, Label.LOWER, shadow=0.2, reach=0.004)


def _paint_skirt(canvas: Canvas, body: Body, bottom: Bottom) -> None:
    rows = np.array([bottom.waist, bottom.waist + 0.03, 0.46, 0.50, 0.541])
    left, right = body.torso(rows, ease=0.004 + 0.008 * bottom.ease)
    rows, left, right = skirt_rows(body, rows, left, right, max(bottom.hem, 0.56), bottom.flare)
    ripple = body.wobble(0.001 + 0.005 * max(bottom.flare, 0), 1.0)
    patch = canvas.column(
        rows, left, right, depth=0.5, top=lambda u: 0.004 * (1 - u * u), ragged=body.wobble(0.001, 2.0),
        bottom=lambda u: 0.008 * (1 - u * u) - 0.006 + ripple(u * (0.1 + 0.25 * max(bottom.flare, 0))),
    )  # fmt: skip
    if patch is None:
        return
    relief = hanging_folds(body, patch, bottom.fabric, bottom.flare, bottom.waist, bottom.hem)
    paint_cloth(canvas, body, patch, bottom.fabric, Label.LOWER, relief=relief, shadow=0.5)
    hem_line(canvas, patch, bottom.fabric)
    _waistband(canvas, body, bottom)


def paint_foot(canvas: Canvas, body: Body, leg: Leg) -> None:
    """Foot and shoe of one leg, seen from the front."""
    style, side = body.style, leg.side
    ankle_y = leg.floor - 0.046
    x = float(leg.at(ankle_y)[0][0])
    o = leg.toe * side
    heel = 0.012 if style.shoes == "heels" else 0.0
    wide = {"sneakers": 1.12, "boots": 1.1, "brogues": 1.0, "heels": 0.82, "flats": 0.86, "sandals": 0.9}[style.shoes]
    wide *= 0.94 + 0.08 * style.masculine
    bottom = leg.floor - 0.002

    def outline(high: float, grow: float = 1.0) -> Array:
        pts = [
            (-0.0175, high),
            (0.0175, high),
            (0.0215, -0.028),
            (0.0255, -0.012),
            (0.0235, 0.0),
            (0.010, 0.0045),
            (-0.010, 0.0045),
            (-0.0235, 0.0),
            (-0.0255, -0.012),
            (-0.0215, -0.028),
        ]
        out = []
        for px, py in pts:
            forward = smoothstep(np.float64(py), -0.045, 0.0)
            out.append(
                (
                    x + px * wide * grow * (1 - 0.12 * forward * (style.shoes == "heels")) + o * 0.018 * forward,
                    bottom + py,
                )
            )
        return np.asarray(out)

    colour = linear(style.shoe_colour)
    if style.shoes in ("heels", "flats", "sandals"):
        bare = linear(style.tights) if style.tights is not None else body.skin
        label = Label.LOWER if style.tights is not None else Label.SKIN
        canvas.paint(
            canvas.blob(outline(-0.058, 0.94), rounding=0.014),
            bare,
            label,
            shadow=0.3,
            bleed=None if style.tights else body.bleed,
        )
    if style.shoes == "boots":
        shaft = canvas.column(
            np.array([leg.floor - 0.13, leg.floor - 0.06, leg.floor - 0.03]),
            x + np.array([-0.024, -0.020, -0.021]) * wide,
            x + np.array([0.024, 0.020, 0.021]) * wide,
            depth=0.85,
        )
        relief = folds(body, shaft, across=10, along=30, seed=0.3) * 0.001 if shaft is not None else None
        canvas.paint(shaft, colour, Label.SHOES, relief=relief, gloss=0.08)
        canvas.paint(canvas.blob(outline(-0.05), rounding=0.014), colour, Label.SHOES, gloss=0.08)
    elif style.shoes in ("sneakers", "brogues"):
        if style.socks is not None:
            sock = canvas.column(
                np.array([leg.floor - 0.10, leg.floor - 0.035]),
                np.array([x - 0.0185, x - 0.0175]),
                np.array([x + 0.0185, x + 0.0175]),
                depth=0.9,
            )
            canvas.paint(sock, linear(style.socks), Label.SHOES, shadow=0.2)
        canvas.paint(
            canvas.blob(outline(-0.045), rounding=0.013),
            colour,
            Label.SHOES,
            gloss=0.05 if style.shoes == "sneakers" else 0.14,
        )
        _laces(canvas, style.shoes, x + o * 0.008, bottom, colour)
    elif style.shoes == "sandals":
        for y, w in ((-0.010, 0.0235), (-0.030, 0.020)):
            band = np.array(
                [
                    [x - w * wide + o * 0.012, bottom + y],
                    [x + o * 0.012, bottom + y + 0.004],
                    [x + w * wide + o * 0.012, bottom + y],
                ]
            )
            canvas.paint(canvas.limb(band, [0.0045, 0.0045]), colour, Label.SHOES, shadow=0.25, reach=0.003)
    else:
        vamp = outline(-0.058, 1.02)
        patch = canvas.blob(vamp, rounding=0.014)
        if patch is not None:
            hollow = ellipse(x + o * 0.006, bottom - 0.044 - heel * 0.3, 0.0165 * wide, 0.026)(patch.x, patch.y)
            patch.alpha = patch.alpha * np.clip(hollow * canvas.scale + 0.5, 0, 1) * (patch.y > bottom - 0.042)
            canvas.paint(patch, colour, Label.SHOES, gloss=0.12, shadow=0.2)
    if style.shoes in ("sneakers", "boots", "brogues"):
        sole = np.array(
            [
                [x - 0.024 * wide + o * 0.018, bottom + 0.001],
                [x + o * 0.019, bottom + 0.0045],
                [x + 0.024 * wide + o * 0.018, bottom + 0.001],
            ]
        )
        tone = np.float32([0.75, 0.74, 0.72]) if style.shoes == "sneakers" else np.float32([0.04, 0.035, 0.03])
        canvas.paint(canvas.limb(sole, [0.003, 0.0036, 0.003]), tone, Label.SHOES, shadow=0.1, reach=0.003)


def _laces(canvas: Canvas, kind: str, x: float, bottom: float, colour: Array) -> None:
    tone = np.float32([0.85, 0.85, 0.84]) if kind == "sneakers" and colour.mean() < 0.5 else colour * 0.45
    for i in range(4):
        y = bottom - 0.038 + i * 0.0065
        w = 0.008 + 0.0008 * i
        canvas.paint(
            canvas.limb(np.array([[x - w, y], [x + w, y + 0.001]]), [0.0014, 0.0014]),
            tone,
            Label.SHOES,
            shadow=0.25,
            reach=0.002,
        )
