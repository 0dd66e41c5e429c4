"""ResNet-50, -101 and -152 as Detectron2 lays them out: four stages, res2 to res5, of strides 4 to 32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from densepose.config_nodes import ResNets
from densepose.layers import FrozenBatchNorm, NormConv
from densepose.support import BLOCKS_OF_DEPTH

STAGES = ("res2", "res3", "res4", "res5")


def _conv(inner: int, outer: int, kernel: int, *, stride: int = 1, groups: int = 1) -> NormConv:
    return NormConv(
        inner, outer, kernel, norm=FrozenBatchNorm(outer), stride=stride, padding=kernel // 2, groups=groups
    )


class Stem(nn.Module):
    """(N, 3, H, W) -> (N, outer, H/4, W/4)."""

    def __init__(self, outer: int) -> None:
        super().__init__()
        self.conv1 = _conv(3, outer, 7, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(F.relu_(self.conv1(x)), 3, stride=2, padding=1)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a shortcut; the published networks (MSRA's) do the stride in the first 1x1."""

    def __init__(self, inner: int, outer: int, middle: int, *, stride: int, groups: int, stride_in_1x1: bool) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.shortcut = _conv(inner, outer, 1, stride=stride) if inner != outer else None
        self.conv1 = _conv(inner, middle, 1, stride=first)
        self.conv2 = _conv(middle, middle, 3, stride=second, groups=groups)
        self.conv3 = _conv(middle, outer, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu_(self.conv1(x))
        out = F.relu_(self.conv2(out))
        out = self.conv3(out)
        out += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(out)


class ResNet(nn.Module):
    """(N, 3, H, W) -> {"res2": (N, C, H/4, W/4), ..., "res5": (N, 8C, H/32, W/32)}; `channels` names their widths."""

    def __init__(self, config: ResNets) -> None:
        super().__init__()
        self.stem = Stem(config.stem_out_channels)
        self.channels: dict[str, int] = {}
        inner = config.stem_out_channels
        for n, (stage, blocks) in enumerate(zip(STAGES, BLOCKS_OF_DEPTH[config.depth], strict=True)):
            outer = config.res2_out_channels * 2**n
            self.add_module(stage, _stage(config, inner, outer, blocks=blocks, level=n))
            self.channels[stage] = inner = outer

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.stem(x)
        features = {}
        for stage in STAGES:
            features[stage] = x = getattr(self, stage)(x)
        return features


def _stage(config: ResNets, inner: int, outer: int, *, blocks: int, level: int) -> nn.Sequential:
    middle = config.num_groups * config.width_per_group * 2**level
    strides = [2 if level else 1] + [1] * (blocks - 1)
    return nn.Sequential(
        *(
            Bottleneck(outer if n else inner, outer, middle, stride=stride, groups=config.num_groups,
                       stride_in_1x1=config.stride_in_1x1)
            for n, stride in enumerate(strides)
        )
    )  # fmt: skip
