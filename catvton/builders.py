"""How an engine's pipeline is put together from its files, by the kind its card names.

- `saved`: a pipeline as `save_pretrained` left it.
- `official`: Stable Diffusion's inpainting UNet with CatVTON's self-attentions in it.
- `maskfree`: InstructPix2Pix' UNet with CatVTON's mask-free self-attentions: no mask channel, person and garment joined
  along the width.
- `deco`: CatVTON's network trained whole. Its unconditional row loses the garment altogether, and at every step the
  garment's half of the noisy input is the clean garment, noised anew.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from catvton.memory import Networks

if TYPE_CHECKING:
    import torch

    from catvton.cards import ModelCard
    from catvton.pipeline import CatVTONPipeline

log = logging.getLogger(__name__)


def build(card: ModelCard, *, dtype: torch.dtype) -> CatVTONPipeline:
    """The card's pipeline, on the CPU, in `dtype`. Raises WeightsError: a file is missing or does not fit."""
    card.require_files()
    return _KINDS[card.kind](card, dtype)


def describe(card: ModelCard) -> Networks | None:
    """What an estimate of memory needs, from configurations alone; None for an engine too small to need one."""
    if card.kind == "saved":
        return None
    paths = card.paths
    unet = paths["unet"] if card.kind == "deco" else paths["base"] / "unet"
    return Networks.described(unet, paths["vae"])


def _saved(card: ModelCard, dtype: torch.dtype) -> CatVTONPipeline:
    from catvton.pipeline import CatVTONPipeline

    return CatVTONPipeline.from_pretrained(card.folder, dtype=dtype, use_safetensors=True, local_files_only=True)


def _official(card: ModelCard, dtype: torch.dtype) -> CatVTONPipeline:
    return _assembled(card, dtype)


def _mask_free(card: ModelCard, dtype: torch.dtype) -> CatVTONPipeline:
    return _assembled(card, dtype, concat_axis="width", use_mask=False)


def _assembled(card: ModelCard, dtype: torch.dtype, **layout: object) -> CatVTONPipeline:
    from catvton.official import load_official
    from catvton.pipeline import CatVTONPipeline

    paths = card.paths
    parts = load_official(
        paths["base"], paths["attention"], vae=paths["vae"], dtype=dtype, base_variant=card.variants["base"],
        local_files_only=True,
    )  # fmt: skip
    # InstructPix2Pix names another sampler, whose configuration need not say what DDIM would do by default: clip.
    parts["scheduler"] = type(parts["scheduler"]).from_config(parts["scheduler"].config, clip_sample=False)
    return CatVTONPipeline(**parts, **_size(card), **layout)


def _deco(card: ModelCard, dtype: torch.dtype) -> CatVTONPipeline:
    from diffusers import AutoencoderKL, DDIMScheduler

    from catvton.pipeline import CatVTONPipeline
    from catvton.unet import TryOnUNet
    from catvton.weights import from_pretrained, load_strictly

    paths, local = card.paths, {"local_files_only": True}
    return CatVTONPipeline(
        vae=load_strictly(AutoencoderKL, paths["vae"], dtype=dtype, **local),
        unet=load_strictly(TryOnUNet, paths["unet"], dtype=dtype, variant=card.variants["unet"], **local),
        scheduler=from_pretrained(DDIMScheduler, paths["base"], subfolder="scheduler", **local),
        uncond="zero_garment",
        garment_noise="renoise",
        **_size(card),
    )


def _size(card: ModelCard) -> dict[str, int]:
    width, height = card.size
    return {"width": width, "height": height}


_KINDS = {"saved": _saved, "official": _official, "maskfree": _mask_free, "deco": _deco}
