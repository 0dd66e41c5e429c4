"""`TryOnUNet` folded: one projection where there were three, norms without factors of their own.

Made from an ordinary one by `catvton.training.folding`; for inference alone.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from torch import nn

from catvton.attention import BoundedAttention
from catvton.unet import TryOnUNet

__all__ = ["FoldedTryOnUNet", "ModelMixin"]  # see catvton.unet

PROJECTIONS = ("to_q", "to_k", "to_v")


class FoldedTryOnUNet(TryOnUNet):
    """Loads and saves like its parent, whose configuration it has; its tensors are others."""

    @functools.wraps(UNet2DConditionModel.__init__)
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for block in transformer_blocks(self).values():
            reshape(block)
        self.set_attn_processor(FusedAttention())


class FusedAttention(BoundedAttention):
    """Reads queries, keys and values from one projection, `to_qkv`."""

    def __call__(self, attn: nn.Module, hidden_states: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
        query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        parts = SimpleNamespace(
            heads=attn.heads, to_out=attn.to_out, to_q=lambda _: query, to_k=lambda _: key, to_v=lambda _: value
        )
        return super().__call__(parts, hidden_states, *args, **options)


def transformer_blocks(network: nn.Module) -> dict[str, BasicTransformerBlock]:
    """The blocks whose norms and projections can be folded, by name."""
    return {name: part for name, part in network.named_modules() if isinstance(part, BasicTransformerBlock)}


def reshape(block: BasicTransformerBlock) -> None:
    """Bring a block to its folded shape, the new tensors empty; `norm2` stays, as nothing projects what it gives."""
    attention = block.attn1
    width, inner = attention.to_q.in_features, attention.to_q.out_features
    like = attention.to_q.weight
    attention.to_qkv = nn.Linear(width, 3 * inner, device=like.device, dtype=like.dtype)
    for name in PROJECTIONS:
        delattr(attention, name)
    for name in ("norm1", "norm3"):
        norm = getattr(block, name)
        setattr(block, name, nn.LayerNorm(norm.normalized_shape, eps=norm.eps, elementwise_affine=False))
