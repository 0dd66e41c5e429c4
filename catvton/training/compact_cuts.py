"""Cutting the built-in network: groups of a block's inner channels, and heads of an attention.

A block's second norm treats its groups apart from each other, so without some of them the rest computes what it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from catvton.compact_unet import CompactUNet, JointAttention, ResidualBlock
from catvton.training.cuts import Kept, Part, changed, removed


class CompactCuts:
    """Groups and heads of a `CompactUNet`."""

    def __init__(self, network: CompactUNet) -> None:
        self.network = network
        self._blocks = {n: b for n, b in network.blocks().items() if isinstance(b, ResidualBlock)}
        self._attentions = {n: a for n, a in network.attentions().items() if isinstance(a, JointAttention)}
        self.parts = {name: self._block_part(name, block) for name, block in self._blocks.items()}
        self.parts |= {name: self._attention_part(name, one) for name, one in self._attentions.items()}

    @contextmanager
    def gated(self, gates: Mapping[str, torch.Tensor]) -> Iterator[None]:
        """A part with every gate at 0 is left out whole, its bias too."""
        hooks = []
        for name, block in self._blocks.items():
            hooks += _silenced(block, block.conv2, gates[name], dim=1)
        for name, attention in self._attentions.items():
            hooks += _silenced(attention, attention.out, gates[name], dim=2)
        with removed(hooks):
            yield

    def norms(self) -> dict[str, torch.Tensor]:
        pairs = {name: (b.conv1.weight, b.conv2.weight) for name, b in self._blocks.items()}
        for name, attention in self._attentions.items():
            pairs[name] = (attention.qkv.weight.unflatten(0, (3, -1)).transpose(0, 1), attention.out.weight)
        return {name: _norm(one, other, self.parts[name].units) for name, (one, other) in pairs.items()}

    def without(self, kept: Kept) -> CompactUNet:
        blocks = {name: kept.get(name, []) for name in self.network.blocks()}
        attentions = {name: kept.get(name, []) for name in self.network.attentions()}
        counts = {"kept_groups": _counted(blocks), "kept_heads": _counted(attentions)}
        smaller = changed(self.network, counts)
        state = dict(self.network.state_dict())
        for name, block in self._blocks.items():
            state |= _block_state(name, block, kept[name])
        for name, attention in self._attentions.items():
            state |= _attention_state(name, attention, kept[name])
        wanted = smaller.state_dict()
        smaller.load_state_dict({key: value for key, value in state.items() if key in wanted})
        return smaller

    def _block_part(self, name: str, block: ResidualBlock) -> Part:
        groups = block.norm2.num_groups
        weights = (block.conv1.weight.numel() + block.conv2.weight.numel()) / groups
        halves = 1 if name.split("_")[-1].startswith("out") else 2  # past the coarsest level the person goes alone
        return Part(groups, weights * self._cells(name) * halves, least=int(not isinstance(block.skip, nn.Identity)))

    def _attention_part(self, name: str, attention: JointAttention) -> Part:
        weights = (attention.qkv.weight.numel() + attention.out.weight.numel()) / attention.heads
        return Part(attention.heads, weights * self._cells(name) * 2, least=0)

    def _cells(self, name: str) -> int:
        height, width = self.network.config.cells
        shrink = {"fine": 1, "middle": 2, "coarse": 4}[name.split("_")[0].split(".")[0]]
        return height * width // shrink**2


def _silenced(part: nn.Module, last: nn.Module, gates: torch.Tensor, *, dim: int) -> list[Any]:
    """Hooks that multiply the units of what `last` reads, and take a part with none left out."""

    def scale(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        factors = gates.repeat_interleave(inputs[0].shape[dim] // len(gates))
        return (inputs[0] * factors.reshape([-1 if axis == dim else 1 for axis in range(inputs[0].ndim)]),)

    if not gates.any():
        return [part.register_forward_hook(_as_given)]
    return [last.register_forward_pre_hook(scale)]


def _as_given(part: nn.Module, inputs: tuple[Any, ...], _: Any) -> Any:
    return inputs if isinstance(part, JointAttention) else inputs[0]


def _norm(one: torch.Tensor, other: torch.Tensor, units: int) -> torch.Tensor:
    """Product of the norms of what leads to a unit, `one`'s rows, and of what reads it, `other`'s columns."""
    leading = one.detach().reshape(units, -1).norm(dim=1)
    return leading * other.detach().transpose(0, 1).reshape(units, -1).norm(dim=1)


def _block_state(name: str, block: ResidualBlock, kept: list[int]) -> dict[str, torch.Tensor]:
    rows = _channels(kept, block.conv2.in_channels // block.norm2.num_groups)
    both = torch.cat([rows, rows + block.conv2.in_channels])
    return {
        f"{name}.conv1.weight": block.conv1.weight[rows],
        f"{name}.conv1.bias": block.conv1.bias[rows],
        f"{name}.norm2.weight": block.norm2.weight[rows],
        f"{name}.norm2.bias": block.norm2.bias[rows],
        f"{name}.time.weight": block.time.weight[both],
        f"{name}.time.bias": block.time.bias[both],
        f"{name}.conv2.weight": block.conv2.weight[:, rows],
    }


def _attention_state(name: str, attention: JointAttention, kept: list[int]) -> dict[str, torch.Tensor]:
    size = attention.out.in_features // attention.heads
    rows = _channels(kept, size)
    three = _channels([unit + third * attention.heads for third in range(3) for unit in kept], size)
    return {
        f"{name}.qkv.weight": attention.qkv.weight[three],
        f"{name}.qkv.bias": attention.qkv.bias[three],
        f"{name}.out.weight": attention.out.weight[:, rows],
    }


def _channels(units: list[int], size: int) -> torch.Tensor:
    """The numbers of the channels of some units of `size` channels each."""
    return (torch.tensor(units, dtype=torch.long)[:, None] * size + torch.arange(size)).flatten()


def _counted(kept: Kept) -> tuple[int, ...]:
    return tuple(len(units) for units in kept.values())
