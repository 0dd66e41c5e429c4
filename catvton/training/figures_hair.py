"""Hair of a rendered figure, behind the head and in front of it."""

from __future__ import annotations

import numpy as np

from model.labels import Label

from .figures_body import Body
from .figures_canvas import Canvas, Patch
from .figures_head import HEAD, Face
from .figures_maths import Array, linear, sample, smoothstep


def _hair_paint(
    canvas: Canvas, face: Face, patch: Patch | None, *, flow: str, shadow: float = 0.4, frizz: float = 0.0
) -> None:
    """Colour and light of hair: strands along `flow` ("down", "round", "tight") with a band of sheen."""
    if patch is None:
        return
    body = face.body
    base = linear(face.style.hair_colour)
    fx, fy = face.local(patch)
    if flow == "down":
        across, along = fx + 0.05 * np.sin(fy * 5 + fx * 3) + 0.06 * np.sin(fy * 2.3 + np.sign(fx)), fy
        strands = sample(body.cloth.fine, across * 0.9, along * 0.035)
        locks = sample(body.cloth.smooth, across * 0.75, along * 0.06)
        band = np.exp(-(((fy + 0.22 + 0.25 * fx * fx) / 0.10) ** 2))
        tips = sample(body.cloth.fine, across * 0.45, 0.3) * 0.035 + sample(body.cloth.smooth, across * 0.5, 0.7) * 0.05
        patch.alpha = patch.alpha * smoothstep(_rest(patch) - 0.13 + tips, 0.0, 0.025)
    elif flow == "round":
        angle, r = np.arctan2(fx, -(fy - 0.15)), np.hypot(fx, fy - 0.15)
        strands = sample(body.cloth.fine, angle * 0.32, r * 0.06)
        locks = sample(body.cloth.smooth, angle * 0.30, r * 0.12)
        band = np.exp(-(((r - 0.53) / 0.055) ** 2))
    else:
        strands = sample(body.cloth.fine, fx * 0.8, fy * 0.8)
        locks = sample(body.cloth.smooth, fx * 1.3, fy * 1.3)
        band = 0.3 * np.exp(-(((fy + 0.4) / 0.15) ** 2))
    tone = np.clip(1 + 0.20 * strands + 0.16 * locks, 0.35, 1.9)
    sheen = band * (0.55 + 0.25 * strands + 0.2 * locks)
    albedo = base * tone[..., None] + (base * 0.9 + 0.025) * np.clip(sheen, 0, 2)[..., None]
    if frizz > 0:
        rough = sample(body.cloth.fine, patch.x * 5, patch.y * 5)
        patch.alpha = np.clip(patch.alpha * (1 + frizz * rough * 4 * patch.alpha * (1 - patch.alpha)), 0, 1)
    canvas.paint(
        patch, albedo, Label.HAIR, relief=(0.0012 * locks + 0.0005 * strands).astype(np.float32), shadow=shadow, rim=0.5
    )


def _rest(patch: Patch) -> Array:
    """Head heights left to the lower end of the shape, (h, 1); the patch itself may be cut by the picture's edge."""
    v = patch.v[:, :1]
    return (1 - v) * (patch.row[-1] - patch.row[0]) / max(float(v[-1, 0] - v[0, 0]), 1e-6) / HEAD


def paint_hair_back(canvas: Canvas, body: Body) -> None:
    """Hair that hangs behind neck and shoulders; painted before the body."""
    face, hair = Face(body), body.style.hair
    rng = body.rng
    if hair in ("long", "fringe"):
        down = float(rng.uniform(0.75, 1.25))
        points = [
            (-0.36, -0.25),
            (0, -0.5),
            (0.36, -0.25),
            (0.43, 0.2),
            (0.46, 0.55),
            (0.36, down),
            (0.0, down - 0.06),
            (-0.36, down),
            (-0.46, 0.55),
            (-0.43, 0.2),
        ]
        _hair_paint(canvas, face, face.blob(canvas, points, 0.2), flow="down")
    elif hair == "bob":
        end = float(rng.uniform(0.38, 0.6))
        points = [
            (-0.37, -0.25),
            (0, -0.52),
            (0.37, -0.25),
            (0.45, 0.15),
            (0.44, end),
            (0.2, end + 0.04),
            (-0.2, end + 0.04),
            (-0.44, end),
            (-0.45, 0.15),
        ]
        _hair_paint(canvas, face, face.blob(canvas, points, 0.18), flow="down")
    elif hair in ("afro", "curly"):
        r = float(rng.uniform(0.5, 0.72)) if hair == "afro" else 0.5
        low = 0.1 if hair == "afro" else 0.55
        t = np.linspace(0, 2 * np.pi, 22, endpoint=False)
        edge = 1 + 0.05 * rng.standard_normal(22)
        points = [
            (r * 1.0 * np.sin(a) * e, -0.14 - r * np.cos(a) * e + low * 0.35 * (1 - np.cos(a)) * 0.5)
            for a, e in zip(t, edge, strict=True)
        ]
        _hair_paint(canvas, face, face.blob(canvas, points, 0.22), flow="tight", frizz=0.5)
    elif hair == "bun":
        x = float(rng.uniform(-0.06, 0.06))
        t = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        _hair_paint(
            canvas,
            face,
            face.blob(canvas, [(x + 0.15 * np.cos(a), -0.62 + 0.13 * np.sin(a)) for a in t], 0.14),
            flow="round",
        )
    elif hair == "tied":
        side = float(rng.choice([-1, 1]))
        points = [
            (0, -0.3),
            (side * 0.38, -0.1),
            (side * 0.46, 0.3),
            (side * 0.40, 0.72),
            (side * 0.32, 0.9),
            (side * 0.28, 0.5),
            (side * 0.2, 0.1),
        ]
        _hair_paint(canvas, face, face.blob(canvas, points, 0.1), flow="down")


def _cap(
    face: Face, *, height: float, side_end: float, inner: list[tuple[float, float]], puff: float = 0.03
) -> list[tuple[float, float]]:
    """Outline of the hair on the skull: over the crown from one side's end to the other, back along the hairline."""
    outer = [
        (-0.34 - puff, side_end),
        (-0.350 - puff, -0.12),
        (-0.330 - puff, -0.28),
        (-0.225, -0.44 - height * 0.8),
        (0, -0.5 - height),
        (0.225, -0.44 - height * 0.8),
        (0.330 + puff, -0.28),
        (0.350 + puff, -0.12),
        (0.34 + puff, side_end),
    ]
    return outer + inner


def paint_hair_front(canvas: Canvas, body: Body) -> None:
    """Hair around the face and the strands that fall in front of the shoulders; painted after the head."""
    face, hair = Face(body), body.style.hair
    rng = body.rng
    part = float(rng.uniform(-0.12, 0.12))
    recede = 0.04 * body.style.masculine * float(rng.random())
    line = -0.33 - recede
    shift = body.style.yaw * 0.06

    def hairline(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + shift * (1 - abs(x) / 0.4), y) for x, y in points]

    if hair == "bald":
        return
    if hair == "buzz":
        inner = hairline(
            (0.315, 0.0),
            (0.30, -0.13),
            (0.25, -0.26),
            (0.1, line),
            (-0.1, line),
            (-0.25, -0.26),
            (-0.30, -0.13),
            (-0.315, 0.0),
        )
        patch = face.blob(canvas, _cap(face, height=0.012, side_end=-0.02, inner=inner, puff=0.0), 0.12)
        if patch is not None:
            patch.alpha = patch.alpha * np.float32(0.9)
        _hair_paint(canvas, face, patch, flow="tight", shadow=0.0)
    elif hair == "short":
        lift = float(rng.uniform(0.04, 0.11))
        inner = hairline(
            (0.32, 0.03),
            (0.305, -0.10),
            (0.265, -0.25),
            (0.14 + part, line + 0.02),
            (part, line - 0.03),
            (-0.14, line + 0.03),
            (-0.265, -0.25),
            (-0.305, -0.10),
            (-0.32, 0.03),
        )
        _hair_paint(
            canvas,
            face,
            face.blob(canvas, _cap(face, height=lift, side_end=0.05, inner=inner, puff=0.02), 0.12),
            flow="round",
            shadow=0.35,
        )
    elif hair in ("tied", "bun"):
        inner = hairline(
            (0.325, 0.0),
            (0.31, -0.12),
            (0.26, -0.25),
            (0.12, line),
            (-0.12, line),
            (-0.26, -0.25),
            (-0.31, -0.12),
            (-0.325, 0.0),
        )
        _hair_paint(
            canvas,
            face,
            face.blob(canvas, _cap(face, height=0.03, side_end=0.0, inner=inner, puff=0.005), 0.12),
            flow="round",
            shadow=0.3,
        )
    elif hair in ("afro", "curly"):
        inner = hairline(
            (0.32, 0.05),
            (0.30, -0.12),
            (0.25, -0.24),
            (0.1, line + 0.02),
            (-0.1, line + 0.02),
            (-0.25, -0.24),
            (-0.30, -0.12),
            (-0.32, 0.05),
        )
        _hair_paint(
            canvas,
            face,
            face.blob(canvas, _cap(face, height=0.07, side_end=0.12, inner=inner, puff=0.05), 0.12),
            flow="tight",
            frizz=0.5,
        )
        if hair == "curly":
            _curtains(canvas, face, part, end=float(rng.uniform(0.5, 0.75)), flow="tight")
    elif hair == "fringe":
        low = -0.13
        inner = hairline(
            (0.315, 0.2),
            (0.29, -0.05),
            (0.24, low),
            (0.1, low - 0.02),
            (-0.1, low - 0.02),
            (-0.24, low),
            (-0.29, -0.05),
            (-0.315, 0.2),
        )
        _hair_paint(
            canvas,
            face,
            face.blob(canvas, _cap(face, height=0.055, side_end=0.2, inner=inner, puff=0.04), 0.14),
            flow="down",
        )
        _curtains(canvas, face, 0.0, end=float(rng.uniform(0.8, 1.3)), flow="down")
    else:  # long, bob
        inner = hairline(
            (0.31, 0.05),
            (0.285, -0.12),
            (0.22, -0.24),
            (part + 0.06, line - 0.01),
            (part, line - 0.06),
            (part - 0.06, line - 0.01),
            (-0.22, -0.24),
            (-0.285, -0.12),
            (-0.31, 0.05),
        )
        _hair_paint(
            canvas,
            face,
            face.blob(canvas, _cap(face, height=0.055, side_end=0.12, inner=inner, puff=0.04), 0.14),
            flow="round",
        )
        end = float(rng.uniform(0.35, 0.52)) if hair == "bob" else float(rng.uniform(0.8, 1.6))
        _curtains(canvas, face, part, end=end, flow="down")


def _curtains(canvas: Canvas, face: Face, part: float, *, end: float, flow: str) -> None:
    """The two sides of open hair, beside the face and down to `end` head heights below its centre."""
    rng = face.body.rng
    for side in (-1, 1):
        tuck = float(rng.random()) < 0.25  # this side lies behind the shoulder
        e = min(end, 0.5) if tuck else end * float(rng.uniform(0.92, 1.06))
        w = float(rng.uniform(-0.03, 0.03))
        points = [
            (0.30, -0.26),
            (0.385, -0.12),
            (0.405, 0.1),
            (0.43 + w, 0.35),
            (0.42 + w, e * 0.75 + 0.1),
            (0.38, e),
            (0.31, e - 0.01),
            (0.27 - w, e * 0.7),
            (0.275, 0.35),
            (0.300, 0.12),
            (0.295, -0.08),
        ]
        _hair_paint(canvas, face, face.blob(canvas, [(side * x, y) for x, y in points], 0.15), flow=flow, shadow=0.3)
