"""The building blocks all parts share, with the names Detectron2's checkpoints give their tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class FrozenBatchNorm(nn.Module):
    """Batch norm whose statistics never change; unlike PyTorch's it has no step counter in the checkpoint."""

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class NormConv(nn.Conv2d):
    """A convolution without bias and the norm after it: `x.weight` and `x.norm.*` in the checkpoint."""

    def __init__(
        self, inner: int, outer: int, kernel: int, *, norm: nn.Module, stride: int = 1, padding: int = 0,
        groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(inner, outer, kernel, stride=stride, padding=padding, groups=groups, bias=False)
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(x))


def double(x: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) -> (N, C, 2h, 2w), bilinear between pixel centres."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
