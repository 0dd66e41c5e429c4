"""Reading the two public photo sets the built-in model is trained and validated on.

`CCP` reads Clothing Co-Parsing (street photos with pixel labels), `Clothing` the phone photos of garments. Both take
the folder as an argument; nothing here downloads, and nothing is read before it is asked for. `window_box` and
`cut_window` are the 3:4 window in which parser and try-on are measured, so that every figure means the same thing.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from catvton.errors import InputError

Box = tuple[int, int, int, int]
Split = Literal["train", "validation", "unlabelled"]

# CCP's label names by our class, in the order of `model.labels.Label`.
_NAMES = {
    "background": "null",
    "hair": "hair",
    "skin": "skin",
    "upper": "blazer blouse bodysuit bra cape cardigan coat hoodie jacket jumper shirt sweater sweatshirt t-shirt top "
    "vest suit tie intimate swimwear",
    "lower": "jeans leggings panties pants shorts skirt tights stockings",
    "dress": "dress romper",
    "shoes": "boots clogs flats heels loafers pumps sandals shoes sneakers wedges socks",
    "other": "accessories bag belt bracelet earrings glasses gloves hat necklace purse ring scarf sunglasses wallet "
    "watch",
}
GROUPS: dict[str, tuple[str, ...]] = {name: tuple(words.split()) for name, words in _NAMES.items()}
CLASSES: tuple[str, ...] = tuple(GROUPS)

MARGIN = 1.12  # the window is this much higher (or wider) than the person's box
ASPECT = 3 / 4  # width over height


class CCP:
    """Clothing Co-Parsing under `root`: a folder with photos/, labels/, labels.txt, or the one above it that has ccp/.

    Photos are named by a number. Those ending in 1 are the validation split, those ending in 0 are kept aside and never
    listed, the rest is for training; labels exist for about half of them.
    """

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        self.root = root / "ccp" if (root / "ccp").is_dir() else root
        if not (self.root / "photos").is_dir() or not (self.root / "labels.txt").is_file():
            raise InputError(
                f"{root} is not a Clothing Co-Parsing folder: it or its ccp/ needs photos/, labels/ and labels.txt.",
                code="data.ccp",
            )

    def numbers(self, split: Split) -> list[int]:
        """Photo numbers, ascending: labelled to train on, labelled and ending in 1, or unlabelled to train on."""
        if split not in ("train", "validation", "unlabelled"):
            raise ValueError(f"split {split!r}: use train, validation or unlabelled")
        labelled = split != "unlabelled"
        endings = "1" if split == "validation" else "23456789"
        return [n for n in self._photos if (n in self._labelled) == labelled and str(n)[-1] in endings]

    def photo(self, number: int) -> Image.Image:
        """The photo as RGB, upright, at its own size (about 550x830)."""
        with Image.open(self._path("photos", number, "jpg")) as image:
            return ImageOps.exif_transpose(image).convert("RGB")

    def labels(self, number: int) -> np.ndarray:
        """The photo's labels, uint8 (H, W) in the photo's size, values 0..7 in the order of `CLASSES`."""
        with Image.open(self._path("labels", number, "png")) as image:
            raw = np.asarray(image.convert("L"))
        return self._table[raw]

    @cached_property
    def _photos(self) -> list[int]:
        return sorted(int(p.stem) for p in (self.root / "photos").glob("*.jpg"))

    @cached_property
    def _labelled(self) -> frozenset[int]:
        return frozenset(int(p.stem) for p in (self.root / "labels").glob("*.png"))

    @cached_property
    def _table(self) -> np.ndarray:
        """uint8 (256,): our class of each of CCP's label values (the line number in labels.txt)."""
        names = (self.root / "labels.txt").read_text(encoding="utf-8").split()
        index = {name: i for i, group in enumerate(GROUPS.values()) for name in group}
        unknown = sorted(set(names) - set(index))
        if unknown:
            raise InputError(f"labels.txt has names without a class: {', '.join(unknown)}.", code="data.ccp")
        table = np.zeros(256, np.uint8)
        table[: len(names)] = [index[name] for name in names]
        return table

    def _path(self, folder: str, number: int, suffix: str) -> Path:
        return self.root / folder / f"{number:04d}.{suffix}"


@dataclass(frozen=True)
class Garment:
    """One picture of the clothing set: its id and the class it was given (T-Shirt, Pants, ...)."""

    id: str
    kind: str


class Clothing:
    """The clothing set under `root`: a folder with images/ and images.csv, or the one above it that has clothing/."""

    def __init__(self, root: str | Path) -> None:
        root = Path(root)
        self.root = root / "clothing" if (root / "clothing").is_dir() else root
        if not (self.root / "images").is_dir() or not (self.root / "images.csv").is_file():
            raise InputError(
                f"{root} is not a clothing-set folder: it or its clothing/ needs images/ and images.csv.",
                code="data.clothing",
            )

    @cached_property
    def garments(self) -> tuple[Garment, ...]:
        """Every garment whose picture is there, in the list's order."""
        with open(self.root / "images.csv", encoding="utf-8", newline="") as file:
            rows = [Garment(row["image"], row["label"]) for row in csv.DictReader(file)]
        return tuple(row for row in rows if self._path(row.id).is_file())

    def ids(self, *kinds: str) -> list[str]:
        """Ids of all garments, or of those of the given classes."""
        return [g.id for g in self.garments if not kinds or g.kind in kinds]

    def image(self, id: str) -> Image.Image:
        """The picture as RGB, upright, at its own size (400 px on the short side)."""
        with Image.open(self._path(id)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")

    def _path(self, id: str) -> Path:
        return self.root / "images" / f"{id}.jpg"


def window_box(labels: np.ndarray) -> Box:
    """The 3:4 window around the labelled person: (left, top, right, bottom) in pixels of `labels` (H, W).

    Centred on the box of everything labelled; 1.12 x the box's height, or as high as 1.12 x the box's width asks for.
    It may reach outside the photo.
    """
    rows, columns = np.flatnonzero((labels > 0).any(1)), np.flatnonzero((labels > 0).any(0))
    if rows.size == 0:
        raise ValueError("nothing is labelled")
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    width = MARGIN * max((bottom - top) * ASPECT, right - left)
    wide, high = round(width), round(width / ASPECT)
    x, y = round((left + right - wide) / 2), round((top + bottom - high) / 2)
    return x, y, x + wide, y + high


def cut_window(image: Image.Image | np.ndarray, box: Box, size: tuple[int, int]) -> Image.Image | np.ndarray:
    """What `box` shows, edge-padded where it leaves the picture, at `size` (W, H).

    A picture is resampled with antialiasing and comes back as a PIL image; a uint8 (H, W) map is resampled by nearest
    neighbour and comes back as a uint8 array.
    """
    is_map = isinstance(image, np.ndarray)
    pixels = pad_crop(np.asarray(image), box)
    cut = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST if is_map else Image.Resampling.LANCZOS)
    return np.asarray(cut).copy() if is_map else cut


def pad_crop(pixels: np.ndarray, box: Box) -> np.ndarray:
    """`pixels` (H, W) or (H, W, C) inside `box`, the nearest edge pixel where the box lies outside."""
    left, top, right, bottom = box
    rows = np.clip(np.arange(top, bottom), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(left, right), 0, pixels.shape[1] - 1)
    return pixels[rows[:, None], columns[None, :]]
