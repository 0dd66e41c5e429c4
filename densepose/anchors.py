"""Anchors: the boxes the region proposal network starts from, some at every feature pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> torch.Tensor:
    """float32 (len(sizes) * len(ratios), 4): boxes about (0, 0) of area size², height = ratio * width."""
    boxes = []
    for size in sizes:
        for ratio in ratios:
            width = (size**2 / ratio) ** 0.5
            height = ratio * width
            boxes.append((-width / 2, -height / 2, width / 2, height / 2))
    return torch.tensor(boxes, dtype=torch.float32)


def grid_anchors(cell: torch.Tensor, size: tuple[int, int], *, stride: int, offset: float) -> torch.Tensor:
    """float32 (h * w * len(cell), 4): `cell` at every pixel of an h x w map; rows first, the cell's boxes together.

    Args:
        cell: (A, 4), as `cell_anchors` makes it; its device is the result's.
        stride: image pixels between feature pixels.
        offset: where the first centre lies, in strides.
    """
    # arange with whole numbers, scaled after: MPS has no float64, and float32 steps would add up rounding
    y, x = ((torch.arange(n, device=cell.device, dtype=torch.float32) + offset) * stride for n in size)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    shifts = torch.stack((columns, rows, columns, rows), -1).reshape(-1, 1, 4)
    return (shifts + cell).reshape(-1, 4)
