"""Unpaired figures: 40 people in 20 garments they do not wear. Is it the right garment that one sees on them?

There is no right picture to compare with, so the colours decide: of the 20 garments, the one whose Lab histogram is
closest to what is seen on the body must be the one that was asked for. The lists are committed (numbers and ids only).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from catvton.ccp import CCP, CLASSES, Clothing, cut_window, window_box
from catvton.evaluation.metrics import histogram_distance, lab_histogram
from catvton.evaluation.protocol import FIGURE_SIZE, REACH, Size, hidden_window
from catvton.evaluation.ways import Generate

LISTS = Path(__file__).parent / "data" / "unpaired.json"
WORN = {"upper": ("upper",), "lower": ("lower",), "overall": ("upper", "lower", "dress")}
_TORSO = 1 / 8  # of the window's width, to each side of the body's middle: what short and long sleeves both cover
_HEM = 1 / 2  # of the lower garment's height: what skirts and trousers both cover


@dataclass(frozen=True)
class Wish:
    """A garment of the clothing set. `cloth` is a box (shares of the picture) that shows nothing but the garment."""

    id: str
    part: str
    look: str
    cloth: tuple[float, float, float, float]


@dataclass(frozen=True)
class Lists:
    """Who is dressed in what: photo numbers, the ten of them the printed words are tried on, and the garments."""

    people: tuple[int, ...]
    word_people: tuple[int, ...]
    garments: tuple[Wish, ...]


@dataclass(frozen=True)
class Dummy:
    """A person made ready for one part: noise under the mask, and where a garment of that part shows in any case."""

    number: int
    part: str
    person: Image.Image  # RGB
    mask: np.ndarray  # uint8 (H, W) {0, 255}
    core: np.ndarray  # bool (256, 192)


@dataclass
class Unpaired:
    """Which garment each result looked like most: (photo number, asked for, seen), the garments as indices."""

    seen: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def right(self) -> int:
        return sum(asked == got for _, asked, got in self.seen)

    @property
    def share(self) -> float:
        """The share of results that show the right garment, 0..1."""
        return self.right / len(self.seen) if self.seen else float("nan")

    def table(self, garments: Sequence[Wish]) -> dict[str, dict[str, int]]:
        """{look asked for: {look seen: how often}}, ready for JSON."""
        rows: dict[str, dict[str, int]] = {}
        for _, asked, got in self.seen:
            row = rows.setdefault(garments[asked].look, {})
            row[garments[got].look] = row.get(garments[got].look, 0) + 1
        return rows


def read_lists(path: Path = LISTS) -> Lists:
    """The committed lists."""
    data = json.loads(path.read_text(encoding="utf-8"))
    garments = tuple(Wish(g["id"], g["part"], g["look"], tuple(g["cloth"])) for g in data["garments"])
    return Lists(tuple(data["people"]), tuple(data["word_people"]), garments)


def unpaired(
    ccp: CCP,
    clothing: Clothing,
    generate: Generate,
    *,
    people: Sequence[int],
    garments: Sequence[Wish],
    size: Size,
    reach: float = REACH,
    on_result: Callable[[Dummy, int, Image.Image], None] | None = None,
) -> Unpaired:
    """Dress every person in every garment.

    Args:
        size: (W, H) of the person pictures given to `generate`.
        on_result: shown each dummy, the garment's index and the result.
    """
    pictures = [clothing.image(wish.id) for wish in garments]
    known = [lab_histogram(cloth_pixels(p, wish.cloth)) for p, wish in zip(pictures, garments, strict=True)]
    found = Unpaired()
    for number in people:
        dummies = {part: dummy(ccp, number, part, size, reach=reach) for part in {wish.part for wish in garments}}
        for index, wish in enumerate(garments):
            model = dummies[wish.part]
            result = generate(model.person, pictures[index], model.mask, wish.part)
            small = np.asarray(result.convert("RGB").resize(FIGURE_SIZE, Image.Resampling.LANCZOS))
            found.seen.append((number, index, closest(small[model.core], known)))
            if on_result is not None:
                on_result(model, index, result)
    return found


def dummy(ccp: CCP, number: int, part: str, size: Size, *, reach: float = REACH) -> Dummy:
    """A person made ready for `part`, in the protocol's window and with the protocol's mask, at `size` (W, H)."""
    photo, labels = ccp.photo(number), ccp.labels(number)
    rng = np.random.default_rng(zlib.crc32(f"{number:04d}-{part}".encode()))
    worn = {CLASSES.index(name) for name in WORN[part]}
    person, mask = hidden_window(photo, labels, worn, size, rng, reach=reach)
    return Dummy(number, part, person, mask, core_of(cut_window(labels, window_box(labels), FIGURE_SIZE), part))


def core_of(labels: np.ndarray, part: str) -> np.ndarray:
    """bool (H, W): where a garment of the part shows whatever its sleeves and hem are, of a window's labels (H, W).

    Of the upper garment the torso, of the lower one its upper half, of a dress both.
    """
    core = np.zeros(labels.shape, bool)
    if part in ("upper", "overall"):
        core |= _torso(np.isin(labels, [CLASSES.index("upper"), CLASSES.index("dress")]))
    if part in ("lower", "overall"):
        core |= _upper_half(labels == CLASSES.index("lower"))
    return core


def cloth_pixels(picture: Image.Image, cloth: tuple[float, float, float, float]) -> np.ndarray:
    """uint8 (N, 3): the pixels of a box given in shares of the picture, at most 96 a side."""
    left, top, right, bottom = cloth
    box = (left * picture.width, top * picture.height, right * picture.width, bottom * picture.height)
    cut = picture.convert("RGB").crop(tuple(round(edge) for edge in box))
    cut.thumbnail((96, 96))
    return np.asarray(cut).reshape(-1, 3)


def closest(pixels: np.ndarray, known: Sequence[np.ndarray]) -> int:
    """The index of the known histogram that is closest to that of the pixels (uint8 (N, 3))."""
    mine = lab_histogram(pixels)
    return int(np.argmin([histogram_distance(mine, other) for other in known]))


def _torso(worn: np.ndarray) -> np.ndarray:
    if not worn.any():
        return worn
    columns = np.arange(worn.shape[1])
    middle = np.median(np.nonzero(worn)[1])
    return worn & (np.abs(columns - middle) <= _TORSO * worn.shape[1])


def _upper_half(worn: np.ndarray) -> np.ndarray:
    rows = np.flatnonzero(worn.any(1))
    if rows.size == 0:
        return worn
    below = np.arange(worn.shape[0]) > rows[0] + _HEM * (rows[-1] - rows[0])
    return worn & ~below[:, None]
