"""HRNet: one branch for each of four scales, kept side by side and mixed after every few blocks.

Module names (`stage2.0.fuse_layers.1.0.0`, ...) are those of the published checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from densepose.config_nodes import HrNet as HrNetNode
from densepose.config_nodes import HrStage

LAYER1_PLANES = 64


def _conv(inner: int, outer: int, kernel: int, *, stride: int = 1, relu: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outer)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a plain shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu_(self.bn2(self.conv2(F.relu_(self.bn1(self.conv1(x))))) + x)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a shortcut; four times as wide outside as inside."""

    def __init__(self, inner: int, planes: int) -> None:
        super().__init__()
        outer = 4 * planes
        self.conv1 = nn.Conv2d(inner, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.downsample = _conv(inner, outer, 1, relu=False) if inner != outer else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu_(self.bn1(self.conv1(x)))
        out = F.relu_(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu_(out + (x if self.downsample is None else self.downsample(x)))


class Exchange(nn.Module):
    """Blocks on every branch, then every branch becomes the sum of all, each brought to its scale."""

    def __init__(self, blocks: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(count)))
            for count, width in zip(blocks, widths, strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_to_scale(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, branches: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        branches = [blocks(x) for blocks, x in zip(self.branches, branches, strict=True)]
        return [F.relu_(self._mix(layers, branches, target)) for target, layers in enumerate(self.fuse_layers)]

    @staticmethod
    def _mix(layers: nn.ModuleList, branches: Sequence[torch.Tensor], target: int) -> torch.Tensor:
        height, width = branches[target].shape[-2:]
        # A scale of odd size comes back one row too tall after halving and doubling: the surplus is cut off.
        return sum(layer(x)[:, :, :height, :width] for layer, x in zip(layers, branches, strict=True))


def _to_scale(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From branch `source` to the width and size of branch `target`; each branch is half the one before."""
    inner, outer = widths[source], widths[target]
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*_conv(inner, outer, 1, relu=False), up)
    halvings = target - source
    return nn.Sequential(
        *(_conv(inner, inner, 3, stride=2) for _ in range(halvings - 1)), _conv(inner, outer, 3, stride=2, relu=False)
    )


class HRNet(nn.Module):
    """(N, 3, H, W) -> four maps of strides 4, 8, 16, 32 (sizes rounded up); `channels` are their widths."""

    def __init__(self, config: HrNetNode) -> None:
        super().__init__()
        stem, outer = config.stem_inplanes, 4 * LAYER1_PLANES
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        self.layer1 = nn.Sequential(
            Bottleneck(stem, LAYER1_PLANES), *(Bottleneck(outer, LAYER1_PLANES) for _ in range(3))
        )
        stages = (config.stage2, config.stage3, config.stage4)
        widths = ((outer,), *(stage.num_channels for stage in stages))
        for n, (stage, (before, after)) in enumerate(zip(stages, pairwise(widths), strict=True)):
            self.add_module(f"transition{n + 1}", _transition(before, after))
            self.add_module(f"stage{n + 2}", _stage(stage))
        self.channels = stages[-1].num_channels

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = F.relu_(self.bn1(self.conv1(x)))
        x = F.relu_(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for n in (1, 2, 3):
            branches = _spread(getattr(self, f"transition{n}"), branches)
            branches = getattr(self, f"stage{n + 1}")(branches)
        return branches


def _stage(config: HrStage) -> nn.Sequential:
    return nn.Sequential(*(Exchange(config.num_blocks, config.num_channels) for _ in range(config.num_modules)))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """To one branch more: old branches change width where they must, the new one is half the last old one."""
    olds = [
        nn.Identity() if inner == outer else _conv(inner, outer, 3) for inner, outer in zip(before, after, strict=False)
    ]
    return nn.ModuleList([*olds, nn.Sequential(_conv(before[-1], after[-1], 3, stride=2))])


def _spread(transition: nn.ModuleList, branches: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [layer(branch) for layer, branch in zip(transition, [*branches, branches[-1]], strict=True)]
