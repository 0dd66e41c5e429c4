"""Backbones: an image batch in, feature maps of one width at several scales out.

Each has `width` (the maps' channels), `strides` (level -> input pixels per feature pixel), `multiple` (the input's
sides must be padded to multiples of it) and `smallest` (the least a side may be).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from densepose.config import Config
from densepose.hrnet import HRNet
from densepose.resnet import ResNet

Features = dict[str, torch.Tensor]


def build_backbone(config: Config) -> nn.Module:
    if config.model.backbone.name == "build_hrfpn_backbone":
        return HrFpn(HRNet(config.model.hrnet), width=config.model.hrnet.hrfpn.out_channels)
    return Fpn(ResNet(config.model.resnets), width=config.model.fpn.out_channels)


class Fpn(nn.Module):
    """Feature pyramid: p2 to p5 from the ResNet's stages, coarse added to fine, and p6, every second pixel of p5."""

    multiple = 32
    smallest = 1

    def __init__(self, bottom_up: ResNet, *, width: int) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.width = width
        self.strides = {f"p{n}": 2**n for n in range(2, 7)}
        for n, channels in enumerate(bottom_up.channels.values(), start=2):
            self.add_module(f"fpn_lateral{n}", nn.Conv2d(channels, width, 1))
            self.add_module(f"fpn_output{n}", nn.Conv2d(width, width, 3, padding=1))

    def forward(self, images: torch.Tensor) -> Features:
        """(N, 3, H, W), sides multiples of 32 -> {"p2": (N, width, H/4, W/4), ..., "p6"}."""
        stages = self.bottom_up(images)
        top, levels = None, {}
        for n in (5, 4, 3, 2):
            lateral = getattr(self, f"fpn_lateral{n}")(stages[f"res{n}"])
            top = lateral if top is None else lateral + F.interpolate(top, scale_factor=2, mode="nearest")
            levels[f"p{n}"] = getattr(self, f"fpn_output{n}")(top)
        levels["p6"] = F.max_pool2d(levels["p5"], 1, stride=2)
        return {level: levels[level] for level in self.strides}


class HrFpn(nn.Module):
    """All of HRNet's scales brought to the finest and stacked; p1 to p5 are pooled from that one map.

    The input is not padded. Sizes need not divide evenly, so each map is cut to the coarsest one's size times a power
    of two: a strip at the bottom and right has no features, as in the published network.
    """

    multiple = 1
    smallest = 65  # of a side: below, the stacked map is smaller than the coarsest pooling window

    def __init__(self, bottom_up: HRNet, *, width: int, levels: int = 5) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.width = width
        self.strides = {f"p{n + 1}": 2 ** (n + 2) for n in range(levels)}
        self.interp_conv = nn.ModuleList(_raise(channels, 2**n) for n, channels in enumerate(bottom_up.channels))
        self.reduction_pooling_conv = nn.ModuleList(_pool(sum(bottom_up.channels), width, 2**n) for n in range(levels))
        self.fpn_conv = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(levels))

    def forward(self, images: torch.Tensor) -> Features:
        """(N, 3, H, W) -> {"p1": about (N, width, H/4, W/4), ..., "p5": about (N, width, H/64, W/64)}."""
        raised = [up(branch) for up, branch in zip(self.interp_conv, self.bottom_up(images), strict=True)]
        height, width = (min(x.shape[side] for x in raised) for side in (2, 3))
        stack = torch.cat([x[:, :, :height, :width] for x in raised], 1)
        pooled = [pool(stack) for pool in self.reduction_pooling_conv]
        height, width = pooled[-1].shape[-2:]
        last = len(pooled) - 1
        cut = [x[:, :, : height * 2 ** (last - n), : width * 2 ** (last - n)] for n, x in enumerate(pooled)]
        return {level: conv(x) for level, conv, x in zip(self.strides, self.fpn_conv, cut, strict=True)}


def _raise(channels: int, scale: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels, channels, 4, stride=scale, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _pool(inner: int, outer: int, size: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, size, stride=size), nn.BatchNorm2d(outer), nn.ReLU(inplace=True))
