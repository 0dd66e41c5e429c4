"""The second look: is a proposal a person, and where exactly are its edges?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from densepose.boxes import apply_deltas, clip, nms
from densepose.config import Config


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best first.

    Attributes:
        boxes: float32 (n, 4): left, top, right, bottom in network input pixels.
        scores: float32 (n,), probabilities.
    """

    boxes: torch.Tensor
    scores: torch.Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def best(self, count: int) -> Detections:
        return Detections(self.boxes[:count], self.scores[:count])

    def scaled(self, before: tuple[int, int], after: tuple[int, int]) -> Detections:
        """The same boxes when the image of (height, width) `before` is scaled to `after`; empty ones are left out."""
        (height, width), (new_height, new_width) = before, after
        factors = (new_width / width, new_height / height) * 2
        boxes = clip(torch.stack([self.boxes[:, n] * factors[n] for n in range(4)], 1), after)
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Detections(boxes[solid], self.scores[solid])


class BoxHead(nn.Module):
    """Pooled features (n, C, size, size) -> (n, fc_dim)."""

    def __init__(self, config: Config, *, width: int) -> None:
        super().__init__()
        settings = config.model.roi_box_head
        self.count = settings.num_fc
        self.outer = width * settings.pooler_resolution**2
        for n in range(1, self.count + 1):
            self.add_module(f"fc{n}", nn.Linear(self.outer, settings.fc_dim))
            self.outer = settings.fc_dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        for n in range(1, self.count + 1):
            x = F.relu_(getattr(self, f"fc{n}")(x))
        return x


class BoxPredictor(nn.Module):
    """(n, fc_dim) -> class logits (n, classes + 1), the last one "nothing", and deltas (n, 4 or 4 * classes)."""

    def __init__(self, config: Config, *, width: int) -> None:
        super().__init__()
        classes = config.model.roi_heads.num_classes
        boxes = 1 if config.model.roi_box_head.cls_agnostic_bbox_reg else classes
        self.cls_score = nn.Linear(width, classes + 1)
        self.bbox_pred = nn.Linear(width, 4 * boxes)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cls_score(x), self.bbox_pred(x)


def detections(
    logits: torch.Tensor, deltas: torch.Tensor, proposals: torch.Tensor, *, config: Config, size: tuple[int, int],
    min_score: float,
) -> Detections:  # fmt: skip
    """What the box predictor's output for one image means.

    Args:
        logits: (n, classes + 1).
        deltas: (n, 4 or 4 * classes).
        proposals: (n, 4), the boxes that were looked at.
        size: (height, width) of the network's input before padding.
        min_score: probability above which something counts as found.
    """
    heads = config.model.roi_heads
    scores = logits.softmax(-1)[:, :-1]
    boxes = apply_deltas(deltas, proposals, weights=config.model.roi_box_head.bbox_reg_weights)
    finite = torch.isfinite(boxes).all(1).view(len(scores), -1).all(1) & torch.isfinite(scores).all(1)
    boxes = clip(boxes, size).view(len(scores), -1, 4).expand(-1, heads.num_classes, -1)
    row, kind = torch.nonzero((scores > min_score) & finite[:, None], as_tuple=True)
    boxes, scores = boxes[row, kind], scores[row, kind]
    keep = nms(boxes, scores, kind, threshold=heads.nms_thresh_test)[: config.test.detections_per_image]
    return Detections(boxes[keep], scores[keep])


def pool_levels(config: Config, strides: Mapping[str, int]) -> dict[str, int]:
    """The levels the heads read, finest first."""
    return {level: strides[level] for level in config.model.roi_heads.in_features}
