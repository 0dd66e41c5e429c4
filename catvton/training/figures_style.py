"""Who a rendered figure is and what they wear: one frozen record, drawn at random or written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from .figures_fabric import Colour, Fabric, random_colour, random_fabric, random_motif
from .figures_maths import Array

# From Fitzpatrick I to VI, two shades a type but the first: drawn evenly, so that no type is rare in training.
SKINS: tuple[Colour, ...] = (
    (246, 218, 202), (240, 204, 180), (228, 184, 154), (214, 166, 130), (196, 146, 108), (172, 122, 86),
    (148, 100, 70), (126, 84, 58), (106, 70, 50), (88, 59, 44), (74, 50, 40),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (24, 20, 20), (34, 26, 22), (52, 36, 26), (82, 54, 34), (116, 76, 44), (158, 116, 68), (198, 162, 106),
    (222, 198, 152), (142, 62, 30), (150, 148, 146), (206, 204, 200), (176, 70, 110), (60, 80, 130),
)  # fmt: skip
HAIR_ODDS = (0.2, 0.18, 0.16, 0.12, 0.08, 0.06, 0.05, 0.04, 0.04, 0.03, 0.02, 0.01, 0.01)

ARMS = ("down", "bent", "hip", "pocket", "crossed", "raised", "head", "front", "carry")
HAIRCUTS = ("long", "bob", "short", "buzz", "bald", "tied", "bun", "afro", "curly", "fringe")
NECKS = ("crew", "v", "scoop", "collar", "turtle", "hood", "straps")
SHOES = ("sneakers", "boots", "heels", "flats", "sandals", "brogues")
BAGS = ("none", "shoulder", "tote", "crossbody", "backpack")
_SHOE_ODDS = {True: (0.3, 0.22, 0.18, 0.1, 0.08, 0.12), False: (0.45, 0.2, 0.0, 0.05, 0.05, 0.25)}  # of a woman
SCENES = ("studio", "gradient", "room", "street", "park", "noise")


@dataclass(frozen=True)
class Top:
    """A garment over the torso. Lengths in figure units; `sleeve` is the covered part of the arm, 0..1."""

    fabric: Fabric = field(default_factory=Fabric)
    sleeve: float = 0.3
    ease: float = 0.3  # 0 tight .. 1.5 very loose
    hem: float = 0.48
    neck: str = "crew"
    tucked: bool = False
    buttons: bool = False


@dataclass(frozen=True)
class Bottom:
    """Trousers, shorts or a skirt; `hem` is the y it ends at, `flare` widens it there."""

    fabric: Fabric = field(default_factory=Fabric)
    kind: str = "trousers"
    hem: float = 0.94
    ease: float = 0.3
    flare: float = 0.0
    waist: float = 0.405


@dataclass(frozen=True)
class Style:
    """Everything that can be chosen about a figure. Unset colours and fabrics are those of a plain grey outfit."""

    female: float = 0.5  # proportions between the two
    build: float = 1.0  # 0.88 slim .. 1.5 large
    skin: Colour = SKINS[4]
    hair: str = "short"
    hair_colour: Colour = HAIRS[2]
    beard: float = 0.0
    iris: Colour = (92, 62, 40)
    makeup: float = 0.0
    arms: tuple[str, str] = ("down", "down")  # of the picture's left and right side
    stance: str = "stand"  # stand, apart, weight, walk
    sway: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    smile: float = 0.3
    top: Top | None = field(default_factory=Top)
    coat: Top | None = None
    coat_open: bool = True
    bottom: Bottom | None = field(default_factory=Bottom)
    dress: Top | None = None
    dress_flare: float = 0.3
    tights: Colour | None = None
    socks: Colour | None = None
    shoes: str = "sneakers"
    shoe_colour: Colour = (235, 235, 232)
    hat: str = "none"  # none, beanie, brim, cap
    hat_colour: Colour = (40, 40, 46)
    glasses: str = "none"  # none, clear, dark
    bag: str = "none"
    bag_colour: Colour = (96, 60, 36)
    bag_side: int = 1
    scarf: Fabric | None = None
    belt: Colour | None = None
    necklace: Colour | None = None
    watch: Colour | None = None
    scene: str = "studio"
    scene_colour: Colour | None = None  # of a studio
    crop: str = "full"  # full, knees, half, legs, torso

    @property
    def masculine(self) -> float:
        return 1.0 - self.female


def random_style(rng: np.random.Generator) -> Style:
    """A person and an outfit, drawn so that every class, cut and skin tone is common."""
    female = float(np.clip(rng.choice([0.08, 0.92], p=[0.4, 0.6]) + rng.normal(0, 0.06), 0, 1))
    woman = female > 0.5
    dressed = woman and rng.random() < 0.36
    top = _random_top(rng, woman)
    coat = _random_coat(rng) if rng.random() < 0.3 else None
    bottom = None if dressed else _random_bottom(rng, woman)
    bare_legs = dressed or (bottom is not None and bottom.hem < 0.8)
    colour = random_colour(rng, accent=0.3)
    return Style(
        female=female,
        build=float(np.clip(np.exp(rng.normal(0.05, 0.13)), 0.86, 1.55)),
        skin=_jitter(rng, SKINS[rng.integers(len(SKINS))], 5),
        hair=_random_haircut(rng, woman),
        hair_colour=_jitter(rng, HAIRS[rng.choice(len(HAIRS), p=HAIR_ODDS)], 6),
        beard=float(rng.uniform(0.3, 1)) if not woman and rng.random() < 0.4 else 0.0,
        iris=((92, 62, 40), (60, 42, 30), (86, 110, 130), (88, 100, 64))[rng.integers(4)],
        makeup=float(rng.uniform(0, 1)) if woman else 0.0,
        arms=_random_arms(rng),
        stance=str(rng.choice(["stand", "apart", "weight", "walk"], p=[0.3, 0.2, 0.25, 0.25])),
        sway=float(rng.normal(0, 0.008)),
        yaw=float(np.clip(rng.normal(0, 0.3), -0.7, 0.7)),
        roll=float(rng.normal(0, 0.05)),
        smile=float(rng.uniform(-0.1, 0.8)),
        top=None if dressed else top,
        coat=coat,
        coat_open=bool(rng.random() < 0.7),
        bottom=bottom,
        dress=_random_dress(rng) if dressed else None,
        dress_flare=float(rng.choice([0.0, 0.15, 0.4, 0.8])),
        tights=_jitter(rng, (32, 30, 34), 8) if bare_legs and woman and rng.random() < 0.25 else None,
        socks=random_colour(rng) if rng.random() < 0.3 else None,
        shoes=str(rng.choice(SHOES, p=_SHOE_ODDS[woman])),
        shoe_colour=colour if rng.random() < 0.7 else random_colour(rng, accent=0.8),
        hat=str(rng.choice(["none", "beanie", "brim", "cap"], p=[0.84, 0.06, 0.05, 0.05])),
        hat_colour=random_colour(rng, accent=0.4),
        glasses=str(rng.choice(["none", "clear", "dark"], p=[0.74, 0.1, 0.16])),
        bag=str(rng.choice(BAGS, p=[0.48, 0.16, 0.14, 0.14, 0.08])),
        bag_colour=random_colour(rng, accent=0.45),
        bag_side=int(rng.choice([-1, 1])),
        scarf=random_fabric(rng, part="coat") if rng.random() < 0.08 else None,
        belt=random_colour(rng, accent=0.2) if rng.random() < 0.25 else None,
        necklace=((212, 176, 90), (200, 200, 204))[rng.integers(2)] if rng.random() < 0.15 else None,
        watch=random_colour(rng, accent=0.3) if rng.random() < 0.25 else None,
        scene=str(rng.choice(SCENES, p=[0.24, 0.18, 0.14, 0.22, 0.14, 0.08])),
        crop=str(rng.choice(["full", "knees", "half", "legs", "torso"], p=[0.56, 0.14, 0.16, 0.06, 0.08])),
    )  # fmt: skip


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    r, g, b = np.clip(np.asarray(colour) * rng.uniform(0.95, 1.04) + rng.normal(0, amount, 3), 6, 252)
    return int(r), int(g), int(b)


def _random_haircut(rng: np.random.Generator, woman: bool) -> str:
    odds = (0.42, 0.12, 0.05, 0.02, 0.01, 0.11, 0.08, 0.06, 0.06, 0.07) if woman else \
        (0.04, 0.03, 0.48, 0.16, 0.1, 0.02, 0.02, 0.06, 0.06, 0.03)  # fmt: skip
    return HAIRCUTS[rng.choice(len(HAIRCUTS), p=odds)]


def _random_arms(rng: np.random.Generator) -> tuple[str, str]:
    if rng.random() < 0.09:
        return "crossed", "crossed"
    odds = np.asarray((0.36, 0.18, 0.14, 0.1, 0.0, 0.04, 0.05, 0.08, 0.05))
    first = ARMS[rng.choice(len(ARMS), p=odds / odds.sum())]
    return first, first if rng.random() < 0.4 else ARMS[rng.choice(len(ARMS), p=odds / odds.sum())]


def _random_top(rng: np.random.Generator, woman: bool) -> Top:
    sleeve = float(rng.choice([0.0, 0.17, 0.3, 0.36, 0.62, 0.96, 0.97], p=[0.09, 0.06, 0.24, 0.1, 0.07, 0.22, 0.22]))
    if not woman:
        sleeve = max(sleeve, 0.26)
    necks = ("crew", "v", "scoop", "collar", "turtle", "hood") if sleeve > 0.1 else ("scoop", "straps", "crew")
    odds = (0.4, 0.14, 0.08, 0.22, 0.06, 0.1) if sleeve > 0.1 else (0.3, 0.5, 0.2)
    neck = str(rng.choice(necks, p=odds))
    motif = random_motif(rng) if neck not in ("collar",) and rng.random() < 0.22 else None
    fabric = _with_motif(random_fabric(rng, part="upper"), motif)
    return Top(
        fabric, sleeve, ease=float(rng.choice([0.05, 0.25, 0.5, 1.0]) * rng.uniform(0.7, 1.4)),
        hem=float(rng.choice([0.41, 0.46, 0.5, 0.54, 0.6], p=[0.1, 0.3, 0.35, 0.2, 0.05]) + rng.normal(0, 0.01)),
        neck=neck, tucked=bool(rng.random() < 0.3), buttons=neck == "collar",
    )  # fmt: skip


def _random_coat(rng: np.random.Generator) -> Top:
    return Top(
        random_fabric(rng, part="coat"), sleeve=float(rng.choice([0.0, 0.7, 0.97], p=[0.08, 0.12, 0.8])),
        ease=float(rng.uniform(0.5, 1.3)), hem=float(rng.choice([0.46, 0.53, 0.62, 0.76], p=[0.3, 0.35, 0.2, 0.15])),
        neck=str(rng.choice(["collar", "hood", "v"], p=[0.6, 0.2, 0.2])), buttons=True,
    )  # fmt: skip


def _random_dress(rng: np.random.Generator) -> Top:
    sleeve = float(rng.choice([0.0, 0.2, 0.32, 0.6, 0.95], p=[0.38, 0.14, 0.2, 0.1, 0.18]))
    neck = (
        str(rng.choice(["scoop", "v", "crew", "straps"]))
        if sleeve == 0
        else str(rng.choice(["scoop", "v", "crew", "collar"]))
    )
    return Top(
        random_fabric(rng, part="dress"), sleeve, ease=float(rng.uniform(0.05, 0.6)),
        hem=float(rng.choice([0.6, 0.68, 0.75, 0.84, 0.94], p=[0.15, 0.3, 0.3, 0.12, 0.13]) + rng.normal(0, 0.015)),
        neck=neck,
    )  # fmt: skip


def _random_bottom(rng: np.random.Generator, woman: bool) -> Bottom:
    odds = (0.56, 0.14, 0.3) if woman else (0.84, 0.16, 0.0)
    kind = str(rng.choice(["trousers", "shorts", "skirt"], p=odds))
    ends = {"trousers": (0.95, 0.955, 0.91, 0.86), "shorts": (0.58, 0.62, 0.68, 0.7), "skirt": (0.6, 0.68, 0.75, 0.92)}
    flare = float(rng.choice([-0.1, 0.15, 0.5]) if kind == "skirt" else rng.choice([-0.3, 0.0, 0.1, 0.7]))
    return Bottom(
        random_fabric(rng, part="lower"), kind, hem=float(rng.choice(ends[kind]) + rng.normal(0, 0.008)),
        ease=float(rng.choice([0.05, 0.3, 0.8]) * rng.uniform(0.7, 1.3)), flare=flare,
        waist=float(rng.uniform(0.385, 0.43)),
    )  # fmt: skip


def _with_motif(fabric: Fabric, motif: Array | None) -> Fabric:
    return fabric if motif is None else replace(fabric, motif=motif)
