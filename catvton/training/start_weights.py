"""What a training run begins with: a pipeline in float32, laid out as its recipe wants.

It comes from a saved pipeline's folder; from an engine of the registry, to train it further; or from a base of the
registry, "sd15-inpainting" or "instruct-pix2pix", whose network was never trained for try-on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler

from catvton.builders import build
from catvton.cards import ModelCard, find_card, read_versions
from catvton.errors import InputError
from catvton.hub.store import Store
from catvton.pipeline import CatVTONPipeline
from catvton.training.recipes import PRESETS, TryOnRecipe
from catvton.unet import TryOnUNet
from catvton.weights import load_strictly

if TYPE_CHECKING:
    from catvton.settings import Settings


def open_base(recipe: TryOnRecipe, settings: Settings, *, size: tuple[int, int]) -> CatVTONPipeline:
    """The pipeline that `recipe.base` names, on the CPU, at `size` (W, H).

    Raises:
        WeightsError: it was not downloaded; the text ends with the command that does it.
        InputError: there is no such base, or its network is of another kind.
    """
    parts = _parts(recipe.base, settings)
    _check(parts, recipe)
    width, height = size
    layout = {name: getattr(recipe, name) for name in ("concat_axis", "use_mask", "uncond", "garment_noise")}
    pipe = CatVTONPipeline(**parts, **layout, width=width, height=height)
    pipe.set_progress_bar_config(disable=True)
    if any(side % pipe.spatial_factor for side in size):
        raise InputError(
            f"{width}x{height} cannot be trained at: both sides must be multiples of {pipe.spatial_factor}.",
            code="option.resolution",
        )
    return pipe


def _parts(base: str, settings: Settings) -> dict[str, Any]:
    """{"vae", "unet", "scheduler"}. The registry's names go before folders of the same name."""
    versions = read_versions(overlay=settings.registry, models_dir=settings.models_dir)
    if cards := _with_source(base, versions):
        return _untrained(cards)
    if base.partition("@")[0] in versions:
        card = find_card(base, versions, lock=Store(settings.models_dir).read_lock())
        return _of_pipeline(build(card, dtype=torch.float32))
    if not Path(base).is_dir():
        raise _unknown(base, versions)
    return _of_pipeline(CatVTONPipeline.from_pretrained(Path(base)))


def _of_pipeline(pipe: CatVTONPipeline) -> dict[str, Any]:
    return {name: getattr(pipe, name) for name in ("vae", "unet", "scheduler")}


def _with_source(base: str, versions: dict[str, dict[str, ModelCard]]) -> list[ModelCard]:
    """The engines that are made of a source of this name, which holds a whole network."""
    cards = [card for of_engine in versions.values() for card in of_engine.values()]
    return [card for card in cards if (source := card.role("base")) and source.name == base and card.role("attention")]


def _untrained(cards: list[ModelCard]) -> dict[str, Any]:
    """The base of any of the engines that is downloaded, with the autoencoder that goes with it."""
    card = next((card for card in cards if not card.missing_files()), cards[0])
    card.require_files()
    paths, local = card.paths, {"local_files_only": True}
    # Not every base names DDIM; what its own sampler leaves unsaid must not become DDIM's default of clipping.
    config = DDIMScheduler.load_config(paths["base"], subfolder="scheduler")
    return {
        "vae": load_strictly(AutoencoderKL, paths["vae"], dtype=torch.float32, **local),
        "unet": load_strictly(
            TryOnUNet, paths["base"], subfolder="unet", dtype=torch.float32, variant=card.variants["base"], **local
        ),
        "scheduler": DDIMScheduler.from_config(config, clip_sample=False),
    }


def _unknown(base: str, versions: dict[str, dict[str, ModelCard]]) -> InputError:
    cards = [card for of_engine in versions.values() for card in of_engine.values()]
    bases = sorted({card.role("base").name for card in cards if card.role("attention")})
    engines = [name for name, of_engine in versions.items() if any(card.sources for card in of_engine.values())]
    return InputError(
        f'There is no base "{base}": one of {", ".join(bases + engines)} is accepted, or the folder of a saved '
        "pipeline.",
        code="option.base",
    )


def _check(parts: dict[str, Any], recipe: TryOnRecipe) -> None:
    unet, vae = parts["unet"], parts["vae"]
    if not isinstance(unet, TryOnUNet):
        raise InputError(
            f"The network of {recipe.base} is a {type(unet).__name__}: {recipe.name} trains Stable Diffusion's. The "
            "built-in model has a recipe of its own, `train compact`.",
            code="base.kind",
        )
    expected = recipe.layout.input_channels(vae.config.latent_channels)
    if unet.config.in_channels != expected:
        raise InputError(
            f"The network of {recipe.base} reads {unet.config.in_channels} channels; {recipe.name} needs one that "
            f"reads {expected}, as {PRESETS[recipe.name].base} does.",
            code="base.channels",
        )
