"""From a chart network's raw output for one person to a map of part labels in the photo."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def whole_box(box: torch.Tensor) -> tuple[int, int, int, int]:
    """A box (4,) as left, top, width, height in whole pixels: cut off, not rounded, and at least one pixel large."""
    left, top, right, bottom = box
    return int(left), int(top), max(int(right - left), 1), max(int(bottom - top), 1)


def part_labels(coarse: torch.Tensor, fine: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """The part each pixel of a box shows.

    Args:
        coarse: float32 (C, S, S) on the CPU, logits of "nothing" and of body (C = 2) or body parts.
        fine: float32 (25, S, S), logits of "nothing" and of 24 parts.
        size: height and width of the box in pixels.

    Returns:
        uint8 (height, width): the likeliest of the fine classes where the coarse map sees a body, else 0.
    """
    body, part = (
        F.interpolate(logits[None], size, mode="bilinear", align_corners=False)[0].argmax(0)
        for logits in (coarse, fine)
    )
    return (part * (body > 0)).to(torch.uint8).numpy()


def label_map(coarse: torch.Tensor, fine: torch.Tensor, box: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """uint8 (height, width): the labels of one person at their `box` (4,) in an image of `size`, 0 elsewhere."""
    left, top, width, height = whole_box(box)
    return place(part_labels(coarse, fine, (height, width)), (left, top), size)


def place(labels: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """uint8 (height, width) with `labels` at (left, top) `corner`, 0 elsewhere; what lies outside is cut off."""
    canvas = np.zeros(size, np.uint8)
    left, top = corner
    target = canvas[top : top + labels.shape[0], left : left + labels.shape[1]]
    target[:] = labels[: target.shape[0], : target.shape[1]]
    return canvas
