"""Head of a rendered figure: face, hair, hat, glasses. Local units are head heights around the head's centre."""

from __future__ import annotations

import numpy as np

from model.labels import Label

from .figures_body import Body, skin_albedo
from .figures_canvas import Canvas, Patch
from .figures_maths import Array, linear, sample, smoothstep

HEAD = 0.132  # head height over figure height
_FACE_ROWS = np.array([-0.50, -0.46, -0.38, -0.25, -0.10, 0.05, 0.18, 0.30, 0.40, 0.46, 0.487, 0.50])
_FACE_WOMAN = np.array([0.02, 0.15, 0.245, 0.315, 0.335, 0.328, 0.300, 0.245, 0.165, 0.098, 0.055, 0.0])
_FACE_MAN = np.array([0.02, 0.15, 0.245, 0.315, 0.338, 0.335, 0.318, 0.282, 0.215, 0.138, 0.080, 0.0])
EYE_X, EYE_Y, EYE_W, EYE_H = 0.142, -0.005, 0.074, 0.029


class Face:
    """The head's own frame: (fx, fy) in head heights, tilted by the roll and turned by the yaw."""

    def __init__(self, body: Body) -> None:
        self.body, self.style = body, body.style
        self.x, self.y = body.head
        self.half = (_FACE_MAN * self.style.masculine + _FACE_WOMAN * self.style.female) * (
            1 + 0.25 * (self.style.build - 1)
        )

    def world(self, fx: Array | float, fy: Array | float) -> Array:
        """Points (..., 2) in figure units."""
        fx, fy = np.asarray(fx, np.float64), np.asarray(fy, np.float64)
        return np.stack([self.x + (fx - self.style.roll * fy) * HEAD, self.y + fy * HEAD], -1)

    def local(self, patch: Patch) -> tuple[Array, Array]:
        fy = (patch.y - self.y) / HEAD
        return (patch.x - self.x) / HEAD + self.style.roll * fy, fy

    def blob(self, canvas: Canvas, points: list[tuple[float, float]], rounding: float) -> Patch | None:
        """A blob with its outline in head units."""
        p = np.asarray(points, np.float64)
        return canvas.blob(self.world(p[:, 0], p[:, 1]), rounding=rounding * HEAD)


def paint_head(canvas: Canvas, body: Body) -> None:
    """Ears, face and everything on them except hair."""
    face = Face(body)
    if body.style.hair not in ("long", "bob"):
        _paint_ears(canvas, face)
    rows = face.y + _FACE_ROWS * HEAD
    shift = -body.style.roll * _FACE_ROWS * HEAD + face.x
    yaw = body.style.yaw * 0.02 * HEAD
    patch = canvas.column(rows, shift + yaw - face.half * HEAD, shift + yaw + face.half * HEAD, depth=0.85)
    if patch is None:
        return
    fx, fy = face.local(patch)
    fx = fx - body.style.yaw * 0.085 * np.cos(np.clip(fx * 4, -1.5, 1.5))
    albedo = _face_albedo(face, patch, fx, fy)
    round_y = np.sqrt(np.clip(1 - (np.clip(fy, -0.5, 0.52) / 0.54) ** 2, 0.02, 1))
    patch.height = patch.height * round_y
    canvas.paint(
        patch, albedo, Label.SKIN, relief=_face_relief(body, fx, fy) * HEAD, gloss=0.03, shadow=0.5, reach=0.018,
        bleed=body.bleed, polish=10, rim=0.3,
    )  # fmt: skip


def _bump(fx: Array, fy: Array, x: float, y: float, sx: float, sy: float) -> Array:
    return np.exp(-(((fx - x) / sx) ** 2) - ((fy - y) / sy) ** 2)


def _face_relief(body: Body, fx: Array, fy: Array) -> Array:
    """Brow, sockets, nose, cheeks, lips and chin as height, head units."""
    side = np.abs(fx)
    man = body.style.masculine
    bridge = (
        np.exp(-((fx / (0.026 + 0.022 * smoothstep(fy, -0.02, 0.17))) ** 2))
        * smoothstep(fy, -0.13, 0.15)
        * smoothstep(-fy, -0.205, -0.165)
    )
    nose = (
        0.055 * bridge
        + 0.020 * _bump(fx, fy, 0, 0.155, 0.036, 0.03)
        + 0.012 * _bump(side, fy, 0.044, 0.168, 0.020, 0.018)
    )
    sockets = -0.030 * _bump(side, fy, EYE_X - 0.01, EYE_Y - 0.012, 0.085, 0.045)
    ball = 0.014 * _bump(side, fy, EYE_X, EYE_Y, 0.05, 0.035)
    brow = (0.006 + 0.006 * man) * _bump(side, fy, 0.14, -0.085, 0.10, 0.025)
    cheek = 0.018 * _bump(side, fy, 0.18, 0.12, 0.08, 0.075)
    lips = 0.013 * (
        _bump(fx, fy, 0, 0.272, 0.07, 0.016) + 1.15 * _bump(fx, fy, 0, 0.312, 0.065, 0.018)
    ) - 0.006 * _bump(fx, fy, 0, 0.291, 0.09, 0.006)
    chin = 0.022 * _bump(fx, fy, 0, 0.425, 0.085, 0.05) - 0.008 * _bump(fx, fy, 0, 0.355, 0.08, 0.02)
    return (nose + sockets + ball + brow + cheek + lips + chin).astype(np.float32)


def _face_albedo(face: Face, patch: Patch, fx: Array, fy: Array) -> Array:
    body, style = face.body, face.style
    px = 1.0 / (patch.height.shape[0] / 1.05)  # about one pixel, head units
    soft = max(0.006, px)
    skin = skin_albedo(body, patch)
    out = skin * np.float32([1, 1, 1])
    side = np.abs(fx)
    flush = np.clip(0.35 * _bump(side, fy, 0.2, 0.13, 0.08, 0.07) + 0.22 * _bump(fx, fy, 0, 0.16, 0.05, 0.03), 0, 1)
    out = _over(out, body.skin * np.float32([1.08, 0.74, 0.70]), flush * (0.7 + 0.5 * style.makeup))
    hollow = 0.25 * _bump(side, fy, EYE_X - 0.01, EYE_Y + 0.03, 0.07, 0.022) + 0.3 * _bump(
        side, fy, EYE_X, EYE_Y - 0.035, 0.07, 0.022
    )
    out = _over(out, body.skin * np.float32([0.66, 0.52, 0.50]), hollow)
    if style.beard > 0:
        out = _over(out, linear(style.hair_colour) * 1.1, style.beard * _beard(body, patch, fx, fy, side))
    out = _paint_mouth(out, body, fx, fy, soft)
    out = _paint_eyes(out, body, fx, fy, side, soft)
    nostril = _bump(side, fy, 0.030, 0.190, 0.013, 0.007) * 0.75 + 0.25 * _bump(fx, fy, 0, 0.203, 0.05, 0.010)
    return _over(out, body.skin * np.float32([0.28, 0.17, 0.15]), nostril)


def _beard(body: Body, patch: Patch, fx: Array, fy: Array, side: Array) -> Array:
    jaw = smoothstep(fy + 0.35 * side**1.3 * 2.2, 0.31, 0.40) * smoothstep(fy, 0.02, 0.2)
    lip = _bump(fx, fy, 0, 0.238, 0.085, 0.018)
    bare = _bump(fx, fy, 0, 0.295, 0.075, 0.035)
    grain = 1 + 0.25 * sample(body.cloth.fine, patch.x * 14, patch.y * 7)
    return np.clip(np.clip(jaw + lip, 0, 1) * (1 - 0.9 * bare) * 0.85 * grain, 0, 1)


def _paint_mouth(out: Array, body: Body, fx: Array, fy: Array, soft: float) -> Array:
    style = body.style
    wide = 0.098 + 0.018 * style.smile
    line = 0.291 - 0.042 * style.smile * np.clip(np.abs(fx) / wide, 0, 1.2) ** 2 + 0.014 * style.smile
    reach = np.clip(1 - (fx / wide) ** 2, 0, 1)
    cupid = 0.006 * np.exp(-((fx / 0.018) ** 2))
    upper = 0.028 * reach**0.8 * (1 - 0.1 * style.masculine) - cupid
    lower = 0.036 * reach**0.7
    inside = np.minimum(fy - (line - upper), (line + lower) - fy)
    rouge = np.float32([0.95, 0.50, 0.48]) * (1 - style.makeup * 0.35) + np.float32([0.30, -0.06, -0.02]) * style.makeup
    lips = body.skin * np.clip(rouge, 0.2, 1.3)
    out = _over(
        out, lips, smoothstep(inside, -soft * 0.8, soft) * smoothstep(reach, 0, 0.15) * (0.65 + 0.3 * style.makeup)
    )
    parting = np.exp(-(((fy - line) / max(0.0055, soft * 0.8)) ** 2)) * smoothstep(reach, 0.0, 0.25)
    out = _over(out, body.skin * np.float32([0.26, 0.12, 0.11]), parting * 0.8)
    corner = _bump(np.abs(fx), fy, wide, 0.291 - 0.026 * style.smile, 0.014, 0.012) * 0.35
    return _over(out, body.skin * np.float32([0.5, 0.35, 0.33]), corner)


def _paint_eyes(out: Array, body: Body, fx: Array, fy: Array, side: Array, soft: float) -> Array:
    style = body.style
    hair = linear(style.hair_colour)
    dx = (side - EYE_X) / EYE_W  # -1 at the nose, +1 at the temple
    lift = EYE_Y - 0.006 * dx
    lid = np.clip(1 - dx**2, 0, 1)
    top = lift - EYE_H * lid**0.75 * (1 + 0.1 * style.female)
    low = lift + EYE_H * 0.62 * lid**0.85
    opening = smoothstep(np.minimum(fy - top, low - fy), -soft * 0.6, soft * 0.8) * smoothstep(lid, 0.0, 0.1)
    white = np.float32([0.58, 0.54, 0.51]) * (0.72 + 0.28 * float(body.skin.mean()) / 0.5)
    ball = np.broadcast_to(white, out.shape) * (0.75 + 0.25 * smoothstep(fy - top, 0.0, 0.02))[..., None]
    glance = style.yaw * 0.012
    gx = fx - np.sign(fx) * EYE_X - glance
    r = np.hypot(gx, fy - EYE_Y + 0.005)
    iris = (
        linear(style.iris)[None, None]
        * (0.55 + 0.9 * smoothstep(r, 0.028, 0.010) * 0 + 0.6 * smoothstep(fy - EYE_Y, -0.02, 0.025))[..., None]
    )
    ball = _over(ball, np.float32([0.012, 0.010, 0.010]), smoothstep(-r, -0.032, -0.029) * 0.75)
    ball = _over(ball, iris, smoothstep(-r, -0.029 - soft * 0.2, -0.027 + soft * 0.2))
    ball = _over(ball, np.float32([0.006, 0.006, 0.006]), smoothstep(-r, -0.0135 - soft * 0.3, -0.0125 + soft * 0.2))
    spark = np.hypot(gx + 0.010, fy - EYE_Y + 0.013)
    ball = _over(ball, np.float32([0.95, 0.95, 0.95]), smoothstep(-spark, -0.0078, -0.005) * 0.9)
    out = _over(out, ball, opening)
    lash = np.exp(-(((fy - top + 0.002) / max(0.0065 + 0.003 * style.makeup, soft * 0.7)) ** 2)) * smoothstep(
        1.08 - np.abs(dx), 0, 0.16
    )
    out = _over(out, np.float32([0.02, 0.015, 0.013]), np.clip(lash * (0.78 + 0.2 * style.makeup), 0, 1))
    under = np.exp(-(((fy - low) / max(0.004, soft * 0.7)) ** 2)) * smoothstep(1.0 - np.abs(dx), 0, 0.3)
    out = _over(out, body.skin * np.float32([0.4, 0.26, 0.24]), under * 0.5)
    crease = np.exp(-(((fy - top + 0.016) / max(0.005, soft * 0.7)) ** 2)) * smoothstep(1.0 - np.abs(dx), -0.05, 0.35)
    out = _over(out, body.skin * np.float32([0.45, 0.32, 0.29]), crease * 0.5)
    arch = EYE_Y - 0.078 - 0.014 * style.female - 0.022 * np.clip(1 - ((dx - 0.25) / 1.1) ** 2, -1, 1) + 0.012
    thick = (0.013 + 0.006 * style.masculine) * smoothstep(1.32 - dx, 0.0, 0.9) * smoothstep(dx + 1.02, 0, 0.3)
    hairs = 0.85 + 0.2 * np.sin(side * 420 + fy * 260)
    brow = smoothstep(thick - np.abs(fy - arch), -soft * 0.6, soft + 0.005) * np.clip(hairs, 0, 1)
    colour = np.minimum(hair * 0.75, body.skin * 0.6)
    return _over(out, colour, brow * (0.62 + 0.2 * style.masculine))


def _over(base: Array, colour: Array, amount: Array) -> Array:
    return base + (colour - base) * amount[..., None].astype(np.float32)


def _paint_ears(canvas: Canvas, face: Face) -> None:
    for side in (-1, 1):
        grow = 1.0 - 0.5 * face.style.yaw * side
        e = 0.33 + 0.01 * face.style.masculine
        points = [
            (e - 0.03, -0.07),
            (e + 0.04 * grow, -0.09),
            (e + 0.065 * grow, -0.03),
            (e + 0.05 * grow, 0.06),
            (e + 0.02 * grow, 0.13),
            (e - 0.03, 0.12),
        ]
        patch = face.blob(canvas, [(side * x + face.style.yaw * 0.02, y) for x, y in points], 0.05)
        if patch is not None:
            canvas.paint(
                patch,
                face.body.skin * np.float32([1.0, 0.88, 0.86]),
                Label.SKIN,
                shadow=0.2,
                reach=0.004,
                bleed=face.body.bleed,
            )
