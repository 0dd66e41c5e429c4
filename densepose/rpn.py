"""The region proposal network: where might something be? Up to a thousand boxes an image, the likeliest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from densepose.anchors import cell_anchors, grid_anchors
from densepose.boxes import apply_deltas, clip, larger_than, nms
from densepose.config import Config
from densepose.config_nodes import AnchorGenerator


@dataclass(frozen=True)
class Proposals:
    """What may be worth a look in one image: `boxes` float32 (n, 4) in network input pixels, `logits` float32 (n,)."""

    boxes: torch.Tensor
    logits: torch.Tensor


class RpnHead(nn.Module):
    """The same three convolutions on every level: (N, C, h, w) -> logits (N, A, h, w), deltas (N, 4A, h, w)."""

    def __init__(self, width: int, *, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.objectness_logits = nn.Conv2d(width, anchors, 1)
        self.anchor_deltas = nn.Conv2d(width, 4 * anchors, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = F.relu_(self.conv(x))
        return self.objectness_logits(hidden), self.anchor_deltas(hidden)


class Rpn(nn.Module):
    """Features -> `Proposals` of each image."""

    def __init__(self, config: Config, *, width: int, strides: Mapping[str, int]) -> None:
        super().__init__()
        self.settings = config.model.rpn
        self.min_size = config.model.proposal_generator.min_size
        self.offset = config.model.anchor_generator.offset
        self.strides = {level: strides[level] for level in self.settings.in_features}
        self.cells = dict(zip(self.strides, _cells(config.model.anchor_generator, len(self.strides)), strict=True))
        self.rpn_head = RpnHead(width, anchors=max(len(sizes) * len(ratios) for sizes, ratios in self.cells.values()))

    def forward(self, features: Mapping[str, torch.Tensor], size: tuple[int, int]) -> list[Proposals]:
        """Maps (N, C, h, w) of images whose (height, width) was `size` before padding -> proposals of the N images."""
        levels = [self._candidates(features[level], level) for level in self.strides]
        images = len(next(iter(features.values())))
        return [self._choose([(boxes[n], logits[n]) for boxes, logits in levels], size) for n in range(images)]

    def _candidates(self, feature: torch.Tensor, level: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The level's likeliest boxes (N, k, 4) and their logits (N, k), best first."""
        logits, deltas = self.rpn_head(feature)
        logits = logits.permute(0, 2, 3, 1).flatten(1)
        deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        cell = cell_anchors(*self.cells[level]).to(feature.device)
        anchors = grid_anchors(cell, feature.shape[-2:], stride=self.strides[level], offset=self.offset)
        # a sort, not topk: MPS has topk for small k only
        logits, order = logits.sort(dim=1, descending=True, stable=True)
        best = order[:, : self.settings.pre_nms_topk_test]
        boxes = [
            apply_deltas(moves[few], anchors[few], weights=self.settings.bbox_reg_weights)
            for moves, few in zip(deltas, best, strict=True)
        ]
        return torch.stack(boxes), logits[:, : best.shape[1]]

    def _choose(self, levels: Sequence[tuple[torch.Tensor, torch.Tensor]], size: tuple[int, int]) -> Proposals:
        """The best of all levels; boxes of one level that show the same are told apart by score."""
        boxes = torch.cat([boxes for boxes, _ in levels])
        logits = torch.cat([logits for _, logits in levels])
        groups = torch.cat([torch.full((len(boxes),), n) for n, (boxes, _) in enumerate(levels)]).to(boxes.device)
        finite = torch.isfinite(boxes).all(1) & torch.isfinite(logits)
        boxes = clip(boxes, size)
        usable = finite & larger_than(boxes, self.min_size)
        boxes, logits, groups = boxes[usable], logits[usable], groups[usable]
        keep = nms(boxes, logits, groups, threshold=self.settings.nms_thresh)[: self.settings.post_nms_topk_test]
        return Proposals(boxes[keep], logits[keep])


def _cells(config: AnchorGenerator, levels: int) -> Iterator[tuple[Sequence[float], Sequence[float]]]:
    """Sizes and aspect ratios of each level; one list stands for all levels."""
    sizes, ratios = (rows * levels if len(rows) == 1 else rows for rows in (config.sizes, config.aspect_ratios))
    return zip(sizes, ratios, strict=True)
