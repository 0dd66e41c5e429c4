"""From the features of a box to what each of its pixels shows: decoder, head and predictors.

Module names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

import torch
import torch.nn.functional as F
from torch import nn

from densepose.config_nodes import Cse, Embedder, RoiDensePoseHead
from densepose.layers import NormConv, double

GROUPS = 32
ASPP_RATES = (6, 12, 56)


class Decoder(nn.Module):
    """All levels brought to the finest one's size and added up: {level: (N, C, h, w)} -> (N, classes, H/4, W/4)."""

    def __init__(self, config: RoiDensePoseHead, *, width: int, strides: Mapping[str, int]) -> None:
        super().__init__()
        self.levels = tuple(strides)
        for level, stride in strides.items():
            doublings = int(log2(stride / config.decoder_common_stride))
            self.add_module(level, _ladder(width, config.decoder_conv_dims, doublings))
        self.predictor = nn.Conv2d(config.decoder_conv_dims, config.decoder_num_classes, 1)

    def forward(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.predictor(sum(getattr(self, level)(features[level]) for level in self.levels))


class _Double(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return double(x)


class _ConvRelu(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu_(super().forward(x))


def _ladder(inner: int, outer: int, doublings: int) -> nn.Sequential:
    """One convolution, or as many as it takes to double the size `doublings` times."""
    steps: list[nn.Module] = []
    for n in range(max(1, doublings)):
        steps.append(_ConvRelu(inner if n == 0 else outer, outer, 3, padding=1))
        if doublings:
            steps.append(_Double())
    return nn.Sequential(*steps)


class ConvHead(nn.Module):
    """DensePoseV1ConvXHead: a stack of convolutions, (n, C, 28, 28) -> (n, conv_head_dim, 28, 28)."""

    def __init__(self, config: RoiDensePoseHead, *, width: int) -> None:
        super().__init__()
        self.count = config.num_stacked_convs
        for n in range(1, self.count + 1):
            inner = width if n == 1 else config.conv_head_dim
            self.add_module(f"body_conv_fcn{n}", self._conv(inner, config.conv_head_dim, config.conv_head_kernel))

    @staticmethod
    def _conv(inner: int, outer: int, kernel: int) -> nn.Module:
        return nn.Conv2d(inner, outer, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for n in range(1, self.count + 1):
            x = F.relu_(getattr(self, f"body_conv_fcn{n}")(x))
        return x


class DeepLabHead(ConvHead):
    """DensePoseDeepLabHead: the same stack with group norms, behind a look at the surroundings (`Aspp`)."""

    def __init__(self, config: RoiDensePoseHead, *, width: int) -> None:
        super().__init__(config, width=width)
        self.ASPP = Aspp(width)

    @staticmethod
    def _conv(inner: int, outer: int, kernel: int) -> nn.Module:
        return NormConv(inner, outer, kernel, norm=nn.GroupNorm(GROUPS, outer), padding=kernel // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.ASPP(x))


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: convolutions of several reaches and the mean of all, side by side, then mixed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        reaches = [_grouped(nn.Conv2d(width, width, 1, bias=False), width)]
        for rate in ASPP_RATES:
            reaches.append(_grouped(nn.Conv2d(width, width, 3, padding=rate, dilation=rate, bias=False), width))
        reaches.append(nn.Sequential(_Mean(), *_grouped(nn.Conv2d(width, width, 1, bias=False), width)))
        self.convs = nn.ModuleList(reaches)
        self.project = nn.Sequential(nn.Conv2d(len(reaches) * width, width, 1, bias=False), nn.ReLU(inplace=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(torch.cat([conv(x).expand(-1, -1, *x.shape[2:]) for conv in self.convs], 1))


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3), keepdim=True)


def _grouped(conv: nn.Conv2d, width: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.GroupNorm(GROUPS, width), nn.ReLU(inplace=True))


class _Predictor(nn.Module):
    """Maps of twice the head's size by a transposed convolution, then enlarged `up_scale` times: 28 -> 112 pixels."""

    outputs: Mapping[str, str]  # what it is -> the module's name in the checkpoint

    def __init__(self, config: RoiDensePoseHead, channels: Mapping[str, int]) -> None:
        super().__init__()
        self.up_scale = config.up_scale
        kernel = config.deconv_kernel
        for name, count in channels.items():
            layer = nn.ConvTranspose2d(config.conv_head_dim, count, kernel, stride=2, padding=kernel // 2 - 1)
            self.add_module(self.outputs[name], layer)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: self._enlarge(getattr(self, module)(x)) for name, module in self.outputs.items()}

    def _enlarge(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, scale_factor=self.up_scale, mode="bilinear", align_corners=False)


class ChartPredictor(_Predictor):
    """coarse (n, 2, 112, 112): logits of body or not (or of 14 parts); fine (n, 25, ...): logits of nothing and 24
    parts; u, v (n, 25, ...): where on that part's chart, about 0 to 1."""

    outputs = {"coarse": "ann_index_lowres", "fine": "index_uv_lowres", "u": "u_lowres", "v": "v_lowres"}  # noqa: RUF012

    def __init__(self, config: RoiDensePoseHead) -> None:
        parts = config.num_patches + 1
        super().__init__(config, {"coarse": config.num_coarse_segm_channels, "fine": parts, "u": parts, "v": parts})


class EmbeddingPredictor(_Predictor):
    """coarse as above; embedding (n, embed_size, 112, 112): a point near that of the vertex the pixel shows."""

    outputs = {"coarse": "coarse_segm_lowres", "embedding": "embed_lowres"}  # noqa: RUF012

    def __init__(self, config: RoiDensePoseHead) -> None:
        super().__init__(config, {"coarse": config.num_coarse_segm_channels, "embedding": config.cse.embed_size})


class MeshEmbedders(nn.Module):
    """The embedding of every vertex of the meshes a CSE network was trained on."""

    def __init__(self, config: Cse) -> None:
        super().__init__()
        for spec in config.embedders:
            self.add_module(f"embedder_{spec.mesh}", MeshEmbedder(spec, config.embed_size))


class MeshEmbedder(nn.Module):
    def __init__(self, spec: Embedder, size: int) -> None:
        super().__init__()
        by_features = spec.type == "vertex_feature"
        if by_features:
            self.register_buffer("features", torch.zeros(spec.num_vertices, spec.feature_dim))
        self.register_buffer("embeddings", torch.zeros(spec.feature_dim if by_features else spec.num_vertices, size))

    def forward(self) -> torch.Tensor:
        """float32 (vertices, size), rows of length 1."""
        points = self.features @ self.embeddings if hasattr(self, "features") else self.embeddings
        return F.normalize(points, dim=1, eps=1e-6)
