"""Tiny teachers in folders, and pictures to learn from: what `train distill`, `prune` and `fold` need, in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from catvton.compact_unet import CompactUNet
from catvton.pipeline import CatVTONPipeline
from catvton.training.pairs import FRAME
from catvton.training.unet_stage import compact_scheduler
from catvton.vae import PatchAutoencoder
from catvton.warp_net import WarpNet
from model.compact_parser import CompactParser
from tests.small_sets import write_ccp
from tests.tiny_pipeline import box_mask, noise_picture, seeded, tiny_pipe

COMPACT = {"in_channels": 13, "out_channels": 6, "widths": (16, 16, 24), "heads": 2}


def compact_unet(seed: int = 0, **config: object) -> CompactUNet:
    """No weight of it is 0 or 1, as in a trained one."""
    unet = seeded(lambda: CompactUNet(**COMPACT, **config), seed)
    return shaken(unet, seed)


def shaken(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module with every tensor moved a little, batch statistics too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.2 * torch.rand(tensor.shape, generator=generator).to(tensor))
    return module


def compact_teacher(folder: Path) -> Path:
    """A saved pipeline of the built-in kind at its real size of 288x384, with parser and placement network."""
    vae = seeded(lambda: PatchAutoencoder(latent_channels=6))
    pipe = CatVTONPipeline(
        vae, compact_unet(), compact_scheduler(), garment_noise="clean", uncond="zero_garment",
        height=FRAME[1], width=FRAME[0],
    )  # fmt: skip
    pipe.save_pretrained(folder)
    shaken(seeded(lambda: WarpNet(widths=(8, 8, 8, 8)))).save_pretrained(folder / "placement")
    shaken(seeded(lambda: CompactParser(widths=(8, 16, 16, 16, 16)))).save(folder / "parser")
    return folder


def compact_data(root: Path) -> Path:
    return write_ccp(root, labelled=(2, 3, 11), bare=())


def official_teacher(folder: Path) -> Path:
    """A saved pipeline of the published kind at 24x32."""
    tiny_pipe().save_pretrained(folder)
    return folder


def official_data(root: Path) -> str:
    """Three pairs with masks, as `--data` names them."""
    root.mkdir()
    with (root / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("person", "garment", "part", "mask"))
        for number in range(3):
            names = [f"{number}-{kind}.png" for kind in ("person", "garment", "mask")]
            for picture, name in zip(
                (noise_picture(number), noise_picture(9 + number), box_mask()), names, strict=True
            ):
                picture.save(root / name)
            table.writerow((*names[:2], "upper", names[2]))
    return f"csv:{root / 'pairs.csv'}"
