"""Arithmetic on boxes: float32 (n, 4), left, top, right, bottom, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
import torch

MAX_LOG_SCALE = log(1000 / 16)  # a box grows at most this much in one step: exp must not overflow


def apply_deltas(deltas: torch.Tensor, boxes: torch.Tensor, *, weights: Sequence[float]) -> torch.Tensor:
    """Move and scale boxes as a network says.

    Args:
        deltas: (n, 4 * k): for each box k times (dx, dy, dw, dh); shifts in box sizes, logarithms of scales, each
            multiplied by its weight.
        boxes: (n, 4).

    Returns:
        (n * k, 4), the k results of a box together.
    """
    width, height = (boxes[:, 2] - boxes[:, 0])[:, None], (boxes[:, 3] - boxes[:, 1])[:, None]
    x, y = boxes[:, 0, None] + 0.5 * width, boxes[:, 1, None] + 0.5 * height
    dx, dy, dw, dh = (deltas[:, n::4] / weights[n] for n in range(4))
    x, y = dx * width + x, dy * height + y
    width, height = dw.clamp(max=MAX_LOG_SCALE).exp() * width, dh.clamp(max=MAX_LOG_SCALE).exp() * height
    sides = (x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height)
    return torch.stack(sides, -1).reshape(-1, 4)


def clip(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Boxes cut to an image of (height, width) `size`."""
    height, width = size
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), -1)


def larger_than(boxes: torch.Tensor, side: float) -> torch.Tensor:
    """bool (n,): both sides longer than `side`."""
    return (boxes[:, 2] - boxes[:, 0] > side) & (boxes[:, 3] - boxes[:, 1] > side)


def area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def overlaps(boxes: torch.Tensor) -> torch.Tensor:
    """(n, n): intersection over union of each pair."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clamp(min=0).prod(-1)
    areas = area(boxes)
    return common / (areas[:, None] + areas[None, :] - common)


def nms(boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, *, threshold: float) -> torch.Tensor:
    """Non-maximum suppression: of boxes of one group that overlap more than `threshold`, only the best stays.

    It is a chain of decisions, each waiting for those before: on a GPU a thousand round trips. So it is done on the
    CPU whatever the device, on some thousand boxes at most, which also keeps MPS to operations it has.

    Args:
        boxes: (n, 4), finite.
        scores: (n,).
        groups: int (n,): boxes of different groups do not see each other.

    Returns:
        int64 (kept,), indices into `boxes`, best first, on the device of `boxes`.
    """
    order = torch.argsort(scores.cpu(), descending=True, stable=True)
    sorted_boxes, sorted_groups = boxes.cpu()[order], groups.cpu()[order]
    keep = torch.zeros(len(order), dtype=torch.bool)
    for group in sorted_groups.unique():
        members = torch.nonzero(sorted_groups == group)[:, 0]
        keep[members] = _survivors(overlaps(sorted_boxes[members]) > threshold)
    return order[keep].to(boxes.device)


def _survivors(hides: torch.Tensor) -> torch.Tensor:
    """bool (n,): who is left when each one still standing strikes those after it that it `hides`, bool (n, n)."""
    hides_later = np.triu(hides.numpy(), 1)
    alive = np.ones(len(hides_later), bool)
    for n, row in enumerate(hides_later):
        if alive[n]:
            alive &= ~row
    return torch.from_numpy(alive)
