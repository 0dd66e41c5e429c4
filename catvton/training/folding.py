"""Folding: what two layers do one after the other, done by one. The function stays the same, but for rounding.

- Batch norms go into the convolutions before them (`model.fold`).
- A layer norm's factors and offsets go into the projections after it, and three projections of the same tokens become
  one. In the built-in network the learned positions are added in between, and take the offsets.
- Group norms stay: their mean and variance come from the picture at hand, so no fixed weights do their work. Nor does a
  layer norm fold whose result is itself added to the features (`norm2` of the published network).
"""

from __future__ import annotations

import torch
from torch import nn

from catvton.compact_unet import CompactUNet, JointAttention
from catvton.errors import InputError
from catvton.folded_unet import PROJECTIONS, FoldedTryOnUNet, transformer_blocks
from catvton.training.students import settings
from catvton.unet import TryOnUNet
from catvton.warp_net import WarpNet
from model.compact_parser import CompactParser
from model.fold import fold_norms

SMALLEST = 1e-4  # a norm's factor below this is not divided by


@torch.no_grad()
def fold_compact(network: CompactUNet) -> tuple[CompactUNet, int]:
    """A folded copy of the built-in network, in its precision, and the number of norms that went.

    Raises:
        InputError: a norm's factor is too small to divide the positions by.
    """
    if network.config.folded:
        return network, 0
    folded = CompactUNet.from_config({**settings(network), "folded": True})
    state = dict(network.state_dict())
    found = {n: one for n, one in network.attentions().items() if isinstance(one, JointAttention)}
    for name, attention in found.items():
        state |= _attention_state(state, name, attention)
    wanted = folded.state_dict()
    nn.Module.to(folded, network.device, network.dtype)
    folded.load_state_dict({key: value for key, value in state.items() if key in wanted})
    return folded.eval(), len(found)


def _attention_state(state: dict[str, torch.Tensor], name: str, attention: JointAttention) -> dict[str, torch.Tensor]:
    """W (n * g + b + p) = (W g) (n + (b + p) / g): the norm's factors g to the weights, its offsets b to the rest."""
    factors, offsets = attention.norm.weight.double(), attention.norm.bias.double()
    if factors.abs().min() < SMALLEST:
        raise InputError(f"{name} cannot be folded: a factor of its norm is nearly 0.", code="fold.factor")
    position = (attention.position.double() + offsets) / factors
    changed = {"position": position, "qkv.weight": attention.qkv.weight.double() * factors}
    return {f"{name}.{key}": value.to(state[f"{name}.{key}"].dtype) for key, value in changed.items()}


@torch.no_grad()
def fold_official(network: TryOnUNet) -> tuple[FoldedTryOnUNet, int]:
    """The published network's own shape folded: a new network, and the number of norms that went."""
    if isinstance(network, FoldedTryOnUNet):
        return network, 0
    folded = FoldedTryOnUNet.from_config(settings(network))
    state = dict(network.state_dict())
    blocks = transformer_blocks(network)
    for name, block in blocks.items():
        state |= {f"{name}.{key}": value for key, value in _block_state(block).items()}
    nn.Module.to(folded, network.device, network.dtype)
    wanted = folded.state_dict()
    folded.load_state_dict({key: value for key, value in state.items() if key in wanted})
    return folded.eval(), 2 * len(blocks)


def _block_state(block: nn.Module) -> dict[str, torch.Tensor]:
    attention, feed = block.attn1, block.ff.net[0].proj
    stacked = torch.cat([getattr(attention, name).weight for name in PROJECTIONS])
    weight, bias = _after_norm(block.norm1, stacked, None)
    feed_weight, feed_bias = _after_norm(block.norm3, feed.weight, feed.bias)
    return {
        "attn1.to_qkv.weight": weight,
        "attn1.to_qkv.bias": bias,
        "ff.net.0.proj.weight": feed_weight,
        "ff.net.0.proj.bias": feed_bias,
    }


def _after_norm(
    norm: nn.LayerNorm, weight: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """W (n * g + b) + c = (W g) n + (W b + c)."""
    wide = weight.double()
    moved = wide @ norm.bias.double() + (0 if bias is None else bias.double())
    return (wide * norm.weight.double()).to(weight.dtype), moved.to(weight.dtype)


@torch.no_grad()
def fold_parser(parser: CompactParser) -> tuple[CompactParser, int]:
    """A folded copy of the built-in parser. Its attention layer keeps its norms: PyTorch's own layer wants them."""
    if parser.config.get("folded"):
        return parser, 0
    copy = CompactParser(tuple(parser.config["widths"]), parser.config["classes"]).eval()
    copy.load_state_dict(parser.state_dict())
    count = fold_norms(copy.to(parser.head.weight))
    copy.config["folded"] = True
    return copy, count


@torch.no_grad()
def fold_warp(network: WarpNet) -> tuple[WarpNet, int]:
    """A folded copy of the placement network."""
    if network.config.folded:
        return network, 0
    copy = WarpNet.from_config(settings(network)).eval()
    copy.load_state_dict(network.state_dict())
    count = fold_norms(nn.Module.to(copy, network.device, network.dtype))
    copy.register_to_config(folded=True)
    return copy, count
