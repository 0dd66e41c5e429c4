"""Cutting the published network: a level's further layers, and the middle block.

As in Kim et al., "BK-SDM" (2023): diffusers' own configuration can describe what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from catvton.training.cuts import Kept, Part, changed, removed
from catvton.unet import TryOnUNet


class OfficialCuts:
    """Whole layers of a `TryOnUNet`: `level0` is all but the first layer of the finest level, down and up."""

    def __init__(self, network: TryOnUNet) -> None:
        self.network = network
        self._layers = _per_level(network)
        self._modules = {f"level{i}": self._further(i) for i, count in enumerate(self._layers) if count > 1}
        if network.mid_block is not None:
            self._modules["middle"] = [network.mid_block]
        self.parts = {
            name: Part(1, sum(p.numel() for m in modules for p in m.parameters()), least=0)
            for name, modules in self._modules.items()
        }

    @contextmanager
    def gated(self, gates: Mapping[str, torch.Tensor]) -> Iterator[None]:
        hooks = [
            module.register_forward_hook(_blend(gates[name][0])) for name, modules in self._modules.items()
            for module in modules
        ]  # fmt: skip
        with removed(hooks):
            yield

    def norms(self) -> dict[str, torch.Tensor]:
        return {
            name: torch.stack([p.detach().norm() for m in modules for p in m.parameters()]).norm()[None]
            for name, modules in self._modules.items()
        }

    def without(self, kept: Kept) -> TryOnUNet:
        layers = [1 if not kept.get(f"level{i}", [0]) else count for i, count in enumerate(self._layers)]
        changes: dict[str, Any] = {"layers_per_block": layers}
        if not kept.get("middle", [0]):
            changes["mid_block_type"] = None
        smaller = changed(self.network, changes)
        state = self.network.state_dict()
        smaller.load_state_dict({key: state[self._origin(key, layers)] for key in smaller.state_dict()})
        return smaller

    def _further(self, level: int) -> list[nn.Module]:
        """All but the first layer going down, all but the first and the last going up."""
        down, up = self.network.down_blocks[level], self.network.up_blocks[-1 - level]
        lists = [(block, getattr(block, name, ())) for block in (down, up) for name in ("resnets", "attentions")]
        return [module for block, found in lists for module in list(found)[1 : None if block is down else -1]]

    def _origin(self, key: str, layers: list[int]) -> str:
        """The full network's name of one of the smaller one's tensors."""
        words = key.split(".")
        if words[0] != "up_blocks" or words[2] not in ("resnets", "attentions"):
            return key
        level = len(layers) - 1 - int(words[1])
        number = int(words[3])
        # Every layer but the first reads the skip of one going down: what was cut there is cut here too.
        words[3] = str(number and number + self._layers[level] - layers[level])
        return ".".join(words)


def _blend(gate: torch.Tensor) -> Callable[..., Any]:
    """A hook: between what a layer was given (gate 0) and what it made of it (gate 1)."""

    def hook(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> Any:
        made = output[0] if isinstance(output, tuple) else output
        given = inputs[0][:, : made.shape[1]]  # going up, a skip is joined behind it
        mixed = torch.lerp(given, made, gate)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    return hook


def _per_level(network: TryOnUNet) -> list[int]:
    layers = network.config.layers_per_block
    return [layers] * len(network.down_blocks) if isinstance(layers, int) else list(layers)
