"""The built-in model's denoising network: CatVTON's idea at a size two processor cores can run.

Input and output are the pipeline's: [noisy | mask | person over garment] in, clean latents out. Person and garment pass
the same convolutions side by side and meet in self-attention over both, as in the published network. Two things are
its own: it predicts the *difference* from the masked-person latents (which arrive with the garment already placed, so
an untrained network gives the placement back), and past the coarsest level only the person is computed: the garment's
half of the output is the clean garment it was given.

Two lists make it smaller where training found parts to spare (`catvton.training.prune`). A block's inner channels come
in groups that its second norm treats apart from each other, an attention's in heads; the lists say how many of each are
left, and with none left there is no block or attention at all.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

GROUPS = 8  # of every norm, and of a whole block's inner channels
BLOCKS = 9
ATTENTIONS = 4


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; the time step scales and shifts the second norm.

    `kept` of the `GROUPS` groups of channels between the two convolutions are there.
    """

    def __init__(self, inner: int, outer: int, time: int, kept: int = GROUPS) -> None:
        super().__init__()
        between = outer // GROUPS * kept
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, inner), nn.Conv2d(inner, between, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(kept, between), nn.Conv2d(between, outer, 3, padding=1)
        self.time = nn.Linear(time, 2 * between)
        self.skip = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(x) + h


class NoBlock(nn.Module):
    """Where a block was: gives back what it is given, but for the time."""

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return x


class JointAttention(nn.Module):
    """Self-attention of person tokens and garment tokens together, with a learned position for each.

    `kept` of `heads` heads are there. `folded`: the norm's own factors are part of what follows it.
    """

    def __init__(self, width: int, heads: int, cells: tuple[int, int], *, kept: int, folded: bool = False) -> None:
        super().__init__()
        self.heads = kept
        inner = width // heads * kept
        self.norm = nn.LayerNorm(width, elementwise_affine=not folded)
        self.position = nn.Parameter(torch.randn(1, 2 * cells[0] * cells[1], width) * 0.02)
        self.qkv, self.out = nn.Linear(width, 3 * inner), nn.Linear(inner, width)

    def forward(self, person: torch.Tensor, garment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shape = person.shape
        tokens = torch.cat((person.flatten(2), garment.flatten(2)), 2).transpose(1, 2)
        h = self.norm(tokens) + self.position
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(h).chunk(3, dim=-1))
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = (tokens + self.out(h)).transpose(1, 2)
        return tuple(half.reshape(shape) for half in tokens.chunk(2, dim=2))


class NoAttention(nn.Module):
    """Where an attention was."""

    def forward(self, person: torch.Tensor, garment: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return person, garment


class CompactUNet(ModelMixin, ConfigMixin):
    """See the module.

    Args:
        in_channels: 2C + 1 for latents of C channels.
        out_channels: C.
        widths: channels at the latents' own size, a half and a quarter of it.
        cells: (height, width) of one half's latents; both multiples of 4.
        kept_groups: of the `GROUPS` groups of inner channels how many each of the `BLOCKS` blocks has, in the order of
            `blocks`; None for all. 0 leaves the block out, which one that changes the width does not allow.
        kept_heads: of the `heads` how many each of the `ATTENTIONS` attentions has, in the order of `attentions`; None
            for all. 0 leaves it out.
        folded: the attentions' norms have no factors of their own (`catvton.training.folding`): for inference alone.

    Raises:
        ValueError: a list of another length, or a number that is not possible.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 97,
        out_channels: int = 48,
        widths: tuple[int, int, int] = (80, 144, 208),
        heads: int = 4,
        cells: tuple[int, int] = (32, 24),
        kept_groups: tuple[int, ...] | None = None,
        kept_heads: tuple[int, ...] | None = None,
        folded: bool = False,
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        time = 2 * middle
        groups = iter(_counts("kept_groups", kept_groups, count=BLOCKS, most=GROUPS))
        kept = iter(_counts("kept_heads", kept_heads, count=ATTENTIONS, most=heads))

        def block(inner: int, outer: int) -> nn.Module:
            left = next(groups)
            if left == 0 and inner != outer:
                raise ValueError(f"kept_groups: the block from {inner} to {outer} channels cannot be left out.")
            return ResidualBlock(inner, outer, time, left) if left else NoBlock()

        def attention(width: int, shrink: int) -> nn.Module:
            left = next(kept)
            size = (cells[0] // shrink, cells[1] // shrink)
            return JointAttention(width, heads, size, kept=left, folded=folded) if left else NoAttention()

        self.time = nn.Sequential(nn.Linear(128, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU())
        self.side = nn.Parameter(torch.zeros(2, fine, 1, 1))  # tells the garment's half from the person's
        self.conv_in = nn.Conv2d(in_channels, fine, 3, padding=1)
        self.fine_in = block(fine, fine)
        self.down1 = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle_in = nn.ModuleList(block(middle, middle) for _ in range(2))
        self.middle_attention = nn.ModuleList(attention(middle, 2) for _ in range(2))
        self.down2 = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(block(coarse, coarse) for _ in range(2))
        self.coarse_attention = nn.ModuleList(attention(coarse, 4) for _ in range(2))
        self.middle_out = nn.ModuleList((block(coarse + middle, middle), block(middle, middle)))
        self.fine_out = nn.ModuleList((block(middle + fine, fine), block(fine, fine)))
        self.norm_out = nn.GroupNorm(8, fine)
        self.conv_out = nn.Conv2d(fine, out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def blocks(self) -> dict[str, nn.Module]:
        """The residual blocks by name, in the order of `kept_groups`; what was left out is a `NoBlock`."""
        lists = ("middle_in", "coarse", "middle_out", "fine_out")
        return {"fine_in": self.fine_in} | self._listed(lists)

    def attentions(self) -> dict[str, nn.Module]:
        """The attentions by name, in the order of `kept_heads`."""
        return self._listed(("middle_attention", "coarse_attention"))

    def _listed(self, names: tuple[str, ...]) -> dict[str, nn.Module]:
        return {f"{name}.{i}": part for name in names for i, part in enumerate(getattr(self, name))}

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


def _counts(name: str, given: tuple[int, ...] | None, *, count: int, most: int) -> tuple[int, ...]:
    counts = (most,) * count if given is None else tuple(given)
    if len(counts) != count or not all(0 <= left <= most for left in counts):
        raise ValueError(f"{name} must be {count} numbers from 0 to {most}, not {counts}.")
    return counts


def _time_features(timestep: torch.Tensor | float, batch: int, width: int) -> torch.Tensor:
    """Sines and cosines of the time step, (B, width)."""
    steps = torch.as_tensor(timestep, dtype=torch.float32).reshape(-1).expand(batch)
    rates = torch.exp(-math.log(10000) * torch.arange(width // 2, device=steps.device) / (width // 2))
    angles = steps[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), 1)
