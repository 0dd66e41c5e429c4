"""What Inception sees in a picture: the features FID and KID are computed from, by the definition of clean-fid.

Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation" (arXiv 2104.11222): the resize filter
alone moves FID by whole points, so it is part of the definition. The network is the TorchScript file NVIDIA published
with StyleGAN2-ADA, which computes what the original TensorFlow graph did.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from PIL import Image

from catvton.errors import InputError, WeightsError

FEATURES = 2048
SIDE = 299
BATCH = 32

Picture: TypeAlias = "str | Path | Image.Image | np.ndarray"
Thing = TypeVar("Thing")


class Inception:
    """The network, ready to look at pictures.

    Args:
        layers: float32 (B, 3, 299, 299) in -1..1 -> (B, 2048, ...), as the submodule of that name in NVIDIA's file.
    """

    def __init__(self, layers: torch.nn.Module, *, device: str | torch.device = "cpu") -> None:
        self._layers, self._device = layers, torch.device(device)

    @classmethod
    def from_file(cls, path: Path, *, device: str | torch.device = "cpu") -> Inception:
        """Load `inception-2015-12-05.pt`. It holds code: load no file whose sha256 is not known.

        Raises:
            WeightsError: it cannot be read, or is not that network.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the file is what it is: TorchScript
                layers = torch.jit.load(str(path), map_location=device).eval().layers
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            raise WeightsError(f"{path} cannot be read as NVIDIA's Inception network: {error}") from error
        return cls(layers, device=device)

    def features(self, pictures: Iterable[Picture]) -> np.ndarray:
        """float64 (N, 2048), one row per picture.

        Args:
            pictures: files, PIL images or uint8 (H, W, 3) arrays in RGB order, each of any size.

        Raises:
            InputError: a file is no picture ("picture.broken").
        """
        rows = [self._batch(np.stack([resized(each) for each in batch])) for batch in batches(pictures, BATCH)]
        return np.concatenate(rows) if rows else np.empty((0, FEATURES))

    @torch.inference_mode()
    def _batch(self, pictures: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2).contiguous()
        seen = self._layers((pixels - 128) / 128)
        if seen.numel() != len(pictures) * FEATURES:
            raise WeightsError(f"The Inception network gives {tuple(seen.shape)} instead of {FEATURES} features each.")
        return seen.reshape(len(pictures), FEATURES).cpu().double().numpy()  # in this order: MPS has no float64


def resized(picture: Picture) -> np.ndarray:
    """float32 (299, 299, 3) in 0..255: bicubic with Pillow's antialiasing, channel by channel, not rounded.

    The sides are stretched to a square, whatever they were.
    """
    pixels = opened(picture).astype(np.float32)
    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, 2, 0))
    square = [np.asarray(plane.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for plane in planes]
    return np.stack(square, axis=2).clip(0, 255)


def opened(picture: Picture) -> np.ndarray:
    """uint8 (H, W, 3): the pixels as they are stored. Neither a turn nor a colour profile in the file is heeded, as in
    every published evaluation. Raises InputError."""
    if isinstance(picture, np.ndarray):
        return picture
    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    try:
        with Image.open(picture) as file:
            return np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{picture} cannot be opened as a picture ({error}).", code="picture.broken") from error


def batches(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Lists of `size` things, the last one shorter."""
    rest = iter(things)
    while batch := list(islice(rest, size)):
        yield batch
