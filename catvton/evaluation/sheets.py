"""Contact sheets: pictures in rows and columns, to be looked at. A figure never replaces a look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageOps

Size = tuple[int, int]

_HEADING = 16  # pixels
# One colour for each of the eight classes.
_COLOURS = np.array(
    [
        (245, 245, 245),  # background
        (94, 60, 30),  # hair
        (247, 200, 165),  # skin
        (214, 51, 54),  # upper
        (44, 98, 200),  # lower
        (150, 70, 180),  # dress
        (40, 40, 40),  # shoes
        (80, 170, 80),  # other
    ],
    np.uint8,
)


def sheet(rows: Sequence[Sequence[Image.Image]], *, cell: Size = (144, 192), heads: Sequence[str] = ()) -> Image.Image:
    """Rows of pictures (RGB) on white, each fitted into a cell (W, H), under one line of headings."""
    if not rows:
        raise ValueError("no rows to put on a sheet")
    top = _HEADING if heads else 0
    columns = max(len(row) for row in rows)
    page = Image.new("RGB", (columns * cell[0], top + len(rows) * cell[1]), "white")
    draw = ImageDraw.Draw(page)
    for x, head in enumerate(heads):
        draw.text((x * cell[0] + 2, 2), head, fill="black")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            page.paste(ImageOps.pad(picture, cell, color="white"), (x * cell[0], top + y * cell[1]))
    return page


def painted(labels: np.ndarray) -> Image.Image:
    """A label map (uint8 (H, W), 0..7) in colours."""
    return Image.fromarray(_COLOURS[labels])
