"""Bags, scarves, hats, glasses and jewellery of a rendered figure: the class `other`."""

from __future__ import annotations

import numpy as np

from model.labels import Label

from .figures_body import Arm, Body
from .figures_canvas import Canvas
from .figures_clothes import folds, paint_cloth
from .figures_fabric import Fabric
from .figures_head import EYE_X, EYE_Y, Face
from .figures_maths import linear, sample, smoothstep, spline


def paint_scarf(canvas: Canvas, body: Body, fabric: Fabric) -> None:
    x = float(body.middle(0.17))
    t = np.linspace(-0.3, np.pi + 0.3, 14)
    for drop, r in ((0.0, 0.016), (0.016, 0.014)):
        line = np.stack([x + 0.046 * np.cos(t), 0.158 + drop + 0.026 * np.sin(t)], -1)
        patch = canvas.limb(line, [r * 0.8, r, r * 1.1, r, r * 0.8])
        if patch is not None:
            paint_cloth(
                canvas,
                body,
                patch,
                fabric,
                Label.OTHER,
                relief=folds(body, patch, across=70, along=8) * 0.002,
                shadow=0.45,
            )
    side = float(body.rng.choice([-1, 1]))
    end = float(body.rng.uniform(0.3, 0.45))
    line = np.array([[x + side * 0.012, 0.19], [x + side * 0.02, 0.26], [x + side * 0.022, end]])
    patch = canvas.limb(line, [0.012, 0.018, 0.022], flat_end=True)
    if patch is not None:
        paint_cloth(
            canvas,
            body,
            patch,
            fabric,
            Label.OTHER,
            relief=folds(body, patch, across=60, along=5) * 0.002,
            shadow=0.45,
        )


def paint_bag(canvas: Canvas, body: Body) -> None:
    style = body.style
    colour = linear(style.bag_colour)
    side = style.bag_side
    arm = body.arms[0 if side < 0 else 1]
    shoulder = np.array([body.shoulder_x + side * 0.062, 0.186])
    if style.bag == "none":
        return
    if style.bag == "backpack":
        for s in (-1, 1):
            strap = np.array(
                [
                    [body.shoulder_x + s * 0.050, 0.166],
                    [body.shoulder_x + s * 0.062, 0.22],
                    [body.shoulder_x + s * 0.070, 0.28],
                    [body.shoulder_x + s * (body.half[5] + 0.004), 0.34],
                ]
            )
            canvas.paint(
                canvas.limb(strap, [0.009, 0.009, 0.007], depth=0.25), colour, Label.OTHER, shadow=0.4, reach=0.006
            )
        return
    if style.bag == "tote":
        hand = arm.line[-1] + arm.direction * 0.035
        centre, size = hand + [0.0, 0.115], (0.066, 0.070)
        loops = [
            np.array(
                [
                    hand + [dx, 0.05],
                    hand + [dx * 0.6, 0.01],
                    hand + [0, 0.0],
                    hand + [-dx * 0.6, 0.01],
                    hand + [-dx, 0.05],
                ]
            )
            for dx in (0.03,)
        ]
    elif style.bag == "shoulder":
        centre, size = np.array([body.hip_x + side * (body.half[8] + 0.012), 0.42]), (0.044, 0.040)
        loops = [np.array([shoulder, shoulder * 0.4 + centre * 0.6 + [side * 0.004, -0.02], centre + [0, -0.03]])]
    else:
        centre, size = np.array([body.hip_x + side * (body.half[8] - 0.018), 0.47]), (0.048, 0.036)
        start = np.array([body.shoulder_x - side * 0.060, 0.186])
        loops = [np.array([start, start * 0.5 + centre * 0.5 + [0, -0.012], centre + [0, -0.03]])]
    for loop in loops:
        canvas.paint(
            canvas.limb(loop, [0.0038, 0.0038], depth=0.4), colour * 0.8, Label.OTHER, shadow=0.45, reach=0.006
        )
    w, h = size
    pts = centre + np.array(
        [
            (-w, -h),
            (-w * 0.5, -h * 1.02),
            (w * 0.5, -h * 1.02),
            (w, -h),
            (w * 1.08, 0),
            (w * 1.05, h),
            (0, h * 1.06),
            (-w * 1.05, h),
            (-w * 1.08, 0),
        ]
    )
    patch = canvas.blob(spline(pts, 4), rounding=0.016, closed=False)
    if patch is None:
        return
    relief = folds(body, patch, across=10, along=8, seed=0.2) * 0.002
    canvas.paint(
        patch,
        colour * (1 + 0.06 * sample(body.cloth.fine, patch.x * 6, patch.y * 6))[..., None],
        Label.OTHER,
        relief=relief,
        gloss=0.08,
        shadow=0.5,
        reach=0.014,
    )
    if style.bag != "tote":
        flap = np.array([centre + [-w * 1.02, -h * 0.1], centre + [0, h * 0.12], centre + [w * 1.02, -h * 0.1]])
        canvas.stain(canvas.limb(flap, [0.0016, 0.0016]), np.float32([0.4, 0.4, 0.4]), 0.8)


def paint_trinkets(canvas: Canvas, body: Body) -> None:
    """Necklace."""
    style = body.style
    if style.necklace is not None:
        x = float(body.middle(0.18))
        t = np.linspace(0.15, np.pi - 0.15, 12)
        line = np.stack([x + 0.036 * np.cos(t), 0.170 + 0.042 * np.sin(t)], -1)
        canvas.paint(
            canvas.limb(line, [0.0014, 0.0018, 0.0014]),
            linear(style.necklace),
            Label.OTHER,
            gloss=0.4,
            shadow=0.3,
            reach=0.002,
        )


def paint_watch(canvas: Canvas, body: Body, arm: Arm) -> None:
    if body.style.watch is None or arm.side < 0 or arm.hand == "hidden":
        return
    patch = canvas.limb(arm.line, arm.radii + 0.0018, start=0.90, end=0.96, flat_start=True, flat_end=True)
    canvas.paint(patch, linear(body.style.watch), Label.OTHER, gloss=0.1, shadow=0.2, reach=0.003)


def paint_hat(canvas: Canvas, body: Body) -> None:
    style = body.style
    if style.hat == "none":
        return
    face = Face(body)
    colour = linear(style.hat_colour)
    crown = {"beanie": 0.14, "brim": 0.2, "cap": 0.1}[style.hat]
    low = -0.2
    points = [
        (-0.375, low),
        (-0.37, -0.36),
        (-0.25, -0.48 - crown * 0.8),
        (0, -0.5 - crown),
        (0.25, -0.48 - crown * 0.8),
        (0.37, -0.36),
        (0.375, low),
        (0.2, low + 0.035),
        (-0.2, low + 0.035),
    ]
    patch = face.blob(canvas, points, 0.16)
    relief = None
    if patch is not None and style.hat == "beanie":
        fx, fy = face.local(patch)
        relief = (0.0008 * np.sin(fx * 90) + 0.002 * smoothstep(fy, low - 0.13, low - 0.11)).astype(np.float32)
    canvas.paint(patch, colour, Label.OTHER, relief=relief, shadow=0.5)
    if style.hat == "brim":
        points = [
            (-0.62, low + 0.02),
            (-0.4, low - 0.06),
            (0, low - 0.04),
            (0.4, low - 0.06),
            (0.62, low + 0.02),
            (0.35, low + 0.075),
            (0, low + 0.09),
            (-0.35, low + 0.075),
        ]
        canvas.paint(face.blob(canvas, points, 0.05), colour * 0.9, Label.OTHER, shadow=0.5)
    elif style.hat == "cap":
        d = style.yaw * 0.15
        points = [
            (-0.30 + d, low),
            (0 + d, low - 0.05),
            (0.30 + d, low),
            (0.27 + d, low + 0.09),
            (0 + d, low + 0.12),
            (-0.27 + d, low + 0.09),
        ]
        canvas.paint(face.blob(canvas, points, 0.05), colour * 0.85, Label.OTHER, shadow=0.5)


def paint_glasses(canvas: Canvas, body: Body) -> None:
    style = body.style
    if style.glasses == "none":
        return
    face = Face(body)
    shift = style.yaw * 0.085
    dark = style.glasses == "dark"
    for side in (-1, 1):
        t = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        w, h = (0.115, 0.082) if dark else (0.105, 0.075)
        square = 0.75
        pts = [
            (
                side * EYE_X + shift + w * np.sign(np.cos(a)) * abs(np.cos(a)) ** square,
                EYE_Y + 0.012 + h * np.sign(np.sin(a)) * abs(np.sin(a)) ** square,
            )
            for a in t
        ]
        if dark:
            patch = face.blob(canvas, pts, 0.03)
            if patch is not None:
                _, fy = face.local(patch)
                tone = np.float32([0.02, 0.02, 0.024]) * (1 + 2.5 * smoothstep(fy, -0.04, 0.09))[..., None]
                canvas.paint(patch, tone, Label.OTHER, gloss=0.25, polish=30, shadow=0.3, reach=0.003)
        else:
            line = face.world(np.array([p[0] for p in pts + pts[:1]]), np.array([p[1] for p in pts + pts[:1]]))
            canvas.paint(
                canvas.limb(line, [0.0011, 0.0011]),
                np.float32([0.03, 0.025, 0.022]),
                Label.OTHER,
                shadow=0.2,
                reach=0.003,
            )
        temple = face.world(
            np.array([side * (EYE_X + 0.11) + shift, side * 0.335]), np.array([EYE_Y - 0.02, EYE_Y - 0.03])
        )
        canvas.paint(canvas.limb(temple, [0.0012, 0.0012]), np.float32([0.03, 0.025, 0.022]), Label.OTHER, shadow=0.0)
    bridge = face.world(np.array([-0.04, 0.0, 0.04]) + shift, np.array([EYE_Y, EYE_Y - 0.018, EYE_Y]))
    canvas.paint(canvas.limb(bridge, [0.0013, 0.0013]), np.float32([0.03, 0.025, 0.022]), Label.OTHER, shadow=0.0)
