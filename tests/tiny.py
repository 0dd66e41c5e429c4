"""A random engine of a few thousand weights and a masker made of thresholds: the real code path, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from PIL import Image

from catvton.cards import ModelCard, Range
from catvton.engines import PipelineEngine
from catvton.masking import GREY
from catvton.pipeline import CatVTONPipeline
from catvton.tryon import TryOn
from catvton.unet import TryOnUNet
from model.errors import NoPersonFound, PartNotVisible

SIZE = (48, 64)

CARD = ModelCard(
    name="tiny",
    revision="0",
    title="Tiny",
    description="Random weights.",
    licence="Apache-2.0",
    commercial=True,
    folder=Path("nowhere"),
    files=("model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
    mend="python -m there is none",
    sizes=(SIZE, (72, 96)),
    steps=Range(default=3, minimum=1, maximum=20),
    guidance=Range(default=2.5, minimum=0.0, maximum=7.5),
    placement=False,
)


def tiny_pipeline(*, seed: int = 0) -> CatVTONPipeline:
    """A `CatVTONPipeline` of the published shape with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            latent_channels=4,
            norm_num_groups=4,
        )
        unet = TryOnUNet(
            in_channels=9,
            out_channels=4,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            attention_head_dim=4,
            cross_attention_dim=8,
            norm_num_groups=4,
        )
    scheduler = DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    return CatVTONPipeline(vae.eval(), unet.eval(), scheduler, height=SIZE[1], width=SIZE[0])


def tiny_engine(**changes: Any) -> PipelineEngine:
    """An engine around `tiny_pipeline`; `changes` go to its card."""
    return PipelineEngine.around(tiny_pipeline(), replace(CARD, **changes))


@dataclass
class TinyMask:
    """What a masker returns, in the parts that are used."""

    mask: np.ndarray
    labels: np.ndarray
    box: tuple[int, int, int, int]
    notes: tuple[str, ...] = ()


class TinyMasker:
    """All that is neither white nor hidden is the person; the upper part is the box's second quarter."""

    def parse(self, image: Image.Image) -> TinyMask:
        grey = np.asarray(image.convert("L"))
        labels = (grey // 32).astype(np.uint8)  # any change of the picture changes the labels
        somebody = (grey < 250) & (grey != GREY)
        rows, columns = np.flatnonzero(somebody.any(axis=1)), np.flatnonzero(somebody.any(axis=0))
        if not rows.size:
            raise NoPersonFound
        box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        return TinyMask(mask=np.zeros_like(grey), labels=labels, box=box)

    def __call__(self, image: Image.Image, part: str) -> TinyMask:
        if part == "lower":
            raise PartNotVisible(part)
        found = self.parse(image)
        left, top, right, bottom = found.box
        found.mask[(3 * top + bottom) // 4 : (top + bottom) // 2, left:right] = 255
        return replace(found, notes=("a note of the masker",))


def person(size: tuple[int, int] = (90, 150), *, seed: int = 0) -> Image.Image:
    """A noisy block on white."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    block = pixels[size[1] // 8 : -size[1] // 8, size[0] // 4 : -size[0] // 4]
    block[:] = np.random.default_rng(seed).integers(0, 200, block.shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def garment(colour: str = "crimson") -> Image.Image:
    picture = Image.new("RGB", (60, 50), "white")
    picture.paste(colour, (10, 10, 50, 45))
    return picture


def mask(size: tuple[int, int] = (90, 150)) -> np.ndarray:
    drawn = np.zeros((size[1], size[0]), np.uint8)
    drawn[size[1] // 3 : size[1] // 2, size[0] // 3 : -size[0] // 3] = 255
    return drawn


def tiny_tryon(*, masker: Callable | None = None, **changes: Any) -> TryOn:
    return TryOn([tiny_engine(**changes)], masker or TinyMasker())
