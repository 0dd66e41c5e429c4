"""The drawing surface of the rendered figures: shaded patches painted one over another.

Everything is drawn in figure units: x to the right of the body's middle, y down from the crown, 1 = the figure's
height. A patch is a small window of the canvas with a coverage, a height field (its relief towards the viewer) and
surface coordinates; `Canvas.paint` turns the height field into normals, lights it and composites colour and label.
Colours are linear light, 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from .figures_maths import Array, blur, curve, majority, spline, unit

Cut = Callable[[Array, Array], Array]  # (x, y) in figure units -> signed distance in figure units, positive = keep


@dataclass
class Patch:
    """A shape on the canvas: window, coverage, relief and surface coordinates (all (h, w) float32)."""

    top: int
    left: int
    alpha: Array
    height: Array  # towards the viewer, canvas pixels
    x: Array  # figure units
    y: Array
    s: Array  # across the surface, figure units, 0 on the centre line
    t: Array  # along the surface, figure units
    u: Array  # across, -1..1
    v: Array  # along, 0..1

    @property
    def column(self) -> Array:
        """x of every pixel column, (1, w)."""
        return self.x[:1]

    @property
    def row(self) -> Array:
        """y of every pixel row, (h, 1)."""
        return self.y[:, :1]

    @property
    def window(self) -> tuple[slice, slice]:
        h, w = self.alpha.shape
        return slice(self.top, self.top + h), slice(self.left, self.left + w)


@dataclass(frozen=True)
class Light:
    """One soft key light and a sky; colours multiply linear albedo."""

    direction: tuple[float, float, float] = (-0.45, -0.55, 0.7)  # towards the light; y down, z towards the viewer
    key: tuple[float, float, float] = (0.80, 0.77, 0.72)
    sky: tuple[float, float, float] = (0.36, 0.38, 0.41)
    wrap: float = 0.25


@dataclass
class Canvas:
    """Premultiplied linear RGB, coverage and labels of one figure, on a surface of (height, width) pixels."""

    width: int
    height: int
    scale: float  # pixels per figure height
    origin: tuple[float, float]  # pixel of the figure's crown on its middle line
    light: Light
    flatness: float = 1.0  # multiplies every shape's own relief: below 1 for things that lie flat
    rgb: Array = field(init=False)
    alpha: Array = field(init=False)
    labels: Array = field(init=False)

    def __post_init__(self) -> None:
        self.rgb = np.zeros((self.height, self.width, 3), np.float32)
        self.alpha = np.zeros((self.height, self.width), np.float32)
        self.labels = np.zeros((self.height, self.width), np.uint8)

    def reduced(self, factor: int) -> Canvas:
        """The canvas averaged down `factor` times; labels by the class that fills most of each block."""
        width, height = self.width // factor, self.height // factor
        origin = (self.origin[0] / factor, self.origin[1] / factor)
        small = Canvas(width, height, self.scale / factor, origin, self.light, self.flatness)
        small.rgb = cv2.resize(self.rgb, (width, height), interpolation=cv2.INTER_AREA)
        small.alpha = cv2.resize(self.alpha, (width, height), interpolation=cv2.INTER_AREA)
        small.labels = majority(self.labels, factor)
        return small

    # -- shapes -------------------------------------------------------------------------------------------------

    def _grid(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, Array, Array] | None:
        """Pixel window over a box in figure units, with its coordinates; None when it lies outside the canvas."""
        ox, oy = self.origin
        left, right = int(np.floor(ox + x0 * self.scale)) - 1, int(np.ceil(ox + x1 * self.scale)) + 2
        top, bottom = int(np.floor(oy + y0 * self.scale)) - 1, int(np.ceil(oy + y1 * self.scale)) + 2
        left, right, top, bottom = max(left, 0), min(right, self.width), max(top, 0), min(bottom, self.height)
        if right - left < 2 or bottom - top < 2:
            return None
        x = (np.arange(left, right, dtype=np.float32) + 0.5 - ox) / self.scale
        y = (np.arange(top, bottom, dtype=np.float32) + 0.5 - oy) / self.scale
        return top, left, x[None, :], y[:, None]

    def column(
        self,
        knots: Sequence[float],
        left: Sequence[float],
        right: Sequence[float],
        *,
        depth: float = 0.7,
        top: Callable[[Array], Array] | None = None,
        bottom: Callable[[Array], Array] | None = None,
        cut: Cut | None = None,
        ragged: Callable[[Array], Array] | None = None,
        smooth: float = 0.0,
    ) -> Patch | None:
        """A shape with one left and one right edge per row: torso, leg, skirt, face.

        `left` and `right` are x at the rows `knots`; `top` and `bottom` shift the two ends as functions of u;
        `ragged(y)` is added to both half widths; `depth` is relief over half width, evened out over
        `smooth` figure units.
        """
        reach = 0.04
        grid = self._grid(min(left) - 0.02, knots[0] - reach, max(right) + 0.02, knots[-1] + reach)
        if grid is None:
            return None
        row, col, x, y = grid
        rows = y[:, 0]
        lo, hi = curve(knots, left, rows), curve(knots, right, rows)
        if ragged is not None:
            wobble = ragged(rows)
            lo, hi = lo - wobble, hi + ragged(rows + 0.37)
        step = 1.0 / self.scale
        slope_lo, slope_hi = np.hypot(1, np.gradient(lo, step)), np.hypot(1, np.gradient(hi, step))
        half = np.maximum((hi - lo) / 2, 1e-4)[:, None]
        u = (x - ((lo + hi) / 2)[:, None]) / half
        inside = np.minimum((x - lo[:, None]) / slope_lo[:, None], (hi[:, None] - x) / slope_hi[:, None])
        clipped = np.clip(u, -1, 1)
        start = knots[0] + (top(clipped) if top else 0.0)
        end = knots[-1] + (bottom(clipped) if bottom else 0.0)
        inside = np.minimum(inside, np.minimum(y - start, end - y))
        if cut is not None:
            inside = np.minimum(inside, cut(x, y))
        alpha = np.clip(inside * self.scale + 0.5, 0, 1)
        dome = np.sqrt(np.maximum(1 - (clipped * 0.985) ** 2, 0))
        shape = alpha.shape
        height = blur(half * dome * depth * self.scale, smooth * self.scale)
        return Patch(
            row,
            col,
            alpha,
            height,
            np.broadcast_to(x, shape),
            np.broadcast_to(y, shape),
            half * self._across(clipped),
            np.broadcast_to(y, shape),
            clipped,
            np.broadcast_to((y - knots[0]) / (knots[-1] - knots[0]), shape),
        )

    def _across(self, u: Array) -> Array:
        """Way across a surface to u, in half widths: on a round body cloth is foreshortened towards the sides."""
        return np.arcsin(u) * 0.8 if self.flatness == 1 else u

    def limb(
        self,
        points: Array,
        radii: Sequence[float],
        *,
        start: float = 0.0,
        end: float = 1.0,
        flat_start: bool = False,
        flat_end: bool = False,
        swell: float = 0.0,
        depth: float = 0.9,
        wobble: Callable[[Array], Array] | None = None,
    ) -> Patch | None:
        """A tube along a poly-line: arm, sleeve, finger, strap.

        `points` (n, 2) is its centre line, `radii` half widths evenly spaced over it, `start`..`end` the part drawn,
        `flat_*` whether that end is cut straight (bulging by `swell`) or round; `wobble(v)` is added to the radius.
        """
        points = np.asarray(points, np.float32)
        seg = np.hypot(*np.diff(points, axis=0).T)
        dist = np.concatenate([[0], np.cumsum(seg)])
        total = float(dist[-1])
        reach = max(radii) * 1.5 + 0.01
        low, high = points.min(0) - reach, points.max(0) + reach
        grid = self._grid(low[0], low[1], high[0], high[1])
        if grid is None:
            return None
        row, col, x, y = grid
        shape = (y.shape[0], x.shape[1])
        best = np.full(shape, 1e9, np.float32)
        along, across = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        last = len(seg) - 1
        over = np.full(shape, -1e9, np.float32)
        for i in range(len(seg)):
            d = (points[i + 1] - points[i]) / max(float(seg[i]), 1e-6)
            px, py = x - points[i, 0], y - points[i, 1]
            p = px * d[0] + py * d[1]
            q = py * d[0] - px * d[1]
            clamped = np.clip(p, 0, seg[i])
            far = (p - clamped) ** 2 + q * q
            near = far < best
            best = np.where(near, far, best)
            along = np.where(near, dist[i] + clamped, along)
            across = np.where(near, q, across)
            if i == 0 and flat_start and start == 0.0:
                over = np.where(near, -p, over)
            if i == last and flat_end and end == 1.0:
                over = np.where(near, np.maximum(over, p - seg[i]), over)
        r = np.sqrt(best)
        v = along / total
        table = np.linspace(0, 1, 513)
        knots = np.linspace(0, 1, len(radii))
        index = (v * 512).astype(np.int32)
        radius = curve(knots, radii, table)[index]
        if wobble is not None:
            radius = radius + wobble(table)[index] * (1 + 0.5 * np.clip(across / radius, -1, 1))
        u = np.clip(np.copysign(r, across) / radius, -1, 1)
        bulge = swell * np.sqrt(1 - u * u * 0.98)
        inside = np.minimum(radius - r, -over + bulge)
        if flat_start and start > 0:
            inside = np.minimum(inside, along - start * total + bulge)
        if flat_end and end < 1:
            inside = np.minimum(inside, end * total - along + bulge)
        alpha = np.clip(inside * self.scale + 0.5, 0, 1)
        dome = np.sqrt(np.maximum(1 - (u * 0.985) ** 2, 0))
        return Patch(
            row,
            col,
            alpha,
            radius * dome * depth * self.scale,
            np.broadcast_to(x, shape),
            np.broadcast_to(y, shape),
            radius * self._across(u),
            along,
            u,
            v,
        )

    def blob(
        self, outline: Sequence[tuple[float, float]] | Array, *, rounding: float, closed: bool = True
    ) -> Patch | None:
        """A shape inside a smooth closed outline (figure units), its rim rounded over `rounding`: hair, shoe, bag."""
        points = spline(np.asarray(outline, np.float64)) if closed else np.asarray(outline, np.float64)
        low, high = points.min(0), points.max(0)
        pad = rounding
        grid = self._grid(low[0] - pad, low[1] - pad, high[0] + pad, high[1] + pad)
        if grid is None:
            return None
        row, col, x, y = grid
        shape = (y.shape[0], x.shape[1])
        pixels = points * self.scale + np.asarray(self.origin) - (col + 0.5, row + 0.5)
        mask = np.zeros(shape, np.uint8)
        cv2.fillPoly(mask, [np.round(pixels * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        alpha = mask.astype(np.float32) / 255.0
        soft = blur(alpha, rounding * self.scale * 0.6)
        dome = np.sqrt(np.clip(soft * 2 - 0.9, 0, 1))
        middle, size = (low + high) / 2, np.maximum(high - low, 1e-4)
        xx, yy = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
        return Patch(
            row,
            col,
            alpha,
            dome * rounding * self.scale,
            xx,
            yy,
            xx - middle[0],
            yy,
            np.clip((xx - middle[0]) / size[0] * 2, -1, 1),
            (yy - low[1]) / size[1],
        )

    # -- painting -----------------------------------------------------------------------------------------------

    def paint(
        self,
        patch: Patch | None,
        albedo: Array,
        label: int,
        *,
        relief: Array | None = None,
        gloss: float = 0.0,
        polish: float = 12.0,
        shadow: float = 0.45,
        reach: float = 0.012,
        rim: float = 0.35,
        bleed: Array | None = None,
    ) -> None:
        """Light `patch` and composite it. `albedo` is (3,) or (h, w, 3) linear; `relief` adds figure units of height.

        `shadow` and `reach` (figure units) describe the soft shadow thrown on what is already drawn; `rim` darkens
        turned-away surface; `bleed` (3,) tints the shade (light that travelled through skin).
        """
        if patch is None:
            return
        if shadow > 0:
            self._throw_shadow(patch, shadow, reach)
        normals = self._normals(patch, relief)
        colour = albedo * self._shade(normals, rim, bleed)
        if gloss > 0:
            colour += self._highlight(normals, gloss, polish)[..., None]
        a = patch.alpha
        win = patch.window
        self.rgb[win] += (colour - self.rgb[win]) * a[..., None]
        self.alpha[win] += (1 - self.alpha[win]) * a
        self.labels[win][a >= 0.5] = label

    def stain(
        self, patch: Patch | None, colour: Array, strength: float | Array = 1.0, label: int | None = None
    ) -> None:
        """Multiply what is drawn under `patch` by linear `colour` (3,), by `strength`: seams, creases, blush."""
        if patch is None:
            return
        a = (patch.alpha * strength)[..., None]
        self.rgb[patch.window] *= 1 - a * (1 - np.asarray(colour, np.float32))
        if label is not None:
            self.labels[patch.window][patch.alpha >= 0.5] = label

    def _normals(self, patch: Patch, relief: Array | None) -> tuple[Array, Array, Array]:
        h = patch.height * self.flatness if relief is None else patch.height * self.flatness + relief * self.scale
        h = np.ascontiguousarray(h, np.float32)
        gx = cv2.Sobel(h, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
        gy = cv2.Sobel(h, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
        nz = 1.0 / np.sqrt(1.0 + gx * gx + gy * gy)
        return -gx * nz, -gy * nz, nz

    def _shade(self, normals: tuple[Array, Array, Array], rim: float, bleed: Array | None) -> Array:
        """Light reaching a surface, (h, w, 3)."""
        nx, ny, nz = normals
        lx, ly, lz = unit(self.light.direction)
        wrap = self.light.wrap
        facing = np.clip((nx * lx + ny * ly + nz * lz + wrap) / (1 + wrap), 0, 1)
        sky = (0.85 - 0.3 * ny) * (1 - rim * (1 - nz) ** 2)
        shade = np.empty((*facing.shape, 3), np.float32)
        through = None if bleed is None else (1 - facing) * facing
        for i in range(3):
            np.add(facing * np.float32(self.light.key[i]), sky * np.float32(self.light.sky[i]), out=shade[..., i])
            if through is not None and bleed is not None and bleed[i]:
                shade[..., i] += through * bleed[i]
        return shade

    def _highlight(self, normals: tuple[Array, Array, Array], gloss: float, polish: float) -> Array:
        nx, ny, nz = normals
        half = unit(np.asarray(unit(self.light.direction)) + (0, 0, 1))
        return gloss * np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1) ** polish

    def _throw_shadow(self, patch: Patch, strength: float, reach: float) -> None:
        """Darken what lies beside and below the patch, away from the light."""
        sigma = max(reach * self.scale * 0.6, 0.6)
        lx, ly, _ = unit(self.light.direction)
        dx, dy = round(-lx * reach * self.scale), round(-ly * reach * self.scale)
        pad = int(np.ceil(sigma * 2.5)) + max(abs(dx), abs(dy))
        h, w = patch.alpha.shape
        top, left = max(patch.top - pad, 0), max(patch.left - pad, 0)
        bottom, right = min(patch.top + h + pad, self.height), min(patch.left + w + pad, self.width)
        cover = np.zeros((bottom - top, right - left), np.float32)
        y0, x0 = patch.top + dy - top, patch.left + dx - left
        ya, xa, yb, xb = max(y0, 0), max(x0, 0), min(y0 + h, cover.shape[0]), min(x0 + w, cover.shape[1])
        if yb <= ya or xb <= xa:  # the shadow falls beside the picture
            return
        cover[ya:yb, xa:xb] = patch.alpha[ya - y0 : yb - y0, xa - x0 : xb - x0]
        cover = blur(cover, sigma)
        self.rgb[top:bottom, left:right] *= (1 - strength * cover)[..., None]
