"""The networks of the figures, small and with seeded weights, in files like the published ones."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from catvton.evaluation import networks


class _Layers(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, features, 4)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.look(torch.nn.functional.adaptive_avg_pool2d(pixels, 4)).relu()


class _Whole(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = _Layers(features)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.layers(pixels)


def seeded(module: nn.Module, seed: int) -> nn.Module:
    """The module with weights drawn from the seed alone."""
    generator = torch.Generator().manual_seed(seed)
    for weight in module.state_dict().values():
        fan_in = max(1, weight[0].numel()) if weight.ndim > 1 else 16
        weight.copy_(torch.randn(weight.shape, generator=generator) / fan_in**0.5)
    return module


def write_inception(path: Path, *, features: int = 2048, whole: bool = True) -> nn.Module:
    """A TorchScript file with a submodule `layers` (without it if not `whole`). Returns that submodule."""
    module = seeded(_Whole(features) if whole else _Layers(features), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NVIDIA's file is TorchScript, so is this one
        torch.jit.script(module).save(str(path))
    return module.layers if whole else module


def squeezenet_weights(seed: int = 2) -> dict[str, torch.Tensor]:
    """Seeded tensors under the names and in the shapes of torchvision's squeezenet1_1."""
    shapes = {"features.0": (64, 3, 3)}
    fires = {3: (64, 16, 64), 4: (128, 16, 64), 6: (128, 32, 128), 7: (256, 32, 128), 9: (256, 48, 192)}
    fires |= {10: (384, 48, 192), 11: (384, 64, 256), 12: (512, 64, 256)}
    for index, (channels, squeezed, expanded) in fires.items():
        shapes[f"features.{index}.squeeze"] = (squeezed, channels, 1)
        shapes[f"features.{index}.expand1x1"] = (expanded, squeezed, 1)
        shapes[f"features.{index}.expand3x3"] = (expanded, squeezed, 3)
    shapes["classifier.1"] = (1000, 512, 1)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, (out, channels, side) in shapes.items():
        scale = (2 / (channels * side**2)) ** 0.5
        weights[f"{name}.weight"] = torch.randn(out, channels, side, side, generator=generator) * scale
        weights[f"{name}.bias"] = torch.randn(out, generator=generator) * 0.1
    return weights


def head_weights(seed: int = 3) -> dict[str, torch.Tensor]:
    """Seeded tensors under the names and in the shapes of LPIPS 0.1's heads for SqueezeNet."""
    generator = torch.Generator().manual_seed(seed)
    counts = (64, 128, 256, 384, 384, 512, 512)
    return {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1, generator=generator) for i, n in enumerate(counts)}


def install(monkeypatch, root: Path) -> Path:
    """Put the small networks into a models folder and let them be the published ones. Returns the folder."""
    folder = root / networks.FOLDER
    folder.mkdir(parents=True)
    write_inception(folder / "inception-2015-12-05.pt")
    torch.save(squeezenet_weights(), folder / "squeezenet1_1-b8a52dc0.pth")
    for name in ("inception", "squeezenet"):
        data = (folder / networks.NETWORKS[name].file).read_bytes()
        publish(monkeypatch, name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    return root


def publish(monkeypatch, name: str, **changes: object) -> None:
    """Change what is known of a published file."""
    monkeypatch.setitem(networks.NETWORKS, name, replace(networks.NETWORKS[name], **changes))


def picture(seed: int, size: tuple[int, int] = (48, 64)) -> Image.Image:
    """A soft random picture (RGB, W x H)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
