"""The people and garments shipped as clickable examples: chosen by hand, rendered by code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from .figures import render_figure
from .figures_fabric import Fabric, lettering
from .figures_flat import render_garment
from .figures_maths import Array
from .figures_style import SKINS, Bottom, Style, Top

SIZE = (768, 1024)
_CREAM = (241, 238, 230)


@dataclass(frozen=True)
class Example:
    """One shipped picture: its file name, what it shows, and for a garment the part of the body it goes on."""

    name: str
    kind: Literal["person", "garment"]
    title: str
    seed: int
    part: Literal["upper", "lower", "overall"] | None = None
    style: Style | None = None
    cut: str = ""
    fabric: Fabric | None = None

    @property
    def file(self) -> str:
        return f"{self.name}.webp"

    def render(self, size: tuple[int, int] = SIZE) -> Array:
        """The picture, uint8 (H, W, 3) RGB."""
        rng = np.random.default_rng(self.seed)
        if self.style is not None:
            return render_figure(rng, size=size, style=self.style).image
        return render_garment(rng, kind=self.cut, size=size, fabric=self.fabric).image

    def entry(self) -> dict[str, str]:
        """Its line in examples.json."""
        out = {"file": self.file, "kind": self.kind, "title": self.title}
        return out | {"part": self.part} if self.part else out


def _people() -> tuple[Example, ...]:
    woman = Style(
        female=0.95,
        skin=SKINS[3],
        hair="long",
        hair_colour=(74, 46, 30),
        iris=(84, 58, 38),
        makeup=0.45,
        smile=0.75,
        arms=("down", "down"),
        stance="weight",
        yaw=0.12,
        roll=0.02,
        scene="studio",
        top=Top(Fabric("plain", ((236, 234, 228),), folds=0.9), sleeve=0.32, ease=0.18, hem=0.47, neck="scoop"),
        bottom=Bottom(Fabric("denim", ((58, 84, 126),), folds=0.9), "trousers", hem=0.945, ease=0.26, waist=0.405),
        shoes="sneakers",
        shoe_colour=(238, 237, 233),
        scene_colour=(216, 220, 224),
    )
    man = Style(
        female=0.05,
        build=1.04,
        skin=SKINS[7],
        hair="short",
        hair_colour=(22, 18, 17),
        beard=0.5,
        iris=(54, 36, 26),
        smile=0.6,
        arms=("down", "bent"),
        stance="apart",
        yaw=-0.1,
        scene="studio",
        top=Top(Fabric("melange", ((122, 136, 150),), folds=1.0), sleeve=0.975, ease=0.4, hem=0.5, neck="crew"),
        bottom=Bottom(Fabric("plain", ((196, 178, 142),), folds=1.0), "trousers", hem=0.945, ease=0.35, waist=0.41),
        shoes="sneakers",
        shoe_colour=(60, 62, 70),
        scene_colour=(226, 221, 213),
    )
    dressed = Style(
        female=0.97,
        build=1.22,
        skin=SKINS[8],
        hair="bun",
        hair_colour=(26, 20, 18),
        iris=(56, 38, 28),
        makeup=0.55,
        smile=0.8,
        arms=("hip", "down"),
        stance="weight",
        yaw=-0.15,
        roll=-0.02,
        scene="studio",
        top=None,
        bottom=None,
        dress=Top(Fabric("plain", ((58, 128, 122),), folds=0.8), sleeve=0.30, ease=0.2, hem=0.73, neck="v"),
        dress_flare=0.45,
        shoes="flats",
        shoe_colour=(146, 98, 64),
        scene_colour=(230, 222, 214),
    )
    student = Style(
        female=0.08,
        build=0.95,
        skin=SKINS[1],
        hair="short",
        hair_colour=(158, 112, 66),
        iris=(92, 118, 138),
        smile=0.65,
        arms=("down", "down"),
        stance="stand",
        yaw=0.15,
        scene="studio",
        top=Top(Fabric("plain", ((46, 62, 96),), folds=0.9), sleeve=0.40, ease=0.35, hem=0.49, neck="crew"),
        bottom=Bottom(Fabric("plain", ((72, 74, 80),), folds=1.0), "shorts", hem=0.70, ease=0.6, waist=0.41),
        shoes="sneakers",
        shoe_colour=(232, 230, 226),
        socks=(240, 240, 238),
        scene_colour=(214, 222, 218),
    )
    return (
        Example("person-1", "person", "Woman in a white T-shirt and jeans", 11, style=woman),
        Example("person-2", "person", "Man in a grey jumper and chinos", 12, style=man),
        Example("person-3", "person", "Woman in a green dress", 13, style=dressed),
        Example("person-4", "person", "Man in a T-shirt and shorts", 14, style=student),
    )


def _garments() -> tuple[Example, ...]:
    hello = lettering("HELLO", (250, 248, 240))
    return (
        Example(
            "garment-1",
            "garment",
            "Striped T-shirt",
            21,
            "upper",
            cut="tshirt",
            fabric=Fabric("stripes", (_CREAM, (34, 52, 98)), 0.022, folds=0.9),
        ),
        Example(
            "garment-2",
            "garment",
            "Red T-shirt with a printed word",
            22,
            "upper",
            cut="tshirt",
            fabric=Fabric("plain", ((196, 48, 44),), folds=0.9, motif=hello, motif_width=0.125),
        ),
        Example(
            "garment-3",
            "garment",
            "Checked shirt",
            23,
            "upper",
            cut="shirt",
            fabric=Fabric("tartan", ((36, 96, 78), (20, 34, 60), (232, 224, 200)), 0.030, folds=0.8),
        ),
        Example(
            "garment-4",
            "garment",
            "Yellow jumper",
            24,
            "upper",
            cut="jumper",
            fabric=Fabric("knit", ((226, 170, 52),), folds=0.9),
        ),
        Example(
            "garment-5", "garment", "Blue jeans", 25, "lower", cut="trousers", fabric=Fabric("denim", ((56, 82, 124),))
        ),
        Example(
            "garment-6",
            "garment",
            "Gingham skirt",
            26,
            "lower",
            cut="skirt",
            fabric=Fabric("gingham", ((150, 40, 60), _CREAM), 0.016),
        ),
        Example(
            "garment-7",
            "garment",
            "Flowered dress",
            27,
            "overall",
            cut="dress",
            fabric=Fabric(
                "flowers", ((30, 42, 86), (236, 146, 160), (246, 226, 170), (90, 140, 110)), 0.026, folds=0.9
            ),
        ),
    )


def examples() -> tuple[Example, ...]:
    """Every shipped example, people first."""
    return _people() + _garments()


def write_examples(folder: Path, *, on_file: Callable[[Path], None] | None = None) -> None:
    """Render every example into `folder` as WebP, with `examples.json` beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for example in examples():
        path = folder / example.file
        Image.fromarray(example.render()).save(path, quality=90, method=6)
        if on_file is not None:
            on_file(path)
    listing = [example.entry() for example in examples()]
    (folder / "examples.json").write_text(json.dumps(listing, indent=2) + "\n", encoding="utf-8")
