"""The network that lays a garment on a body: where each pixel of the hole finds its cloth, and where cloth will show.

Trained by `catvton.training.placement_stage`, used by `catvton.placement`. It sees only what may be seen: the mask, the
picture outside it, and the garment already brought roughly to its place.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from model.fold import without_norms

GRID = (72, 96)  # width, height the network works at: a quarter of the 288x384 frame


def _block(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outer), nn.LeakyReLU(0.1)
    )


class WarpNet(ModelMixin, ConfigMixin):
    """U-Net from a garment's rough place to its fine one.

    Input channels: mask (1), person outside the mask (3), garment colour times alpha (3), garment alpha (1), all at
    `GRID`, colours in [-1, 1], mask and alpha in [0, 1]; two coordinate channels are added inside.

    Args:
        widths: channels at a half of `GRID`, a quarter and so on.
        reach: the longest displacement, as a share of the frame.
        folded: its batch norms are part of its convolutions (`model.fold`): for inference alone.
    """

    @register_to_config
    def __init__(self, widths: tuple[int, ...] = (40, 80, 112, 128), reach: float = 0.5, folded: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(_block(40, widths[0]), _block(widths[0], widths[0]))
        self.downs = nn.ModuleList(
            nn.Sequential(_block(a, b, stride=2), _block(b, b), _block(b, b)) for a, b in pairwise(widths)
        )
        self.middle = nn.Sequential(_block(widths[-1], widths[-1]), _block(widths[-1], widths[-1]))
        self.summary = nn.Linear(widths[-1], widths[-1])
        self.ups = nn.ModuleList(nn.Sequential(_block(a + b, a), _block(a, a)) for a, b in pairwise(widths))
        self.head = nn.Conv2d(widths[0], 3, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if folded:
            without_norms(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 8, 96, 72) -> displacement (B, 2, 96, 72) as fractions of width and height, shown (B, 1, 96, 72) logits.

        The pixel at q takes its cloth from q + displacement(q) of the roughly placed garment.
        """
        size = x.shape[-2:]
        skips = [self.stem(F.pixel_unshuffle(torch.cat((x, _coordinates(x)), 1), 2))]
        for down in self.downs:
            skips.append(down(skips[-1]))
        x = skips.pop()
        x = self.middle(x) + self.summary(x.mean((2, 3)))[:, :, None, None]
        for up in reversed(self.ups):
            skip = skips.pop()
            x = up(torch.cat((skip, F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)), 1))
        with torch.autocast(x.device.type, enabled=False):  # eight bits would round displacements to half pixels
            out = self.head(x.to(self.head.weight.dtype))
        out = F.interpolate(out, size=size, mode="bicubic", align_corners=False)
        return torch.tanh(out[:, :2]) * self.config.reach, out[:, 2:]


def _coordinates(like: torch.Tensor) -> torch.Tensor:
    """Two channels, x and y from -1 to 1."""
    rows = torch.linspace(-1, 1, like.shape[2], device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, like.shape[3], device=like.device, dtype=like.dtype)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y)).expand(len(like), -1, -1, -1)
