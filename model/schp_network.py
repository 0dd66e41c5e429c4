"""SCHP's network (AugmentCE2P on ResNet-101) for inference, its modules named and numbered as in the official files.

A deep stem, dilated ResNet stages, a pyramid pooling module, a decoder over the first stage's features, an edge branch
over three stages, and a fusion of both. Of the heads that exist for training alone nothing is built: see `UNUSED`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

UNUSED = (
    "decoder.conv4.weight", "decoder.conv4.bias", "edge.conv4.weight", "edge.conv4.bias", "edge.conv5.weight",
    "edge.conv5.bias",
)  # fmt: skip

DEPTHS = (3, 4, 23, 3)
BINS = (1, 2, 3, 6)
SLOPE = 0.01
EPS = 1e-5


class Norm(nn.Module):
    """Batch normalisation with the running statistics, always.

    The weight's sign counts, as in the published try-on; the activated normalisation SCHP was trained with took its
    absolute value. Both are the same where weights are positive.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))
        self.register_buffer("running_mean", torch.empty(width))
        self.register_buffer("running_var", torch.empty(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPS)


class ActivatedNorm(Norm):
    """And a leaky rectifier: one module, as in the official files' numbering."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(super().forward(x), SLOPE)


def _conv(inner: int, outer: int, size: int = 1, **options: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, size, padding=size // 2 * options.get("dilation", 1), bias=False, **options)


def _activated(inner: int, outer: int, size: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(inner, outer, size), ActivatedNorm(outer))


def _resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Bottleneck(nn.Module):
    """ResNet's block of 1x1, 3x3 and 1x1 convolutions; the 3x3 one has the stride."""

    def __init__(self, inner: int, width: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        outer = 4 * width
        self.conv1, self.bn1 = _conv(inner, width), Norm(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride=stride, dilation=dilation), Norm(width)
        self.conv3, self.bn3 = _conv(width, outer), Norm(outer)
        self.downsample = None
        if stride != 1 or inner != outer:
            self.downsample = nn.Sequential(_conv(inner, outer, stride=stride), Norm(outer))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        short = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + short)


def _stage(inner: int, width: int, depth: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    first = Bottleneck(inner, width, stride=stride, dilation=dilation)
    rest = (Bottleneck(4 * width, width, stride=1, dilation=dilation) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)


class BinMeans(nn.Module):
    """Adaptive average pooling to `bins` x `bins`, as two products: MPS pools divisible sizes only."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = (self._weights(size).to(x) for size in x.shape[-2:])
        return rows @ x @ columns.T

    def _weights(self, size: int) -> torch.Tensor:
        weights = torch.zeros(self.bins, size)
        for i in range(self.bins):
            first, last = i * size // self.bins, -(-(i + 1) * size // self.bins)
            weights[i, first:last] = 1 / (last - first)
        return weights


class Pyramid(nn.Module):
    """Means over 1, 2, 3 and 6 bins a side, beside the features themselves."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(BinMeans(bins), _conv(inner, outer), ActivatedNorm(outer)) for bins in BINS
        )
        self.bottleneck = _activated(inner + len(BINS) * outer, outer, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-2:]
        return self.bottleneck(torch.cat([*(_resize(stage(x), size) for stage in self.stages), x], dim=1))


class Decoder(nn.Module):
    """Coarse context over the fine features of the first stage; 256 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = _activated(512, 256), _activated(256, 48)
        self.conv3 = nn.Sequential(*_activated(304, 256), *_activated(256, 256))

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        coarse = _resize(self.conv1(coarse), fine.shape[-2:])
        return self.conv3(torch.cat([coarse, self.conv2(fine)], dim=1))


class Edges(nn.Module):
    """The edge branch's features of three stages; 768 channels at the first one's size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (_activated(inner, 256) for inner in (256, 512, 1024))

    def forward(self, fine: torch.Tensor, middle: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        size = fine.shape[-2:]
        return torch.cat(
            [self.conv1(fine), _resize(self.conv2(middle), size), _resize(self.conv3(coarse), size)], dim=1
        )


class AugmentCE2P(nn.Module):
    """The whole network.

    Args:
        classes: number of labels.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(3, 64, 3, stride=2), Norm(64)
        self.conv2, self.bn2 = _conv(64, 64, 3), Norm(64)
        self.conv3, self.bn3 = _conv(64, 128, 3), Norm(128)
        self.layer1 = _stage(128, 64, DEPTHS[0])
        self.layer2 = _stage(256, 128, DEPTHS[1], stride=2)
        self.layer3 = _stage(512, 256, DEPTHS[2], stride=2)
        self.layer4 = _stage(1024, 512, DEPTHS[3], dilation=2)
        self.context_encoding = Pyramid(2048, 512)
        self.edge = Edges()
        self.decoder = Decoder()
        self.fushion = nn.Sequential(  # the file's spelling; its third module is a dropout
            *_activated(1024, 256), nn.Identity(), nn.Conv2d(256, classes, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised float (B, 3, H, W) -> logits (B, classes, H/4, W/4), rounded up."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        first = self.layer1(F.max_pool2d(x, 3, stride=2, padding=1))
        second = self.layer2(first)
        third = self.layer3(second)
        context = self.context_encoding(self.layer4(third))
        features = [self.decoder(context, first), self.edge(first, second, third)]
        return self.fushion(torch.cat(features, dim=1))
