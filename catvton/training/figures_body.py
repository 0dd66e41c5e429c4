"""The body under the clothes: joints of a pose, outlines of torso and limbs, bare skin, hands and feet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.labels import Label

from .figures_canvas import Canvas, Patch
from .figures_fabric import Cloth
from .figures_maths import Array, blur, curve, linear, open_spline, sample, smoothstep
from .figures_style import Style

UPPER_ARM, FOREARM = 0.172, 0.150
TORSO_ROWS = np.array([0.148, 0.163, 0.179, 0.209, 0.262, 0.32, 0.385, 0.44, 0.49, 0.54])
_MAN = np.array([0.029, 0.042, 0.078, 0.110, 0.104, 0.096, 0.086, 0.086, 0.089, 0.084])
_WOMAN = np.array([0.025, 0.034, 0.063, 0.089, 0.085, 0.079, 0.067, 0.080, 0.095, 0.092])
_BROAD = np.array([0.1, 0.15, 0.2, 0.3, 0.6, 0.95, 1.3, 1.25, 0.95, 0.9])  # where a larger build is wider
LEG_ROWS = np.array([0.46, 0.53, 0.62, 0.735, 0.80, 0.86, 0.93, 0.96])
_LEG_MAN = np.array([0.042, 0.044, 0.040, 0.0285, 0.0295, 0.0245, 0.0165, 0.017])
_LEG_WOMAN = np.array([0.044, 0.0475, 0.042, 0.027, 0.0275, 0.022, 0.0142, 0.015])


@dataclass
class Leg:
    """One leg: `x(y)` its middle line, `half(y)` its bare half width, `floor` the y its sole stands on."""

    side: int
    knots: Array
    middle: Array
    half: Array
    floor: float
    toe: float  # how far the toes point outwards

    def __post_init__(self) -> None:
        self._rows = np.linspace(self.knots[0], self.knots[-1], 80)
        self._table = [curve(self.knots, values, self._rows) for values in (self.middle, self.half)]

    def at(self, y: Array | float) -> tuple[Array, Array]:
        y = np.atleast_1d(np.asarray(y, np.float64))
        return np.interp(y, self._rows, self._table[0]), np.interp(y, self._rows, self._table[1])

    @property
    def stretch(self) -> float:
        """Leg length against a standing leg's."""
        return (self.floor - 0.46) / 0.54


@dataclass
class Arm:
    """One arm: its centre line from shoulder to wrist and what becomes of the hand."""

    side: int
    line: Array  # (n, 2)
    radii: Array
    hand: str  # open, hidden, curled
    direction: Array  # of the hand, unit
    in_front: bool


@dataclass
class Body:
    """A posed body, ready to be dressed."""

    style: Style
    rng: np.random.Generator
    cloth: Cloth
    half: Array  # bare torso half widths at TORSO_ROWS
    shoulder_x: float
    hip_x: float
    tilt: float
    head: tuple[float, float]
    arms: tuple[Arm, Arm]
    legs: tuple[Leg, Leg]  # drawn in this order

    @property
    def skin(self) -> Array:
        return linear(self.style.skin)

    @property
    def bleed(self) -> Array:
        """Tint of shaded skin: light that went through it comes out red."""
        return np.float32([0.16, 0.03, 0.0])

    def thighs(self, rows: Array, side: int) -> Array:
        """x of the legs' outer edge at `rows` on `side`, where there are legs; the middle line above."""
        edge = [
            np.where(rows > 0.49, side * (leg.at(rows)[0] + side * (leg.at(rows)[1] + 0.006)), -1.0)
            for leg in self.legs
        ]
        return side * np.maximum(*edge)

    def middle(self, y: Array | float) -> Array:
        """x of the torso's middle line."""
        return np.interp(y, [0.17, 0.49], [self.shoulder_x, self.hip_x])

    def torso(self, rows: Array, *, ease: float = 0.0) -> tuple[Array, Array]:
        """Left and right edges of the torso at `rows`, let out by `ease` figure units below the shoulders."""
        out = curve(TORSO_ROWS, self.half, rows) + ease * np.clip((rows - 0.19) / 0.06, 0.25, 1)
        left, right = self.middle(rows) - out, self.middle(rows) + out
        low = rows > 0.5
        left[low] = np.minimum(left[low], self.thighs(rows[low], -1) - ease * 0.5)
        right[low] = np.maximum(right[low], self.thighs(rows[low], 1) + ease * 0.5)
        return left, right

    def wobble(self, amount: float, frequency: float = 3.0) -> Callable[[Array], Array]:
        """A smooth unevenness for cloth edges, a function of figure units."""
        row = self.cloth.smooth[int(self.rng.integers(self.cloth.smooth.shape[0]))]
        phase = float(self.rng.random())

        def value(at: Array) -> Array:
            where = np.mod(np.asarray(at) * frequency + phase, 1.0) * len(row)
            return (amount * np.interp(where, np.arange(len(row)), row, period=len(row))).astype(np.float32)

        return value


def pose(style: Style, rng: np.random.Generator, cloth: Cloth) -> Body:
    """Joints and outlines of `style`'s body."""
    f = style.female
    extra = style.build - 1.0
    half = (_MAN * (1 - f) + _WOMAN * f) * (1 + extra * _BROAD)
    shift = rng.uniform(0.008, 0.02) * rng.choice([-1, 1]) if style.stance == "weight" else 0.0
    hip_x = style.sway * 0.4 + shift
    shoulder_x = style.sway - shift * 0.3
    tilt = float(np.clip(rng.normal(0, 0.003) - shift * 0.25, -0.008, 0.008))
    reach = half[3] - 0.017
    arms = tuple(
        _pose_arm(style, rng, side, np.array([shoulder_x + side * reach, 0.217 + side * tilt]), hip_x, half)
        for side in (-1, 1)
    )
    head = (shoulder_x + style.sway * 0.3 + rng.normal(0, 0.002) + style.yaw * 0.006, 0.069)
    body = Body(style, rng, cloth, half, shoulder_x, hip_x, tilt, head, arms, _pose_legs(style, rng, hip_x))  # type: ignore[arg-type]
    return body


def _pose_legs(style: Style, rng: np.random.Generator, hip_x: float) -> tuple[Leg, Leg]:
    f, extra = style.female, style.build - 1
    half = (_LEG_MAN * (1 - f) + _LEG_WOMAN * f) * (1 + extra * np.array([0.9, 1, 1, 0.9, 0.8, 0.7, 0.45, 0.3]))
    spread = {"stand": 0.0, "apart": 0.035, "weight": 0.012, "walk": -0.004}[style.stance] + rng.uniform(-0.008, 0.012)
    back = int(rng.choice([-1, 1]))
    legs = []
    for side in (back, -back):
        x = side * np.array([0.047, 0.0465, 0.044, 0.040, 0.039, 0.037, 0.035, 0.035]) * (1 + 0.6 * extra)
        x = x + side * spread * np.linspace(0, 1, 8) + hip_x * np.array([1, 0.95, 0.8, 0.55, 0.4, 0.3, 0.2, 0.2])
        floor = 1.0
        bend = rng.normal(0, 0.004)
        if style.stance == "walk":
            floor = 0.955 - rng.uniform(0, 0.02) if side == back else 1.0
            x = x + (rng.uniform(-0.016, 0.0) * side if side != back else 0) * np.linspace(0, 1, 8)
        elif style.stance == "weight" and side == -np.sign(hip_x):
            bend = side * rng.uniform(0.004, 0.02)
        x = x + bend * np.array([0, 0.2, 0.6, 1, 0.7, 0.4, 0.1, 0])
        knots = 0.46 + (LEG_ROWS - 0.46) * (floor - 0.46) / 0.54
        toe = float(rng.uniform(0.1, 1.0)) if style.stance != "walk" else float(rng.uniform(-0.2, 0.4))
        legs.append(Leg(side, knots, x, half.copy(), floor, toe))
    return legs[0], legs[1]


def _pose_arm(style: Style, rng: np.random.Generator, side: int, shoulder: Array, hip_x: float, half: Array) -> Arm:
    name = style.arms[0 if side < 0 else 1]
    wide = half[8]
    u = lambda low, high: float(rng.uniform(low, high))  # noqa: E731
    hand, front, bend, direction = "open", name in ("crossed", "front", "head", "hip", "carry"), 1.0, None
    if name == "down":
        target = shoulder + [side * (wide - half[3] + u(0.028, 0.05)), u(0.308, 0.317)]
    elif name == "bent":
        target = np.array([hip_x + side * (wide + u(0.0, 0.05)), u(0.42, 0.46)])
    elif name == "hip":
        target, direction = np.array([hip_x + side * (wide - 0.008), u(0.41, 0.43)]), np.array([-side * 0.8, 0.6])
        hand = "curled"
    elif name == "pocket":
        target, hand = np.array([hip_x + side * (wide - 0.020), u(0.455, 0.475)]), "hidden"
    elif name == "crossed":
        target = np.array(
            [-side * (u(0.035, 0.05) if side > 0 else half[4] - 0.01), 0.315 + (0.016 if side > 0 else -0.016)]
        )
        direction, hand = np.array([-side * 1.0, -0.25]), "hidden" if side < 0 else "open"
    elif name == "raised":
        target, bend = shoulder + [side * u(0.03, 0.16), -u(0.16, 0.28)], 1.0
    elif name == "head":
        target, direction = np.array([side * u(0.055, 0.07), u(0.1, 0.13)]), np.array([-side * 0.5, -1.0])
    elif name == "front":
        target, direction = np.array([side * u(-0.01, 0.03), u(0.40, 0.47)]), np.array([-side * 1.0, u(-0.3, 0.5)])
    else:  # carry: the forearm level, as with a bag over it
        target, direction = np.array([side * (wide + 0.0), u(0.32, 0.36)]), np.array([-side * 0.6, -0.4])
    elbow, wrist = _two_bones(
        shoulder, target, side * bend, short={"front": 0.93, "crossed": 0.8, "carry": 0.8, "bent": 0.93}.get(name, 0.0)
    )
    forearm = wrist - elbow
    unit = forearm / max(float(np.hypot(*forearm)), 1e-6)
    if direction is None:
        direction = unit * 0.8 + np.array([0.0, 0.2 if name != "raised" else 0.0])
    direction = direction / np.hypot(*direction)
    line = open_spline(np.array([shoulder, shoulder * 0.5 + elbow * 0.5, elbow, elbow * 0.5 + wrist * 0.5, wrist]), 2)
    base = np.array([0.0225, 0.0268, 0.0250, 0.0225, 0.0215, 0.0215, 0.0190, 0.0150, 0.0118])
    radii = (
        base * (1 - 0.2 * style.female) * (1 + (style.build - 1) * np.array([1, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.4, 0.3]))
    )
    return Arm(side, line, radii, hand, direction, front)


def _two_bones(shoulder: Array, target: Array, outward: float, *, short: float) -> tuple[Array, Array]:
    """Elbow and wrist of an arm reaching for `target`.

    `short` > 0: the arm comes forward, so that its bones look shorter, down to a reach that is `short` of their sum.
    """
    a, b = UPPER_ARM, FOREARM
    gap = target - shoulder
    dist = float(np.hypot(*gap))
    if short:
        shrink = float(np.clip(dist / (a + b) / short, 0.7, 1.0))
        a, b = a * max(shrink, 0.84), b * shrink
    dist_ok = float(np.clip(dist, abs(a - b) + 1e-3, a + b - 1e-4))
    unit = gap / max(dist, 1e-6)
    along = (a * a - b * b + dist_ok * dist_ok) / (2 * dist_ok)
    off = np.sqrt(max(a * a - along * along, 0.0))
    normal = np.array([-unit[1], unit[0]])
    if normal[0] * outward < 0:
        normal = -normal
    return shoulder + unit * along + normal * off, shoulder + unit * dist_ok


# -- bare skin --------------------------------------------------------------------------------------------------


def skin_albedo(body: Body, patch: Patch) -> Array:
    """Skin with its slight mottling, (h, w, 3)."""
    mottle = (
        sample(body.cloth.smooth, patch.x * 4.0, patch.y * 4.0) * 0.02
        + sample(body.cloth.fine, patch.x * 9, patch.y * 9) * 0.02
    )
    return body.skin * (1 + mottle[..., None] * np.float32([0.6, 1.0, 1.2]))


def paint_skin(
    canvas: Canvas, body: Body, patch: Patch | None, *, relief: Array | None = None, shadow: float = 0.3
) -> None:
    if patch is not None:
        canvas.paint(
            patch, skin_albedo(body, patch), Label.SKIN, relief=relief, gloss=0.035, shadow=shadow, bleed=body.bleed,
            polish=9,
        )  # fmt: skip


def paint_torso(canvas: Canvas, body: Body) -> None:
    """Neck, shoulders and trunk."""
    left, right = body.torso(TORSO_ROWS)
    patch = canvas.column(TORSO_ROWS, left, right, depth=0.5, smooth=0.009)
    if patch is not None:
        paint_skin(canvas, body, patch, relief=trunk_relief(body, patch), shadow=0.2)
    paint_neck(canvas, body)


def paint_neck(canvas: Canvas, body: Body) -> None:
    x, _ = body.head
    half = (0.030 - 0.006 * body.style.female) * (1 + 0.35 * (body.style.build - 1))
    rows = np.array([0.09, 0.14, 0.168, 0.186])
    middle = np.interp(rows, [0.09, 0.186], [x, body.shoulder_x])
    wide = half * np.array([1.0, 1.0, 1.08, 1.5])
    patch = canvas.column(rows, middle - wide, middle + wide, depth=0.75)
    if patch is None:
        return
    patch.alpha *= np.clip((0.190 - patch.y) / 0.016, 0, 1)
    paint_skin(canvas, body, patch, shadow=0.0)
    dx = (patch.x - x) / half
    under_chin = np.exp(-(((patch.y - 0.128) / 0.02) ** 2)) * 0.5
    notch = 0.18 * np.exp(-(((patch.y - 0.176) / 0.008) ** 2) - (dx / 0.35) ** 2)
    canvas.stain(patch, np.float32([0.62, 0.5, 0.46]), np.clip(under_chin + notch, 0, 1))


def trunk_relief(body: Body, patch: Patch) -> Array:
    """Chest, collar bones and waist as height, figure units."""
    side, y = np.abs(patch.column - body.middle(0.27)), patch.row
    f, large = body.style.female, body.style.build - 1.0

    def bump(sx: float, sy: float, cx: float, cy: float) -> Array:
        return np.exp(-(((side - cx) / sx) ** 2)) * np.exp(-(((y - cy) / sy) ** 2))

    bust = bump(0.030, 0.030, 0.040, 0.275) * 0.016 * f * (0.86 + 0.6 * large)
    chest = bump(0.038, 0.030, 0.045, 0.255) * 0.006 * (1 - f)
    bones = bump(0.032, 0.0035, 0.045, 0.184) * 0.0012
    belly = bump(0.07, 0.05, 0.0, 0.42) * 0.02 * max(large, 0.0)
    return (bust + chest + bones + belly).astype(np.float32)


def paint_leg(canvas: Canvas, body: Body, leg: Leg, *, colour: Array | None = None, label: int = Label.SKIN) -> None:
    """A bare leg, or one in tights of `colour`."""
    rows = np.concatenate([[0.50], leg.knots[1:]])
    tilt = leg.side * np.array([0.004, 0.004, 0.003, 0.0, 0.003, 0.001, 0, 0])  # the outer line is fuller
    patch = canvas.column(rows, leg.middle + tilt - leg.half, leg.middle + tilt + leg.half, depth=0.9)
    if patch is None:
        return
    knee_y = leg.knots[3]
    middle, half = leg.at(knee_y)
    dx, dy = (patch.x - middle[0]) / half[0], (patch.y - knee_y) / 0.02
    relief = 0.003 * np.exp(-((dx / 0.55) ** 2) - dy**2) - 0.0015 * np.exp(-((dx / 0.5) ** 2) - (dy - 1.4) ** 2)
    if colour is None:
        paint_skin(canvas, body, patch, relief=relief.astype(np.float32))
    else:
        sheer = colour + (body.skin - colour) * (0.28 * np.cos(patch.u * 1.5) ** 2)[..., None]
        canvas.paint(patch, sheer, label, relief=relief.astype(np.float32), shadow=0.3, gloss=0.02)


def paint_arm(canvas: Canvas, body: Body, arm: Arm, *, bare_from: float = 0.0) -> None:
    """The arm's skin from `bare_from` (0 shoulder .. 1 wrist) and the hand."""
    patch = canvas.limb(
        arm.line, arm.radii, start=max(bare_from - 0.06, 0.0), flat_start=bare_from > 0.08, flat_end=True
    )
    if patch is not None:
        if bare_from < 0.1:
            blend_shoulder(canvas, patch, Label.SKIN, arm.side)
        paint_skin(canvas, body, patch)
    paint_hand(canvas, body, arm)


def blend_shoulder(canvas: Canvas, patch: Patch, label: int, side: int, *, soft: bool = True) -> None:
    """Let the top of an arm melt into the torso where both show the same thing; not `soft`: along a seam."""
    same = blur((canvas.labels[patch.window] == label).astype(np.float32), 0.004 * canvas.scale)
    inner = np.clip(-patch.u * side, 0, 1)  # the armpit's side melts further down
    ramp = smoothstep(patch.v, 0.03, 0.16 + 0.10 * inner) if soft else smoothstep(patch.v, 0.085, 0.10 + 0.02 * inner)
    patch.alpha = patch.alpha * (1 - smoothstep(same, 0.6, 1.0) * (1 - ramp))


def paint_hand(canvas: Canvas, body: Body, arm: Arm) -> None:
    """Palm, fingers and thumb; coarser below a size at which fingers cannot be told apart."""
    if arm.hand == "hidden":
        return
    d = arm.direction
    n = np.array([-d[1], d[0]]) * arm.side  # towards the thumb for a hanging hand: the inner, forward side
    if n[0] * arm.side > 0:
        n = -n
    wrist = arm.line[-1]
    size = 1.0 - 0.1 * body.style.female
    palm_end = wrist + d * 0.040 * size
    curl = 0.62 if arm.hand == "curled" else 0.92
    r = 0.0170 * size
    _skin_limb(canvas, body, [wrist - d * 0.006, wrist + d * 0.018, palm_end], [arm.radii[-1], 0.016 * size, r * 0.92])
    if canvas.scale < 700:
        tip = palm_end + d * 0.038 * size * curl
        _skin_limb(
            canvas, body, [palm_end - d * 0.012, palm_end + d * 0.015, tip], [r * 0.9, r * 0.85, r * 0.45], shadow=0
        )
    else:
        for i, length in enumerate((0.040, 0.046, 0.043, 0.034)):
            root = palm_end - d * 0.006 + n * (0.0120 - 0.0078 * i) * size
            out = d + n * (0.06 - 0.045 * i)
            mid = root + out * length * 0.55 * size
            tip = root + out * length * size * curl
            _skin_limb(
                canvas, body, [root - d * 0.008, mid, tip], [0.0052 * size, 0.0050 * size, 0.0040 * size], shadow=0.18
            )
    thumb = wrist + d * 0.014 + n * 0.012 * size
    _skin_limb(
        canvas, body, [thumb, thumb + d * 0.014 + n * 0.007, thumb + d * 0.032 * curl + n * 0.008],
        [0.0062 * size, 0.0055 * size, 0.004 * size], shadow=0.18,
    )  # fmt: skip


def _skin_limb(canvas: Canvas, body: Body, points: list[Array], radii: list[float], *, shadow: float = 0.25) -> None:
    patch = canvas.limb(np.asarray(points), radii)
    if patch is not None:
        canvas.paint(patch, body.skin, Label.SKIN, gloss=0.03, shadow=shadow, reach=0.005, bleed=body.bleed)
