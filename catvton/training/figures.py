"""People and garments drawn from code: free example pictures, and training data with exact labels.

`render_figure` draws a dressed person with a map of the eight parser classes, `render_garment` a garment laid flat;
both are functions of the generator they are given and of nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.labels import Label

from . import figures_clothes as clothes
from . import figures_hair as hair
from . import figures_head as head
from . import figures_legwear as legwear
from . import figures_worn as worn
from .figures_body import Arm, Body, paint_arm, paint_leg, paint_torso, pose
from .figures_canvas import Canvas, Light
from .figures_fabric import Cloth
from .figures_maths import Array, linear
from .figures_scene import backdrop, compose, develop
from .figures_style import Style, Top, random_style

# Of the picture's height: where the crown is and where the soles are, for each crop.
_CROPS = {
    "full": (0.05, 0.95),
    "knees": (0.05, 1.28),
    "half": (0.06, 1.75),
    "legs": (-0.6, 0.95),
    "torso": (-0.28, 1.7),
}


@dataclass(frozen=True)
class Figure:
    """A rendered person: `image` uint8 (H, W, 3) RGB, `labels` uint8 (H, W) of `model.labels.Label`."""

    image: Array
    labels: Array
    style: Style


def render_figure(
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (768, 1024),
    style: Style | None = None,
    oversample: int | None = None,
    wear: float | None = None,
) -> Figure:
    """A person at `size` (W, H), in `style` or in one drawn from `rng`.

    Drawn `oversample` times larger and averaged down: twice by default, once for pictures up to 400 pixels high, whose
    edges are smooth anyway and which are wanted by the thousand. `wear` is how much of a camera's dirt the picture
    gets: 1 for training, 0 for a clean picture (the default for a `style` that was given).
    """
    wear = (1.0 if style is None else 0.0) if wear is None else wear
    placed = style is not None
    style = random_style(rng) if style is None else style
    oversample = (1 if size[1] <= 400 else 2) if oversample is None else oversample
    width, height = size[0] * oversample, size[1] * oversample
    canvas = _frame(rng, style, width, height, placed)
    body = pose(style, rng, Cloth.draw(rng))
    paint_person(canvas, body)
    small = canvas.reduced(oversample)
    floor = small.origin[1] + small.scale
    background = backdrop(rng, style.scene, size, floor - (0.10 + 0.1 * rng.random()) * size[1], style.scene_colour)
    indoors = style.scene in ("studio", "gradient", "room")
    wall_shadow = float(rng.uniform(0, 0.3)) if indoors and not placed else 0.0
    picture = compose(small, background, floor=floor, wall_shadow=wall_shadow)
    return Figure(develop(rng, picture, wear=wear), small.labels, style)


def render_batch(rng: np.random.Generator, count: int, *, size: tuple[int, int] = (192, 256)) -> tuple[Array, Array]:
    """`count` random people: images uint8 (count, H, W, 3) and labels uint8 (count, H, W)."""
    figures = [render_figure(rng, size=size) for _ in range(count)]
    return np.stack([f.image for f in figures]), np.stack([f.labels for f in figures])


def figures(rng: np.random.Generator, *, size: tuple[int, int] = (192, 256)) -> Iterator[Figure]:
    """Random people without end."""
    while True:
        yield render_figure(rng, size=size)


def _frame(rng: np.random.Generator, style: Style, width: int, height: int, placed: bool) -> Canvas:
    """The canvas with the figure's place in it and the light."""
    crown, soles = _CROPS[style.crop]
    if not placed:
        crown += rng.uniform(-0.03, 0.07) * (1 if style.crop in ("full", "knees") else 2)
        soles += rng.uniform(-0.12, 0.03) * (1 if style.crop in ("full", "legs") else 2.5)
    scale = (soles - crown) * height
    x = width * (0.5 + (0 if placed else rng.normal(0, 0.05)))
    light = Light() if placed else _random_light(rng)
    return Canvas(width, height, scale, (x, crown * height), light)


def _random_light(rng: np.random.Generator) -> Light:
    side, up = rng.uniform(-0.9, 0.9), rng.uniform(-0.9, -0.2)
    hard = rng.uniform(0.3, 1.15)
    warm = rng.normal(0, 0.04)
    key = hard * np.array([1 + warm, 1, 1 - warm])
    sky = rng.uniform(0.95, 1.15) - hard * 0.75
    return Light(
        (float(side), float(up), float(rng.uniform(0.45, 1.2))), tuple(map(float, key)),  # type: ignore[arg-type]
        tuple(map(float, sky * np.array([1 - warm * 0.7, 1, 1 + warm * 0.7]))), float(rng.uniform(0.05, 0.5)),
    )  # fmt: skip


def paint_person(canvas: Canvas, body: Body) -> None:
    """Everything of the figure, back to front."""
    style = body.style
    outer = style.dress or style.top
    hair.paint_hair_back(canvas, body)
    tights = linear(style.tights) if style.tights is not None else None
    for leg in body.legs:
        paint_leg(canvas, body, leg, colour=tights, label=Label.LOWER if tights is not None else Label.SKIN)
        legwear.paint_foot(canvas, body, leg)
    paint_torso(canvas, body)
    _paint_outfit(canvas, body)
    first, second = sorted(body.arms, key=lambda arm: arm.in_front)
    for arm in (first, second):
        _paint_dressed_arm(canvas, body, arm, outer)
    worn.paint_trinkets(canvas, body)
    if style.scarf is not None:
        worn.paint_scarf(canvas, body, style.scarf)
    if style.bag != "tote" or style.arms[0 if style.bag_side < 0 else 1] in ("down", "bent", "carry"):
        worn.paint_bag(canvas, body)
    head.paint_head(canvas, body)
    hair.paint_hair_front(canvas, body)
    worn.paint_glasses(canvas, body)
    worn.paint_hat(canvas, body)
    for arm, name in zip(body.arms, style.arms, strict=True):
        if name == "head":  # a hand at the head lies over the hair
            _paint_dressed_arm(canvas, body, arm, outer)


def _paint_outfit(canvas: Canvas, body: Body) -> None:
    style = body.style
    top, bottom = style.top, style.bottom
    if top is not None and (top.tucked or bottom is None):
        tucked = replace(top, ease=min(top.ease, 0.3))
        clothes.paint_top(canvas, body, tucked, hem=0.46 if bottom is None else bottom.waist + 0.01)
    if bottom is not None:
        legwear.paint_bottom(canvas, body, bottom)
    if top is not None and not (top.tucked or bottom is None):
        clothes.paint_top(canvas, body, top)
    if style.dress is not None:
        clothes.paint_top(canvas, body, style.dress, label=Label.DRESS, flare=style.dress_flare)
    if style.coat is not None:
        clothes.paint_coat(canvas, body, style.coat, is_open=style.coat_open)


def _paint_dressed_arm(canvas: Canvas, body: Body, arm: Arm, outer: Top | None) -> None:
    style = body.style
    covered = max((g.sleeve for g in (outer, style.coat) if g is not None), default=0.0)
    paint_arm(canvas, body, arm, bare_from=0.0 if covered < 0.03 else covered)
    worn.paint_watch(canvas, body, arm)
    if outer is not None and (style.coat is None or style.coat.sleeve < outer.sleeve):
        clothes.paint_sleeve(canvas, body, arm, outer, label=Label.DRESS if style.dress is not None else Label.UPPER)
    if style.coat is not None:
        clothes.paint_sleeve(canvas, body, arm, style.coat, label=Label.UPPER)


def main(arguments: list[str] | None = None) -> int:
    """`python -m catvton.training.figures --out FOLDER`: render the shipped examples."""
    from .figures_examples import write_examples

    parser = argparse.ArgumentParser(prog="python -m catvton.training.figures", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder the pictures and examples.json are written to")
    write_examples(parser.parse_args(arguments).out, on_file=lambda path: sys.stdout.write(f"{path}\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
