"""Sample grids of the trainer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def sheet(rows: Sequence[Sequence[np.ndarray]], *, columns: int = 2, shrink: int = 1) -> Image.Image:
    """Cases of equally sized uint8 (H, W, 3) pictures, `columns` of them side by side, white where one is missing."""
    if not rows:
        return Image.new("RGB", (8, 8), "white")
    cases = [np.hstack(list(row)) for row in rows]
    cases += [np.full_like(cases[0], 255)] * (-len(cases) % columns)
    picture = Image.fromarray(np.vstack([np.hstack(cases[i : i + columns]) for i in range(0, len(cases), columns)]))
    return picture.resize((picture.width // shrink, picture.height // shrink), Image.Resampling.LANCZOS)
