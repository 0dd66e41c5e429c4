"""What stands behind a rendered figure, and what a camera does to the picture."""

from __future__ import annotations

import cv2
import numpy as np

from .figures_canvas import Canvas
from .figures_fabric import Colour, random_colour
from .figures_maths import Array, blur, linear, noise_tile


def backdrop(
    rng: np.random.Generator, kind: str, size: tuple[int, int], horizon: float, colour: Colour | None = None
) -> Array:
    """A background of `size` (W, H) in linear light; `horizon` is the pixel row where wall and floor meet;
    `colour` that of a studio's paper."""
    if colour is not None:
        return _paper(size, linear(colour), horizon)
    width, height = size
    maker = {
        "studio": _studio,
        "gradient": _gradient,
        "room": _room,
        "street": _street,
        "park": _street,
        "noise": _clutter,
    }[kind]
    return maker(rng, width, height, horizon, kind)


def _paper(size: tuple[int, int], tone: Array, horizon: float) -> Array:
    """A studio's paper roll, lit from the upper left, curving into the floor."""
    x, y = _coords(*size)
    light = 1.06 - 0.16 * np.hypot(x - 0.42, (y - 0.36) * 1.2) ** 1.5
    bend = (
        1
        - 0.05 * np.exp(-(((y - horizon / size[1]) / 0.05) ** 2))
        + 0.05 * np.clip((y - horizon / size[1]) / 0.1, 0, 1)
    )
    return (tone * (light * bend)[..., None]).astype(np.float32)


def _coords(width: int, height: int) -> tuple[Array, Array]:
    return np.linspace(0, 1, width, dtype=np.float32)[None, :], np.linspace(0, 1, height, dtype=np.float32)[:, None]


def _studio(rng: np.random.Generator, width: int, height: int, horizon: float, kind: str) -> Array:
    x, y = _coords(width, height)
    if rng.random() < 0.6:
        tone = linear(np.full(3, rng.uniform(205, 255)) + rng.normal(0, 4, 3))
    else:
        tone = linear(np.clip(np.array(random_colour(rng, accent=0.5)) * 0.6 + 80, 0, 255))
    fall = rng.uniform(0.0, 0.3)
    cx = rng.uniform(0.3, 0.7)
    vignette = 1 - fall * ((x - cx) ** 2 * 2 + (y - 0.4) ** 2 * 1.2)
    floor = 1 - rng.uniform(0, 0.12) * np.exp(-(((y - horizon / height) / rng.uniform(0.04, 0.12)) ** 2))
    return (tone * (vignette * floor)[..., None]).astype(np.float32)


def _gradient(rng: np.random.Generator, width: int, height: int, horizon: float, kind: str) -> Array:
    x, y = _coords(width, height)
    a, b = (linear(random_colour(rng, accent=0.5)) for _ in range(2))
    angle = rng.uniform(0, 2 * np.pi)
    t = np.clip((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5, 0, 1)
    return (a + (b - a) * t[..., None]).astype(np.float32)


def _room(rng: np.random.Generator, width: int, height: int, horizon: float, kind: str) -> Array:
    x, y = _coords(width, height)
    wall = linear(np.clip(np.array(random_colour(rng, accent=0.25)) * 0.5 + 110, 0, 255))
    wood = linear((rng.uniform(110, 190), rng.uniform(85, 150), rng.uniform(60, 125)))
    light = 1 - rng.uniform(0.1, 0.4) * np.abs(x - rng.uniform(0, 1)) - 0.15 * y
    out = np.broadcast_to(wall, (height, width, 3)) * light[..., None]
    line = np.clip(y * height - horizon, 0, 1)[..., None]
    depth = 1 / np.clip(y - horizon / height + 0.08, 0.02, None)
    planks = 1 - 0.25 * (np.mod((x - 0.5) * depth * rng.uniform(0.5, 1.2), 1) < 0.04)
    tile = noise_tile(rng, 64, 1.0)
    grain = 1 + 0.08 * cv2.resize(tile, (width, height), interpolation=cv2.INTER_LINEAR)
    out = out * (1 - line) + wood * (planks * grain * (0.8 + 0.3 * y))[..., None] * line
    board = (np.abs(y * height - horizon + 0.012 * height) < 0.012 * height)[..., None]
    out = np.where(board, wall * 1.1, out)
    for _ in range(rng.integers(0, 3)):  # a picture, a door, a shelf
        w, h = rng.uniform(0.1, 0.35), rng.uniform(0.12, 0.5)
        x0, y0 = rng.uniform(-0.1, 0.9), rng.uniform(0.02, 0.4)
        inside = ((np.abs(x - x0 - w / 2) < w / 2) & (np.abs(y - y0 - h / 2) < h / 2) & (y * height < horizon))[
            ..., None
        ]
        out = np.where(inside, linear(random_colour(rng, accent=0.4)) * light[..., None], out)
    return blur(np.ascontiguousarray(out, np.float32), rng.uniform(0.0, 0.008) * height)


def _street(rng: np.random.Generator, width: int, height: int, horizon: float, kind: str) -> Array:
    """Sky, blurred buildings or trees, passers-by and cars, a road: the look of a street photo's background."""
    small_w, small_h = 96, 128
    low = horizon / height * small_h
    x, y = np.meshgrid(np.arange(small_w), np.arange(small_h))
    sky = linear(np.clip(np.array([200, 212, 226]) + rng.normal(0, 12, 3), 0, 255))
    out = np.broadcast_to(sky, (small_h, small_w, 3)).copy()
    for _ in range(rng.integers(3, 8)):
        x0, w, top = rng.uniform(-20, small_w), rng.uniform(12, 50), rng.uniform(-0.3, 0.6) * low
        if kind == "park":
            tone = linear((rng.uniform(30, 110), rng.uniform(60, 140), rng.uniform(20, 70)))
            shape = np.hypot((x - x0) / w, (y - top) / (0.5 * low + 4)) < 1
        else:
            tone = linear(np.clip(np.array(random_colour(rng, accent=0.12)) * 0.7 + 40, 0, 255))
            shape = (x > x0) & (x < x0 + w) & (y > top)
            windows = (np.mod(x - x0, 7) < 3) & (np.mod(y - top, 10) < 5)
            tone = np.where(windows[..., None], tone * rng.uniform(0.3, 1.4), tone)
        out = np.where(shape[..., None], tone, out)
    for _ in range(rng.integers(0, 6)):  # passers-by, cars, poles
        w, h = rng.uniform(1.5, 16), rng.uniform(8, 36)
        x0 = rng.uniform(0, small_w)
        shape = (np.abs(x - x0) < w / 2) & (np.abs(y - low + h / 2 - 2) < h / 2)
        out = np.where(shape[..., None], linear(random_colour(rng, accent=0.5)), out)
    ground = linear(np.clip(np.full(3, rng.uniform(90, 205)) + rng.normal(0, 8, 3), 0, 255))
    if kind == "park" and rng.random() < 0.5:
        ground = linear((rng.uniform(90, 150), rng.uniform(110, 150), rng.uniform(60, 90)))
    out = np.where((y > low)[..., None], ground * (0.75 + 0.35 * y / small_h)[..., None], out)
    tile = cv2.resize(noise_tile(rng, 64, 0.9), (small_w, small_h))
    out = out * (1 + (0.25 if kind == "park" else 0.10) * tile)[..., None]
    out = cv2.GaussianBlur(out.astype(np.float32), (0, 0), rng.uniform(0.6, 2.6))
    out = cv2.resize(out, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = noise_tile(rng, 128, 0.5)
    rough = cv2.resize(texture, (width, height), interpolation=cv2.INTER_LINEAR)
    sharp = np.clip((np.arange(height)[:, None] - horizon) / (0.2 * height), 0, 1) * rng.uniform(0.02, 0.12)
    out = out * (1 + rough * sharp)[..., None]
    return np.clip(out, 0, 1.2).astype(np.float32)


def _clutter(rng: np.random.Generator, width: int, height: int, horizon: float, kind: str) -> Array:
    """Coloured noise of natural spectrum: nothing in it can be learnt as a place."""
    tiles = np.stack([noise_tile(rng, 64, rng.uniform(0.8, 1.8)) for _ in range(3)], -1)
    mix = rng.uniform(0, 0.5, (3, 3)) + np.eye(3)
    tone = linear(random_colour(rng, accent=0.5))
    out = tone * (1 + 0.35 * tiles @ mix.astype(np.float32))
    return np.clip(cv2.resize(out.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def compose(canvas: Canvas, background: Array, *, floor: float, wall_shadow: float) -> Array:
    """The figure over `background` (linear), with its contact shadow at pixel row `floor` and a soft one behind."""
    height, width = canvas.alpha.shape
    out = background
    lx, _, _ = canvas.light.direction
    if floor < height * 1.02:
        yy = np.arange(height, dtype=np.float32)[:, None]
        feet = canvas.alpha[max(int(floor - 0.06 * canvas.scale), 0) : max(int(floor), 1)]
        reach = feet.max(0)[None, :] if feet.size else np.zeros((1, width), np.float32)
        reach = blur(np.ascontiguousarray(np.repeat(reach, 8, 0)), 0.012 * canvas.scale)[:1]
        wide = blur(np.ascontiguousarray(np.repeat(reach, 8, 0)), 0.05 * canvas.scale)[:1]
        thick = 0.010 * canvas.scale
        contact = 0.55 * reach * np.exp(-(((yy - floor + thick * 0.3) / thick) ** 2)) + 0.28 * wide * np.exp(
            -(((yy - floor) / (thick * 3)) ** 2)
        )
        out = out * (1 - np.clip(contact, 0, 0.85))[..., None]
    if wall_shadow > 0:
        shift = np.float32([[1, 0, -lx * 0.08 * canvas.scale], [0, 1, 0.03 * canvas.scale]])
        cast = cv2.warpAffine(canvas.alpha, shift, (width, height))
        cast = blur(cast, 0.03 * canvas.scale)
        out = out * (1 - wall_shadow * cast)[..., None]
    return canvas.rgb + out * (1 - canvas.alpha[..., None])


def develop(rng: np.random.Generator, picture: Array, *, wear: float) -> Array:
    """Linear light to 8-bit sRGB through a lens and a film: white balance, exposure, contrast, blur, grain, JPEG.

    `wear` 0 leaves only the tone curve; 1 is an ordinary phone or street photo.
    """
    gain = np.exp(rng.normal(0, 0.07 * wear, 3) + rng.normal(0, 0.13 * wear)).astype(np.float32)
    out = np.clip(picture * gain, 0, None)
    out = 1 - np.exp(-out * (1.25 + 0.25 * out)) if wear > 0.9 and rng.random() < 0.3 else out
    out = np.clip(out, 0, 1) ** np.float32(1 / 2.2)
    contrast = 1 + rng.normal(0, 0.1) * wear
    out = (out - 0.5) * contrast + 0.5
    if wear > 0:
        if rng.random() < 0.5:
            out = blur(out, rng.uniform(0.3, 0.9) * wear)
        out = out + rng.normal(0, 1, out.shape[:2]).astype(np.float32)[..., None] * rng.uniform(0.0, 0.022) * wear
    image = np.clip(out * 255 + 0.5, 0, 255).astype(np.uint8)
    if wear > 0 and rng.random() < 0.5:
        quality = int(rng.uniform(45, 95))
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    return image
