"""How much memory a run needs, and what to give up when it does not fit: three presets, tried from the quickest down.

The estimates are for a pipeline of Stable Diffusion's kind (`AutoencoderKL`, `TryOnUNet`): weights plus the largest
activations of any phase. The three factors were measured on full-size networks with seeded weights (float32 on a CPU,
resident memory above the weights): a UNet row at 768x1024 takes 870 MiB, encoding a picture 1,929, decoding one 2,880.
Attention is not in them, because `catvton.attention` never holds its matrices. What a GPU's own context and
PyTorch's cache take comes on top (`RESERVE`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import SettingsError

if TYPE_CHECKING:
    import torch

    from catvton.pipeline import CatVTONPipeline

log = logging.getLogger(__name__)

GIBIBYTE = 2**30
UNET_FACTOR = 33.0  # numbers per token and channel of the finest level, for one row
ENCODE_FACTOR, DECODE_FACTOR = 5.1, 7.6  # numbers per pixel and channel of the finest level, for one picture
RESERVE = 0.6 * GIBIBYTE


@dataclass(frozen=True)
class Preset:
    """What is given up for memory.

    Attributes:
        one_row_at_a_time: the two rows of guidance are computed one after the other.
        slicing: the autoencoder encodes person and garment one after the other.
        tiling: the autoencoder works on overlapping tiles; pictures differ by what their seams blend.
        offload: only the network at work is on the device.
    """

    name: str
    one_row_at_a_time: bool = False
    slicing: bool = False
    tiling: bool = False
    offload: bool = False

    def lower(self) -> Preset | None:
        """The next one down, or None."""
        names = list(PRESETS)
        after = names.index(self.name) + 1
        return PRESETS[names[after]] if after < len(names) else None


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("speed"),
        Preset("balanced", one_row_at_a_time=True, slicing=True),
        Preset("low", one_row_at_a_time=True, slicing=True, tiling=True, offload=True),
    )
}
MEMORY = ("auto", *PRESETS)


@dataclass(frozen=True)
class Networks:
    """What an estimate needs to know of a pipeline's two networks.

    Attributes:
        unet, vae: their numbers of weights.
        unet_width, vae_width: channels of their finest levels.
        factor: pixels a side of a latent cell.
        tile: pixels a side of an autoencoder's tile.
    """

    unet: int
    vae: int
    unet_width: int
    vae_width: int
    factor: int
    tile: int

    @classmethod
    def of(cls, unet: torch.nn.Module, vae: torch.nn.Module) -> Networks:
        return cls(
            unet=sum(weight.numel() for weight in unet.parameters()),
            vae=sum(weight.numel() for weight in vae.parameters()),
            unet_width=unet.config.block_out_channels[0],
            vae_width=vae.config.block_out_channels[0],
            factor=2 ** (len(vae.config.block_out_channels) - 1),
            tile=vae.config.sample_size,
        )

    @classmethod
    def described(cls, unet: Path, vae: Path) -> Networks:
        """From the folders' config.json alone: the networks are built without memory, nothing of them is read."""
        import torch
        from diffusers import AutoencoderKL

        from catvton.unet import TryOnUNet

        with torch.device("meta"):
            networks = [
                kind.from_config(kind.load_config(folder)) for kind, folder in ((TryOnUNet, unet), (AutoencoderKL, vae))
            ]
        return cls.of(*networks)


def estimate(networks: Networks, preset: Preset, *, size: tuple[int, int], dtype: torch.dtype, guided: bool) -> int:
    """Bytes of device memory a run takes at its peak, one pair at a time.

    Args:
        size: (width, height) of the pictures.
        guided: whether guidance is on.
    """
    pixels = size[0] * size[1]
    tile = min(pixels, networks.tile**2) if preset.tiling else pixels
    rows = 2 if guided and not preset.one_row_at_a_time else 1
    tokens = 2 * pixels // networks.factor**2
    phases = {
        "unet": (networks.unet, UNET_FACTOR * rows * tokens * networks.unet_width),
        "encode": (networks.vae, ENCODE_FACTOR * (1 if preset.slicing else 2) * tile * networks.vae_width),
        "decode": (networks.vae, DECODE_FACTOR * tile * networks.vae_width),
    }
    everything = networks.unet + networks.vae
    numbers = max((weights if preset.offload else everything) + activations for weights, activations in phases.values())
    return round(numbers * dtype.itemsize)


def choose_preset(name: str, estimates: dict[str, int], free: int | None) -> tuple[Preset, str]:
    """The preset to begin with, and why.

    Args:
        name: "auto" or a preset's name.
        estimates: {preset: bytes}.
        free: bytes free on the device; None where nothing is known or it is the processor's own memory.

    Raises:
        SettingsError: there is no such preset.
    """
    if name not in MEMORY:
        raise SettingsError(f'Unknown memory preset "{name}": choose one of {", ".join(MEMORY)}.')
    if name != "auto":
        return PRESETS[name], "asked for"
    if free is None:
        return PRESETS["speed"], "no limit known"
    for preset in PRESETS.values():
        if estimates[preset.name] + RESERVE <= free:
            return preset, f"{free / GIBIBYTE:.1f} GiB are free"
    return PRESETS["low"], f"only {free / GIBIBYTE:.1f} GiB are free"


def free_memory(device: torch.device) -> int | None:
    """Bytes free on a CUDA device; None elsewhere, where memory is shared with the system."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def apply(preset: Preset, pipe: CatVTONPipeline, device: torch.device) -> CatVTONPipeline:
    """Bring a pipeline to a device the preset's way. Offloading needs an accelerator; without one it is left out."""
    for name, wanted in (("slicing", preset.slicing), ("tiling", preset.tiling)):
        switch = getattr(pipe.vae, f"{'enable' if wanted else 'disable'}_{name}", None)
        if switch is not None:  # the built-in autoencoder has neither, nor any need of them
            switch()
    if not preset.offload or device.type == "cpu":
        return pipe.to(device)
    pipe.enable_model_cpu_offload(device=device)
    return pipe

