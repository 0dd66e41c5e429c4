"""Reads the files CatVTON's authors published.

Their checkpoint holds only what they trained, the self-attentions of Stable Diffusion 1.5's inpainting UNet, numbered
by position: every eighth module of a list (attention, its projections, its processor) is the next self-attention, the
down blocks' first, then the up blocks', then the middle's, each with the five tensors of `TENSORS`. A loader that
trusts the names fills the wrong layers without an error; this one counts, checks every shape, and refuses the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from catvton.errors import WeightsError
from catvton.unet import TryOnUNet
from catvton.weights import from_pretrained, load_strictly, looks_local

VERSIONS = {"mix": "mix-48k-1024", "vitonhd": "vitonhd-16k-512", "dresscode": "dresscode-16k-512"}
TENSORS = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight", "to_out.0.bias")
STRIDE = 8

_KEY = re.compile(r"(\d+)\.(.+)")


def load_official(
    base: str | PathLike,
    attention: str | PathLike,
    *,
    version: str = "mix",
    vae: str | PathLike = "stabilityai/sd-vae-ft-mse",
    dtype: torch.dtype = torch.float32,
    base_revision: str | None = None,
    base_variant: str | None = None,
    attention_revision: str | None = None,
    vae_revision: str | None = None,
    cache_dir: str | PathLike | None = None,
    local_files_only: bool = False,
) -> dict[str, Any]:
    """The published pipeline's parts: {"vae", "unet", "scheduler"}, on the CPU, in `dtype`.

    `base`, `attention` and `vae` are local folders or Hub ids; `attention` may also be the file itself. `base_variant`
    is diffusers' `variant` of the base's UNet: "fp16" for the files named so. Raises
    ValueError for an unknown version and `WeightsError` for anything absent or of another shape.
    """
    if version not in VERSIONS:
        raise ValueError(f"version must be one of {', '.join(VERSIONS)}, not {version!r}.")
    hub = {"cache_dir": cache_dir, "local_files_only": local_files_only}
    file = _find_attention(attention, version, revision=attention_revision, **hub)
    unet = load_strictly(TryOnUNet, base, subfolder="unet", dtype=dtype, revision=base_revision,
                         variant=base_variant, **hub)  # fmt: skip
    load_attention(unet, read_attention(file), source=str(file))
    return {
        "vae": load_strictly(AutoencoderKL, vae, dtype=dtype, revision=vae_revision, **hub),
        "unet": unet,
        "scheduler": from_pretrained(DDIMScheduler, base, subfolder="scheduler", revision=base_revision, **hub),
    }


def read_attention(file: str | PathLike) -> dict[str, torch.Tensor]:
    """The tensors of an attention file, by key. Raises `WeightsError` when it is no safetensors file."""
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file} cannot be read as a safetensors file: {error}") from error


def self_attentions(unet: nn.Module) -> dict[str, nn.Module]:
    """The UNet's self-attentions by name, in the published order: down blocks, up blocks, middle."""
    order = ("down_blocks", "up_blocks", "mid_block")
    return {
        f"{part}.{name}": module
        for part in order
        for name, module in getattr(unet, part).named_modules()
        if name.endswith("attn1")
    }


def load_attention(unet: nn.Module, state: Mapping[str, torch.Tensor], *, source: str = "The attention file") -> int:
    """Put an official attention file into the UNet's self-attentions; the numbers loaded are returned.

    All or nothing: every key, group and shape is checked before the first tensor is copied. Raises `WeightsError`
    saying what was found and what was expected.
    """
    layers = self_attentions(unet)
    groups = _groups(state, source)
    expected = [STRIDE * position for position in range(len(layers))]
    if sorted(groups) != expected:
        raise WeightsError(
            f"{source} has {len(groups)} groups of tensors, numbered {_numbers(sorted(groups))}; this UNet has "
            f"{len(layers)} self-attentions, so {_numbers(expected)} were expected."
        )
    pairs = []
    for index, (name, layer) in zip(expected, layers.items(), strict=True):
        own = layer.state_dict(keep_vars=True)
        _check_group(index, groups[index], name, own, source)
        pairs += [(own[tensor], groups[index][tensor]) for tensor in TENSORS]
    with torch.no_grad():
        for target, value in pairs:
            target.copy_(value)
    return sum(value.numel() for _, value in pairs)


def _groups(state: Mapping[str, torch.Tensor], source: str) -> dict[int, dict[str, torch.Tensor]]:
    """{"8.to_q.weight": t, ...} -> {8: {"to_q.weight": t, ...}, ...}."""
    groups: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in state.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise WeightsError(f"{source} has a tensor {key!r}; official ones are named like '0.to_q.weight'.")
        groups.setdefault(int(match[1]), {})[match[2]] = value
    return groups


def _check_group(
    index: int, group: Mapping[str, torch.Tensor], name: str, own: Mapping[str, torch.Tensor], source: str
) -> None:
    if set(group) != set(TENSORS) or set(own) != set(TENSORS):
        raise WeightsError(
            f"{source}: group {index} has {', '.join(sorted(group))}, {name} has {', '.join(sorted(own))}; "
            f"both must have {', '.join(sorted(TENSORS))}."
        )
    for tensor in TENSORS:
        if group[tensor].shape != own[tensor].shape:
            raise WeightsError(
                f"{source}: {index}.{tensor} is {list(group[tensor].shape)}, {name} needs {list(own[tensor].shape)}."
            )


def _numbers(numbers: list[int]) -> str:
    if len(numbers) <= 6:
        return ", ".join(map(str, numbers)) or "none"
    return f"{', '.join(map(str, numbers[:4]))}, ..., {numbers[-1]}"


def _find_attention(attention: str | PathLike, version: str, **hub: Any) -> Path:
    name = f"{VERSIONS[version]}/attention/model.safetensors"
    path = Path(attention)
    if path.is_file():
        return path
    if path.is_dir() or looks_local(attention):
        if not (path / name).is_file():
            raise WeightsError(f"There is no {name} in {path}.")
        return path / name
    try:
        return Path(hf_hub_download(str(attention), name, **hub))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{name} of {attention} cannot be had from the Hub: {error}") from error
