"""What rendered clothes are made of: patterns in surface coordinates, weave, folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from .figures_canvas import Patch
from .figures_maths import Array, linear, noise_tile, sample, smoothstep

PATTERNS = (
    "plain", "melange", "stripes", "pinstripes", "tartan", "gingham", "dots", "flowers", "camouflage", "denim",
    "knit", "leather", "leopard", "graded", "zigzag",
)  # fmt: skip

Colour = tuple[int, int, int]

# Colours clothes are sold in, sRGB; the neutrals come first and are drawn more often.
NEUTRALS: tuple[Colour, ...] = (
    (24, 24, 27), (38, 40, 46), (68, 70, 74), (120, 121, 124), (186, 186, 186), (236, 234, 229), (246, 246, 246),
    (26, 34, 58), (40, 54, 88), (196, 178, 146), (148, 118, 84), (92, 66, 46), (222, 210, 188),
)  # fmt: skip
ACCENTS: tuple[Colour, ...] = (
    (164, 30, 40), (206, 58, 48), (226, 112, 60), (236, 178, 58), (244, 220, 120), (104, 132, 66), (34, 92, 62),
    (58, 150, 140), (92, 164, 206), (44, 98, 176), (60, 62, 140), (112, 70, 146), (186, 118, 176), (238, 168, 184),
    (214, 64, 116), (122, 28, 56), (128, 178, 150), (250, 204, 178),
)  # fmt: skip
DENIMS: tuple[Colour, ...] = (
    (30, 42, 72),
    (52, 76, 116),
    (92, 122, 160),
    (140, 166, 194),
    (40, 42, 48),
    (196, 204, 212),
)


@dataclass
class Cloth:
    """The noise a figure's clothes share: drawn once, read everywhere."""

    smooth: Array
    ridged: Array
    fine: Array

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Cloth:
        smooth = noise_tile(rng, 64, 1.9)
        ridged = 1.0 - 2.0 * np.minimum(np.abs(noise_tile(rng, 64, 1.7)), 1.0) ** 0.8
        return cls(smooth, ridged.astype(np.float32), noise_tile(rng, 128, 0.35))


@dataclass(frozen=True)
class Fabric:
    """A pattern with its colours (sRGB), its repeat in figure units, its sheen and how deeply it folds."""

    pattern: str = "plain"
    colours: tuple[Colour, ...] = ((120, 120, 124),)
    repeat: float = 0.02
    turn: float = 0.0  # radians between pattern and cloth
    gloss: float = 0.0
    folds: float = 1.0
    phase: tuple[float, float] = (0.0, 0.0)
    motif_width: float = 0.075
    motif: Array | None = field(default=None, compare=False)  # (h, w, 4) float32 linear, printed on the chest

    @property
    def plain(self) -> bool:
        """Whether pieces of it can be joined without a seam showing."""
        return self.pattern in ("plain", "melange", "denim", "leather", "knit")

    def albedo(self, patch: Patch, cloth: Cloth) -> Array:
        """Linear colour of every pixel of `patch`, (h, w, 3)."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        a = (patch.s * c - patch.t * s) / self.repeat + self.phase[0]
        b = (patch.s * s + patch.t * c) / self.repeat + self.phase[1]
        colours = [linear(colour) for colour in self.colours]
        paint = _PAINTERS[self.pattern](a, b, colours, cloth)
        weave = sample(cloth.fine, patch.s * 9, patch.t * 9)
        return paint * (1 + 0.05 * weave)[..., None]

    def relief(self, patch: Patch, cloth: Cloth) -> Array:
        """Height of the weave itself where it shows (ribs of knitwear), figure units."""
        if self.pattern != "knit":
            return np.zeros_like(patch.s)
        return 0.0007 * np.sin(patch.s / 0.0045 * np.pi) * (0.7 + 0.3 * np.sin(patch.t / 0.004 * np.pi))


def _mix(mask: Array, first: Array, second: Array) -> Array:
    return first + (second - first) * mask[..., None]


def _edge(wave: Array, at: float, width: float = 0.08) -> Array:
    return smoothstep(wave, at - width, at + width)


def _cycle(colours: Sequence[Array], i: int) -> Array:
    return colours[i % len(colours)]


def _plain(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    return np.broadcast_to(colours[0], (*a.shape, 3))


def _melange(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    return colours[0] * (1 + 0.22 * sample(cloth.fine, a * 0.19, b * 0.31))[..., None]


def _stripes(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    out = _mix(_edge(np.abs(np.mod(b, 1) - 0.5), 0.26), colours[0], _cycle(colours, 1))
    if len(colours) > 2:
        out = _mix(_edge(-np.abs(np.mod(b, 2) - 1.0), -0.14), out, colours[2])
    return out


def _pinstripes(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    return _mix(_edge(-np.abs(np.mod(a, 1) - 0.5), -0.09, 0.06) * 0.8, colours[0], _cycle(colours, 1))


def _tartan(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    out = np.broadcast_to(colours[0], (*a.shape, 3))
    for axis in (a, b):
        out = _mix(0.55 * _edge(-np.abs(np.mod(axis, 2) - 1.0), -0.42), out, _cycle(colours, 1))
    for axis in (a, b):
        out = _mix(0.75 * _edge(-np.abs(np.mod(axis + 1, 2) - 1.0), -0.07), out, _cycle(colours, 2))
    return out


def _gingham(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    both = _edge(np.abs(np.mod(a, 1) - 0.5), 0.25) + _edge(np.abs(np.mod(b, 1) - 0.5), 0.25)
    return _mix(both * 0.5, _cycle(colours, 1), colours[0])


def _dots(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    row = np.floor(b)
    d = np.hypot(np.mod(a + 0.5 * np.mod(row, 2), 1) - 0.5, np.mod(b, 1) - 0.5)
    return _mix(_edge(-d, -0.25), colours[0], _cycle(colours, 1))


def _flowers(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    out = np.broadcast_to(colours[0], (*a.shape, 3))
    leaf = sample(cloth.smooth, a * 0.33 + 0.4, b * 0.33)
    out = _mix(0.7 * _edge(leaf, 0.9, 0.1), out, _cycle(colours, 3))
    for layer in range(2):
        x, y = a * (0.62 + 0.2 * layer) + 0.37 * layer, b * (0.62 + 0.2 * layer) + 0.61 * layer
        row, cell = np.floor(y), np.floor(x)
        jx = 0.22 * np.sin(cell * 12.9 + row * 78.2 + layer)
        jy = 0.22 * np.cos(cell * 39.3 + row * 11.1 + layer)
        dx, dy = x - cell - 0.5 - jx, y - row - 0.5 - jy
        r, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
        petals = 0.2 + 0.07 * np.cos(5 * angle + cell + row)
        out = _mix(_edge(petals - r, 0, 0.03), out, _cycle(colours, 1 + layer))
        out = _mix(_edge(0.06 - r, 0, 0.02), out, _cycle(colours, 2 + layer))
    return out


def _camouflage(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    out = np.broadcast_to(colours[0], (*a.shape, 3))
    for i in range(1, 4):
        patch = sample(cloth.smooth, a * 0.055 + 0.31 * i, b * 0.075 + 0.17 * i)
        out = _mix(_edge(patch, 0.45, 0.06), out, _cycle(colours, i))
    return out


def _leopard(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    ring = sample(cloth.smooth, a * 0.21, b * 0.21)
    out = _mix(_edge(ring, 0.9, 0.15), colours[0], colours[0] * 0.6)
    return _mix(_edge(-np.abs(ring - 0.62), -0.25), out, _cycle(colours, 1))


def _denim(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    worn = sample(cloth.smooth, a * 0.03, b * 0.015)
    twill = sample(cloth.fine, (a + b) * 0.45, (b - a) * 0.06)
    return colours[0] * (1 + 0.13 * worn + 0.10 * twill)[..., None]


def _knit(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    return colours[0] * (1 + 0.08 * sample(cloth.fine, a * 0.4, b * 0.2))[..., None]


def _leather(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    return colours[0] * (1 + 0.08 * sample(cloth.smooth, a * 0.2, b * 0.2))[..., None]


def _graded(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    wave = 0.5 + 0.5 * np.sin(b * 0.14 + 0.2 * sample(cloth.smooth, a * 0.02, b * 0.02))
    return _mix(wave, colours[0], _cycle(colours, 1))


def _zigzag(a: Array, b: Array, colours: Sequence[Array], cloth: Cloth) -> Array:
    return _stripes(a, b + 0.8 * np.abs(np.mod(a, 1) - 0.5), colours, cloth)


_PAINTERS = {
    "plain": _plain, "melange": _melange, "stripes": _stripes, "pinstripes": _pinstripes, "tartan": _tartan,
    "gingham": _gingham, "dots": _dots, "flowers": _flowers, "camouflage": _camouflage, "denim": _denim,
    "knit": _knit, "leather": _leather, "leopard": _leopard, "graded": _graded, "zigzag": _zigzag,
}  # fmt: skip


def random_colour(rng: np.random.Generator, *, accent: float = 0.5) -> Colour:
    """A colour clothes are sold in, jittered; `accent` is the chance of a saturated one."""
    table = ACCENTS if rng.random() < accent else NEUTRALS
    base = np.asarray(table[rng.integers(len(table))], np.float64)
    jitter = np.clip(base * rng.uniform(0.88, 1.1) + rng.normal(0, 7, 3), 8, 250)
    return tuple(int(v) for v in jitter)  # type: ignore[return-value]


def random_fabric(rng: np.random.Generator, *, part: str) -> Fabric:
    """A fabric that suits `part`: "upper", "coat", "lower", "dress"."""
    odds = {
        "upper": (0.34, 0.08, 0.14, 0.03, 0.06, 0.04, 0.05, 0.06, 0.02, 0.03, 0.06, 0.01, 0.03, 0.02, 0.03),
        "coat": (0.46, 0.12, 0.02, 0.03, 0.08, 0.01, 0.01, 0.01, 0.04, 0.08, 0.05, 0.07, 0.02, 0.0, 0.0),
        "lower": (0.40, 0.05, 0.02, 0.03, 0.05, 0.02, 0.02, 0.03, 0.03, 0.27, 0.0, 0.05, 0.02, 0.01, 0.0),
        "dress": (0.32, 0.03, 0.10, 0.02, 0.04, 0.04, 0.11, 0.20, 0.01, 0.03, 0.02, 0.0, 0.04, 0.02, 0.02),
    }[part]
    pattern = PATTERNS[rng.choice(len(PATTERNS), p=np.asarray(odds) / sum(odds))]
    if pattern == "denim":
        colours: tuple[Colour, ...] = (DENIMS[rng.integers(len(DENIMS))],)
    else:
        accent = 0.3 if part in ("lower", "coat") else 0.5
        colours = tuple(random_colour(rng, accent=accent) for _ in range(4))
        if rng.random() < 0.5:
            colours = (colours[0], (238, 236, 230), *colours[2:])
    gloss = {"leather": 0.35, "plain": float(rng.choice([0, 0, 0.02, 0.12]))}.get(pattern, 0.0)
    repeat = {"pinstripes": 0.012, "gingham": 0.014, "dots": 0.02}.get(pattern, 0.022)
    return Fabric(
        pattern, colours, float(repeat * np.exp(rng.normal(0.1, 0.4))),
        turn=float(rng.choice([0, 0, 0, np.pi / 2, 0.6]) if pattern == "stripes" else 0.0),
        gloss=gloss, folds=float(rng.uniform(0.5, 1.3)), phase=(float(rng.random()), float(rng.random())),
    )  # fmt: skip


def lettering(text: str, colour: Colour, *, font: int = cv2.FONT_HERSHEY_DUPLEX) -> Array:
    """`text` as a (h, w, 4) float32 picture, linear colour and coverage, cropped to the letters."""
    (width, height), base = cv2.getTextSize(text, font, 4.0, 14)
    mask = np.zeros((height + base + 40, width + 40), np.uint8)
    cv2.putText(mask, text, (20, height + 20), font, 4.0, 255, 14, cv2.LINE_AA)
    ys, xs = np.nonzero(mask)
    mask = mask[ys.min() - 2 : ys.max() + 3, xs.min() - 2 : xs.max() + 3]
    out = np.empty((*mask.shape, 4), np.float32)
    out[..., :3], out[..., 3] = linear(colour), mask / 255.0
    return out


def random_motif(rng: np.random.Generator) -> Array:
    """A chest print: shapes, rings, a landscape of bands, or a word; (h, w, 4) float32."""
    kind = rng.integers(4)
    if kind == 0:
        words = ("HELLO", "OCEAN", "CLUB 84", "NORTH", "SMILE", "Paris", "RADIO", "77", "GOOD DAY", "wild", "LOVE", "A")
        return lettering(
            words[rng.integers(len(words))], random_colour(rng, accent=0.6), font=int(rng.choice([2, 3, 4]))
        )
    size = 96
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    colours = [linear(random_colour(rng, accent=0.8)) for _ in range(4)]
    out = np.zeros((size, size, 4), np.float32)
    shape = (np.hypot(x, y) < 0.95) if rng.random() < 0.5 else (np.maximum(np.abs(x), np.abs(y)) < 0.93)
    out[..., :3] = colours[0]
    if kind == 1:
        bands = np.floor((y + 0.25 * np.sin(x * 3 + rng.uniform(0, 6)) + 1) * 2.2).astype(int) % 4
        out[..., :3] = np.stack(colours)[bands]
    else:
        for i in range(rng.integers(3, 8)):
            cx, cy, r = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6), rng.uniform(0.12, 0.5)
            inside = np.hypot(x - cx, (y - cy) * rng.uniform(0.6, 1.6)) < r
            out[inside, :3] = colours[1 + i % 3]
    out[..., 3] = shape
    return out


def stamp(albedo: Array, patch: Patch, motif: Array, *, centre: tuple[float, float], width: float) -> Array:
    """`motif` printed on `albedo` around surface point `centre` (s, t), `width` wide, figure units."""
    h, w = motif.shape[:2]
    per = width / w
    mx = ((patch.s - centre[0]) / per + w / 2 - 0.5).astype(np.float32)
    my = ((patch.t - centre[1]) / per + h / 2 - 0.5).astype(np.float32)
    print_ = cv2.remap(motif, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return albedo + (print_[..., :3] - albedo) * print_[..., 3:]
