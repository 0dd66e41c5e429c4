"""Small mathematics of the rendered figures: colours, curves, noise, blur, reducing label maps."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from model.labels import COUNT

Array = np.ndarray


def linear(colour: Sequence[float] | Array) -> Array:
    """sRGB 0..255 (..., 3) as linear light 0..1, float32."""
    return (np.asarray(colour, np.float32) / 255.0) ** 2.2


def curve(knots: Sequence[float] | Array, values: Sequence[float] | Array, at: Array) -> Array:
    """Monotone cubic (PCHIP) interpolation of `values` over rising `knots`, held constant outside them."""
    x, y = np.asarray(knots, np.float64), np.asarray(values, np.float64)
    step = x[1:] - x[:-1]
    slope = (y[1:] - y[:-1]) / step
    before, after = slope[:-1], slope[1:]
    w1, w2 = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    product = before * after
    mean = (w1 + w2) * product / (w1 * after + w2 * before + (product <= 0))
    tangent = np.concatenate([slope[:1], np.where(product > 0, mean, 0.0), slope[-1:]])
    at = np.minimum(np.maximum(at, x[0]), x[-1])
    i = np.minimum(np.searchsorted(x, at, side="right"), len(step)) - 1
    h = step[i]
    t = (at - x[i]) / h
    a, b = t * t * (3 - 2 * t), t * (t - 1)
    return (y[i] * (1 - a) + y[i + 1] * a + h * b * ((t - 1) * tangent[i] + t * tangent[i + 1])).astype(np.float32)


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def noise_tile(rng: np.random.Generator, size: int, falloff: float) -> Array:
    """A periodic noise tile of (size, size) float32, zero mean, unit deviation, amplitude ~ frequency ** -falloff."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    fy, fx = np.fft.fftfreq(size)[:, None] * size, np.fft.rfftfreq(size)[None] * size
    radius = np.hypot(fx, fy)
    radius[0, 0] = np.inf
    tile = np.fft.irfft2(spectrum * radius**-falloff, s=(size, size)).astype(np.float32)
    return tile / tile.std()


def sample(tile: Array, x: Array, y: Array) -> Array:
    """The periodic `tile` read at (x, y), where 1 is one period."""
    n = tile.shape[0]
    x, y = np.broadcast_arrays(np.float32(n) * x, np.float32(n) * y)
    return cv2.remap(tile, np.float32(x), np.float32(y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def blur(image: Array, sigma: float) -> Array:
    """Gaussian blur by `sigma` pixels; large ones on a reduced copy."""
    if sigma < 0.3:
        return image
    if sigma > 6:
        h, w = image.shape[:2]
        k = sigma / 3
        small = cv2.resize(image, (max(int(w / k), 1), max(int(h / k), 1)), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), 3.0, borderType=cv2.BORDER_REPLICATE)
        return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def majority(labels: Array, factor: int) -> Array:
    """`labels` uint8 (H, W) reduced `factor` times: of each block the class that fills most of it."""
    if factor == 1:
        return labels.copy()
    size = (labels.shape[1] // factor, labels.shape[0] // factor)
    labels = labels[: size[1] * factor, : size[0] * factor]
    best = np.zeros(size[::-1], np.uint8)
    most = np.zeros(size[::-1], np.uint8)
    for code in range(COUNT):
        share = cv2.resize(cv2.compare(labels, code, cv2.CMP_EQ), size, interpolation=cv2.INTER_AREA)
        more = share > most
        best[more] = code
        np.maximum(most, share, out=most)
    return best


def spline(points: Array, per_side: int = 8) -> Array:
    """A closed Catmull-Rom spline through `points` (n, 2), (n * per_side, 2)."""
    p0, p1, p2, p3 = np.roll(points, 1, 0), points, np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = np.linspace(0, 1, per_side, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (p0, p1, p2, p3))
    out = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return out.reshape(-1, 2)


def open_spline(points: Array, per_side: int = 5) -> Array:
    """A Catmull-Rom spline through `points` (n, 2), ends included."""
    points = np.asarray(points, np.float64)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, per_side, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    out = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.concatenate([out.reshape(-1, 2), points[-1:]])


def unit(v: Sequence[float] | Array) -> tuple[float, float, float]:
    a = np.asarray(v, np.float64)
    a = a / np.linalg.norm(a)
    return float(a[0]), float(a[1]), float(a[2])
