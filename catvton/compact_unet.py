"""The built-in model's denoising network: CatVTON's idea at a size two processor cores can run.

Input and output are the pipeline's: [noisy | mask | person over garment] in, clean latents out. Person and garment pass
the same convolutions side by side and meet in self-attention over both, as in the published network. Two things are
its own: it predicts the *difference* from the masked-person latents (which arrive with the garment already placed, so
an untrained network gives the placement back), and past the coarsest level only the person is computed: the garment's
half of the output is the clean garment it was given.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the time step scales and shifts the second norm."""

    def __init__(self, inner: int, outer: int, time: int, groups: int = 8) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, inner), nn.Conv2d(inner, outer, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, outer), nn.Conv2d(outer, outer, 3, padding=1)
        self.time = nn.Linear(time, 2 * outer)
        self.skip = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(x) + h


class JointAttention(nn.Module):
    """Self-attention of person tokens and garment tokens together, with a learned position for each."""

    def __init__(self, width: int, heads: int, cells: tuple[int, int]) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.position = nn.Parameter(torch.randn(1, 2 * cells[0] * cells[1], width) * 0.02)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, person: torch.Tensor, garment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shape = person.shape
        tokens = torch.cat((person.flatten(2), garment.flatten(2)), 2).transpose(1, 2)
        h = self.norm(tokens) + self.position
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(h).chunk(3, dim=-1))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = (tokens + self.out(h)).transpose(1, 2)
        return tuple(half.reshape(shape) for half in tokens.chunk(2, dim=2))


class CompactUNet(ModelMixin, ConfigMixin):
    """See the module.

    Args:
        in_channels: 2C + 1 for latents of C channels.
        out_channels: C.
        widths: channels at the latents' own size, a half and a quarter of it.
        cells: (height, width) of one half's latents; both multiples of 4.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 97,
        out_channels: int = 48,
        widths: tuple[int, int, int] = (80, 144, 208),
        heads: int = 4,
        cells: tuple[int, int] = (32, 24),
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        time = 2 * middle
        self.time = nn.Sequential(nn.Linear(128, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU())
        self.side = nn.Parameter(torch.zeros(2, fine, 1, 1))  # tells the garment's half from the person's
        self.conv_in = nn.Conv2d(in_channels, fine, 3, padding=1)
        self.fine_in = ResidualBlock(fine, fine, time)
        self.down1 = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle_in = nn.ModuleList(ResidualBlock(middle, middle, time) for _ in range(2))
        self.middle_attention = nn.ModuleList(
            JointAttention(middle, heads, (cells[0] // 2, cells[1] // 2)) for _ in range(2)
        )
        self.down2 = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(ResidualBlock(coarse, coarse, time) for _ in range(2))
        self.coarse_attention = nn.ModuleList(
            JointAttention(coarse, heads, (cells[0] // 4, cells[1] // 4)) for _ in range(2)
        )
        self.middle_out = nn.ModuleList(
            (ResidualBlock(coarse + middle, middle, time), ResidualBlock(middle, middle, time))
        )
        self.fine_out = nn.ModuleList((ResidualBlock(middle + fine, fine, time), ResidualBlock(fine, fine, time)))
        self.norm_out = nn.GroupNorm(8, fine)
        self.conv_out = nn.Conv2d(fine, out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        encoder_hidden_states: None = None,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor]:
        """(B, in_channels, 2h, w), person over garment, and time steps 0..999 -> ((B, out_channels, 2h, w),)."""
        clean = sample[:, -self.config.out_channels :]
        time = self.time(_time_features(timestep, len(sample), self.time[0].in_features).to(sample))
        difference = self._decode(self._encode(sample, time), time)
        placed, worn = clean.chunk(2, dim=2)
        return (torch.cat((placed + difference, worn), 2),)

    def _encode(self, sample: torch.Tensor, time: torch.Tensor) -> list[torch.Tensor]:
        """The person's features at three sizes, finest first; the garment has been read into them."""
        batch = len(sample)
        both = torch.cat(sample.chunk(2, dim=2))  # persons, then garments, along the batch
        time = time.repeat(2, 1)
        x = self.conv_in(both) + self.side.repeat_interleave(batch, 0)
        x = self.fine_in(x, time)
        fine = x[:batch]
        x = self._attended(self.down1(x), self.middle_in, self.middle_attention, time)
        middle = x[:batch]
        x = self._attended(self.down2(x), self.coarse, self.coarse_attention, time)
        return [fine, middle, x[:batch]]

    @staticmethod
    def _attended(
        x: torch.Tensor, blocks: nn.ModuleList, attentions: nn.ModuleList, time: torch.Tensor
    ) -> torch.Tensor:
        for block, attention in zip(blocks, attentions, strict=True):
            x = torch.cat(attention(*block(x, time).chunk(2)))
        return x

    def _decode(self, person: list[torch.Tensor], time: torch.Tensor) -> torch.Tensor:
        fine, middle, x = person
        for skip, blocks in ((middle, self.middle_out), (fine, self.fine_out)):
            x = torch.cat((F.interpolate(x, size=skip.shape[-2:], mode="nearest"), skip), 1)
            for block in blocks:
                x = block(x, time)
        return self.conv_out(F.silu(self.norm_out(x)))


def _time_features(timestep: torch.Tensor | float, batch: int, width: int) -> torch.Tensor:
    """Sines and cosines of the time step, (B, width)."""
    steps = torch.as_tensor(timestep, dtype=torch.float32).reshape(-1).expand(batch)
    rates = torch.exp(-math.log(10000) * torch.arange(width // 2, device=steps.device) / (width // 2))
    angles = steps[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), 1)
