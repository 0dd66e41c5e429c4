"""Writes a trained network in the layouts its kin is published in, for every other tool of the field.

CatVTON publishes its self-attentions alone, `mix-48k-1024/attention/model.safetensors`; DeCo-VTON, trained whole, a
diffusers folder `unet/`. `catvton.official` reads the first and says how its tensors are numbered.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers.utils import CONFIG_NAME
from safetensors.torch import save_file
from torch import nn

from catvton.official import STRIDE, TENSORS, VERSIONS, self_attentions
from catvton.unet import TryOnUNet


def export_attention(unet: nn.Module, folder: Path) -> Path:
    """Write the self-attentions below `folder` in CatVTON's layout, float32; returns the file.

    The version's name is "mix": the one that other tools take unless told otherwise.
    """
    file = folder / VERSIONS["mix"] / "attention" / "model.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file(attention_tensors(unet), partial, metadata={"format": "pt"})
    partial.replace(file)
    return file


def attention_tensors(unet: nn.Module) -> dict[str, torch.Tensor]:
    """{"0.to_q.weight": tensor, ...} float32 on the CPU: every self-attention's tensors by their published names."""
    return {
        f"{STRIDE * position}.{name}": layer.get_parameter(name).detach().to("cpu", torch.float32).contiguous()
        for position, layer in enumerate(self_attentions(unet).values())
        for name in TENSORS
    }


def export_unet(unet: TryOnUNet, folder: Path) -> Path:
    """Write the whole network below `folder` as the diffusers folder `unet/`; returns it.

    Its configuration names diffusers' own class, and no folder of this machine.
    """
    target = folder / "unet"
    unet.save_pretrained(target)
    config = json.loads((target / CONFIG_NAME).read_text(encoding="utf-8"))
    config = {**config, "_class_name": "UNet2DConditionModel"}
    (target / CONFIG_NAME).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    without_origin(target)
    return target


def without_origin(folder: Path) -> None:
    """Take diffusers' note of where a part was read from out of every configuration in a saved folder."""
    for path in folder.rglob("*.json"):
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
