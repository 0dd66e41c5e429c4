"""Draws the app's icons; `python -m catvton.web.icons` writes them anew."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from catvton.web.texts import WEB

PLUM = "#724a98"
SIZES = (192, 512)
_UNITS = 64  # the drawing's own width
_CORNER, _STROKE = 14, 3.5
_FINE = 4  # drawn so many times as large, for smooth edges
_CURVE = 24  # straight pieces a curve is drawn as

Point = tuple[float, float]


def write_icons(folder: Path = WEB) -> list[Path]:
    """Write icon-192.png, icon-512.png and icon-maskable-512.png into a folder."""
    drawn = {f"icon-{size}.png": icon(size) for size in SIZES} | {"icon-maskable-512.png": icon(512, corner=0)}
    for name, image in drawn.items():
        image.save(folder / name, optimize=True)
    return [folder / name for name in drawn]


def icon(size: int, *, corner: float = _CORNER) -> Image.Image:
    """A hanger on plum: RGBA, `size` pixels a side. corner: its roundness; 0 for systems that cut it themselves."""
    scale = size * _FINE / _UNITS
    image = Image.new("RGBA", (size * _FINE, size * _FINE))
    pen = ImageDraw.Draw(image)
    edge = size * _FINE - 1
    pen.rounded_rectangle((0, 0, edge, edge), corner * scale, fill=PLUM)
    for line in (_hook(), _shoulders()):
        _stroke(pen, [(x * scale, y * scale) for x, y in line], width=_STROKE * scale)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _hook() -> list[Point]:
    turns = (math.radians(180 + 246.5 * step / _CURVE) for step in range(_CURVE + 1))
    arc = [(32 + 5 * math.cos(turn), 19 + 5 * math.sin(turn)) for turn in turns]
    return [*arc, *_bezier((34, 23.6), (32.6, 24.2), (32, 25.2), (32, 26.6)), (32, 29)]


def _shoulders() -> list[Point]:
    right = _bezier((54, 42.5), (56.6, 44.2), (55.4, 48), (52.3, 48))
    left = _bezier((11.7, 48), (8.6, 48), (7.4, 44.2), (10, 42.5))
    return [(32, 29), *right, *left, (32, 29)]


def _bezier(start: Point, first: Point, second: Point, end: Point) -> Iterator[Point]:
    for step in range(_CURVE + 1):
        t, u = step / _CURVE, 1 - step / _CURVE
        weights = (u**3, 3 * u * u * t, 3 * u * t * t, t**3)
        yield tuple(sum(w * point[axis] for w, point in zip(weights, (start, first, second, end), strict=True))
                    for axis in (0, 1))


def _stroke(pen: ImageDraw.ImageDraw, line: list[Point], *, width: float) -> None:
    """A line with round joints and ends."""
    pen.line(line, fill="white", width=round(width))
    for x, y in line:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill="white")


if __name__ == "__main__":
    write_icons()
