"""Small folders in the layout of the two photo sets, drawn here, with everything about them known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ["null", "accessories", "hair", "skin", "jeans", "dress", "shirt", "shoes"]  # lines of labels.txt
HAIR, SKIN, JEANS, DRESS, SHIRT, SHOES = (NAMES.index(n) for n in ["hair", "skin", "jeans", "dress", "shirt", "shoes"])
SIZE = (150, 220)  # W, H
# (left, top, right, bottom) by label: a figure whose shirt is one half red, one half blue.
FIGURE = {
    HAIR: (65, 20, 85, 30),
    SKIN: (65, 30, 85, 50),
    SHIRT: (50, 50, 100, 105),
    JEANS: (55, 105, 95, 180),
    SHOES: (52, 180, 98, 195),
}
COLOURS = {HAIR: (90, 60, 30), SKIN: (225, 180, 150), JEANS: (40, 60, 110), SHOES: (20, 20, 20), DRESS: (60, 150, 60)}
RED, BLUE = (200, 30, 40), (30, 50, 200)


def figure(boxes: dict[int, tuple[int, int, int, int]] = FIGURE, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A photo (uint8 (220, 150, 3)) and its raw labels (uint8 (220, 150)): boxes of one colour on a noisy grey."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(120, 150, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    for label, (left, top, right, bottom) in boxes.items():
        labels[top:bottom, left:right] = label
        middle = (left + right) // 2
        photo[top:bottom, left:middle] = COLOURS.get(label, RED)
        photo[top:bottom, middle:right] = COLOURS.get(label, BLUE)
    return photo, labels


def write_ccp(root: Path, labelled: tuple[int, ...] = (1, 2, 11, 20), bare: tuple[int, ...] = (31, 42, 50)) -> Path:
    """A Clothing Co-Parsing folder under `root`/ccp; every labelled photo shows `figure`."""
    folder = root / "ccp"
    for name in ("photos", "labels"):
        (folder / name).mkdir(parents=True)
    (folder / "labels.txt").write_text("\n".join(NAMES) + "\n")
    for number in (*labelled, *bare):
        photo, labels = figure(seed=number)
        Image.fromarray(photo).save(folder / "photos" / f"{number:04d}.jpg", quality=100, subsampling=0)
        if number in labelled:
            Image.fromarray(labels).save(folder / "labels" / f"{number:04d}.png")
    return root


def write_clothing(root: Path, colours: dict[str, str], *, kind: str = "T-Shirt") -> Path:
    """A clothing-set folder under `root`/clothing: one block of colour on a light floor for each id."""
    folder = root / "clothing"
    (folder / "images").mkdir(parents=True)
    for id, colour in colours.items():
        picture = Image.new("RGB", (90, 120), (236, 232, 226))
        picture.paste(colour, (15, 20, 75, 100))
        picture.save(folder / "images" / f"{id}.jpg", quality=95)
    rows = "".join(f"{id},{kind}\n" for id in colours)
    (folder / "images.csv").write_text(f"image,label\n{rows}missing,Pants\n")
    return root
