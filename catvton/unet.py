"""The try-on UNet: Stable Diffusion's inpainting UNet without its text input.

CatVTON has no prompt, so every cross-attention goes. What a block adds there is not nothing, though: the reference
lets the attention return its input, which is `norm2(x)`, and the block adds that to its residual. So the module goes
and its LayerNorm stays: `x <- x + LayerNorm2(x)`.
"""

from __future__ import annotations

import functools

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from torch import nn

from catvton.attention import BoundedAttention

# diffusers finds a saved pipeline's own components only in modules that also have ModelMixin, so it is named here.
__all__ = ["ModelMixin", "SkippedAttention", "TryOnUNet"]


class SkippedAttention(nn.Module):
    """Stands where a block's cross-attention was: returns its input, and has no weights to save."""

    def forward(self, hidden_states: torch.Tensor, *_args: object, **_kwargs: object) -> torch.Tensor:
        return hidden_states


class TryOnUNet(UNet2DConditionModel):
    """`UNet2DConditionModel` whose cross-attentions are skipped; its configuration is the parent's.

    It loads the folder of an ordinary Stable Diffusion UNet (the cross-attention weights in it are left aside) and
    saves one without them. Call it as `unet(sample, timestep, encoder_hidden_states=None)`, with `sample`
    (B, in_channels, h, w); h and w may be any size.
    """

    _keys_to_ignore_on_load_unexpected = (r"\.attn2\.",)

    # The configuration is read off this signature: a bare (*args, **kwargs) would drop every key of it.
    @functools.wraps(UNet2DConditionModel.__init__)
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for module in list(self.modules()):
            if getattr(module, "attn2", None) is not None:
                module.attn2 = SkippedAttention()
        self.set_attn_processor(BoundedAttention())
