"""SSIM as try-on papers report it, and how two pictures are made ready to be compared by a network."""

from __future__ import annotations

import numpy as np
import torch

from catvton.errors import InputError

MIN_SIDE = 32  # pixels: SSIM pads by 5, and SqueezeNet halves four times


def ssim(one: np.ndarray, other: np.ndarray, *, device: str | torch.device = "cpu") -> float:
    """Structural similarity of two pictures by torchmetrics, from -1 to 1; 1 for the same picture.

    Gaussian window of sigma 1.5 (11 pixels), K1 0.01, K2 0.03, data range 1, mirrored at the edges, the mean over the
    pixels of the three colour channels. That is what CatVTON's own figures were made with; `evaluation.metrics` has
    the SSIM of greys in square windows, whose values are others.

    Args:
        one, other: uint8 (H, W, 3), RGB, of the same size, at least 32 pixels a side.

    Raises:
        InputError: they cannot be compared; its code begins with "picture.".
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # takes seconds to import

    with torch.inference_mode():
        return float(structural_similarity_index_measure(*pair(one, other, device=device), data_range=1.0))


def pair(one: np.ndarray, other: np.ndarray, *, device: str | torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures, uint8 (H, W, 3), as float32 (1, 3, H, W) in 0..1. Raises InputError as `ssim` does."""
    for picture in (one, other):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(
                f"A picture to compare is {picture.dtype} of shape {picture.shape}: uint8 (H, W, 3) is needed.",
                code="picture.array",
            )
    if one.shape != other.shape:
        raise InputError(
            f"The pictures measure {_size(one)} and {_size(other)}: only pictures of one size can be compared.",
            code="picture.sizes",
        )
    if min(one.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"The pictures measure {_size(one)}: at least {MIN_SIDE} x {MIN_SIDE} are needed.", code="picture.too_small"
        )
    return _unit(one, device), _unit(other, device)


def _unit(picture: np.ndarray, device: str | torch.device) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].to(device, torch.float32) / 255


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
