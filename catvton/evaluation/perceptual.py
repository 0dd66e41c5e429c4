"""LPIPS with SqueezeNet 1.1: how different two pictures look to a network (Zhang et al., arXiv 1801.03924).

The network is written out here, because torchvision, where the published code takes it from, is not needed otherwise.
Its weights are torchvision's own file, the heads those of LPIPS 0.1.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import nn

from catvton.errors import WeightsError
from catvton.evaluation.similarity import pair

# Of the data SqueezeNet was trained on, for pictures in -1..1 instead of 0..1.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPS = 1e-8

_CUTS = (2, 5, 8, 10, 11, 12, 13)  # LPIPS looks at the features before each of these layers
_CHANNELS = (64, 128, 256, 384, 384, 512, 512)


class LPIPS:
    """Learned perceptual image patch similarity, 0 for the same picture; as torchmetrics has it for net_type="squeeze".

    `LPIPS.from_files(backbone, heads)(result, truth)` -> float.
    """

    def __init__(self, features: nn.Sequential, heads: list[torch.Tensor], *, device: str | torch.device) -> None:
        self._device = torch.device(device)
        self._features = features.eval().requires_grad_(False).to(self._device)
        self._heads = [head.to(self._device) for head in heads]

    @classmethod
    def from_files(cls, backbone: Path, heads: Path, *, device: str | torch.device = "cpu") -> LPIPS:
        """Load both files strictly.

        Args:
            backbone: torchvision's `squeezenet1_1-b8a52dc0.pth`; heads: `squeeze.pth` of LPIPS 0.1.

        Raises:
            WeightsError: a file cannot be read, or is of another network.
        """
        features = _squeezenet()
        weights = _tensors(backbone)
        kept = {key.removeprefix("features."): value for key, value in weights.items() if key.startswith("features.")}
        try:
            features.load_state_dict(kept)
        except RuntimeError as error:
            raise WeightsError(f"{backbone} is not SqueezeNet 1.1: {error}") from error
        return cls(features, _heads(heads), device=device)

    @torch.inference_mode()
    def __call__(self, one: np.ndarray, other: np.ndarray) -> float:
        """The distance of two pictures.

        Args:
            one, other: uint8 (H, W, 3), RGB, of the same size, at least 32 pixels a side.

        Raises:
            InputError: they cannot be compared; its code begins with "picture.".
        """
        both = self._seen(torch.cat(pair(one, other, device=self._device)) * 2 - 1)
        return float(
            sum((head * (a - b).square()).sum(0).mean() for head, (a, b) in zip(self._heads, both, strict=True))
        )

    def _seen(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Of float32 (2, 3, H, W) in -1..1 the features at every cut, each pixel's of length 1."""
        found = []
        flow = (pictures - pictures.new_tensor(_SHIFT)[:, None, None]) / pictures.new_tensor(_SCALE)[:, None, None]
        for position, layer in enumerate(self._features, start=1):
            flow = layer(flow)
            if position in _CUTS:
                found.append(flow / (_EPS + flow.square().sum(1, keepdim=True)).sqrt())
        return found


class _Fire(nn.Module):
    """A squeeze to few channels, and two expansions of it side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        flow = self.squeeze(flow).relu()
        return torch.cat([self.expand1x1(flow), self.expand3x3(flow)], 1).relu()


def _squeezenet() -> nn.Sequential:
    """The 13 feature layers of SqueezeNet 1.1, named and numbered as torchvision does; the weights mean nothing yet."""

    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    with torch.device("meta"):  # draws no random weights
        layers = nn.Sequential(
            *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool()),
            *(_Fire(64, 16, 64), _Fire(128, 16, 64), pool()),
            *(_Fire(128, 32, 128), _Fire(256, 32, 128), pool()),
            *(_Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256)),
        )
    return layers.to_empty(device="cpu")


def _heads(path: Path) -> list[torch.Tensor]:
    """The weight of every channel at every cut, float32 (channels, 1, 1) each."""
    weights = _tensors(path)
    wanted = {f"lin{index}.model.1.weight": (1, count, 1, 1) for index, count in enumerate(_CHANNELS)}
    found = {key: tuple(value.shape) for key, value in weights.items()}
    if found != wanted:
        raise WeightsError(
            f"{path} does not hold the heads of LPIPS for SqueezeNet 1.1 (squeeze.pth of its version 0.1)."
        )
    return [weights[key][0] for key in wanted]


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error
    if not (isinstance(found, dict) and all(isinstance(value, torch.Tensor) for value in found.values())):
        raise WeightsError(f"{path} holds something else than tensors by their names.")
    return found
