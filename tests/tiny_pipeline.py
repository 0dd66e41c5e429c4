"""Tiny random networks for tests of the pipeline: the real code path in milliseconds."""

from __future__ import annotations

import functools

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from PIL import Image
from torch import nn

from catvton.pipeline import CatVTONPipeline
from catvton.unet import TryOnUNet

SIZE = {"height": 32, "width": 24}
DDIM = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


class RecordingUNet(ModelMixin, ConfigMixin):
    """A network of one matrix and a time term that mixes the whole picture into every cell; keeps what it was given."""

    @register_to_config
    def __init__(self, in_channels: int = 9, out_channels: int = 4) -> None:
        super().__init__()
        self.mix = nn.Conv2d(in_channels, out_channels, 1)
        self.seen: list[tuple[torch.Tensor, int]] = []

    def forward(self, sample, timestep, encoder_hidden_states=None, return_dict=True):
        self.seen.append((sample.clone(), int(timestep)))
        mixed = self.mix(sample)
        return (mixed + 0.5 * mixed.mean((-2, -1), keepdim=True) + torch.sin(timestep / 100).to(sample.dtype),)


def seeded(make, seed: int = 0):
    """`make()` with weights that depend on `seed` alone; the global generator is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def tiny_unet(in_channels: int = 9) -> TryOnUNet:
    return seeded(
        lambda: TryOnUNet(
            sample_size=16,
            in_channels=in_channels,
            out_channels=4,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            cross_attention_dim=8,
            attention_head_dim=2,
            norm_num_groups=4,
        )
    )


@functools.cache
def tiny_vae() -> AutoencoderKL:
    """Two pixels a cell. One for all tests: nothing changes it."""
    return seeded(
        lambda: AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            layers_per_block=1,
        )
    )


def tiny_pipe(unet=None, vae=None, scheduler=None, **config) -> CatVTONPipeline:
    pipe = CatVTONPipeline(
        vae=vae or tiny_vae(),
        unet=unet or tiny_unet(9 if config.get("use_mask", True) else 8),
        scheduler=scheduler or DDIMScheduler(**DDIM),
        **{**SIZE, **config},
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def noise_picture(seed: int, size: tuple[int, int] = (24, 32)) -> Image.Image:
    """A colourful picture of (width, height)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def box_mask(box: tuple[int, int, int, int] = (6, 8, 18, 24), size: tuple[int, int] = (24, 32)) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, box)
    return mask


def inputs(seed: int = 0, **options) -> dict:
    """Arguments of a short call."""
    return {
        "image": noise_picture(1),
        "condition_image": noise_picture(2),
        "mask": box_mask(),
        "num_inference_steps": 3,
        "generator": torch.Generator().manual_seed(seed),
        "output_type": "np",
        **options,
    }
