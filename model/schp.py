"""The published human parser, SCHP, from its authors' own files: what is each pixel of a person photo?

Li et al., "Self-Correction for Human Parsing". Two sets of labels, each with its own file: ATR (18) and LIP (20), see
`model.label_sets`. Geometry is `model.warp`'s, the network `model.schp_network`'s; this module reads files, feeds
pixels and takes labels.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from os import PathLike

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from model.errors import CheckpointError
from model.label_sets import Atr, Lip
from model.schp_network import UNUSED, AugmentCE2P
from model.warp import Warp

log = logging.getLogger(__name__)

PREFIX = "module."  # the files were written by a network wrapped for several GPUs

# A damaged pickle can fail anywhere in PyTorch's restricted unpickler, with whatever its code there happens to raise.
_UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, AttributeError, TypeError, AssertionError,
    pickle.UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """What one set of labels asks for: the side of the network's square input in pixels, and its classes."""

    side: int
    labels: type[IntEnum]


DATASETS = {"atr": Dataset(512, Atr), "lip": Dataset(473, Lip)}

# ImageNet's statistics in the order blue, green, red: SCHP was trained on files read by OpenCV. The published try-on
# hands it PIL pictures, red first, and takes these numbers in this order all the same, so red meets blue's. Its masks,
# and the try-on networks trained on them, come from labels made that way; so do ours.
MEAN = (0.406, 0.456, 0.485)
STD = (0.225, 0.224, 0.229)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (B, 3, h, w) RGB -> float32, the network's input."""
    mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


class SCHP:
    """Labels each pixel of a person photo; safe to share between threads.

    Args:
        network: with its weights, on its device.
        dataset: "atr" or "lip".
        unused: names of tensors the file had for training alone.
    """

    def __init__(self, network: AugmentCE2P, dataset: str, *, unused: Sequence[str] = ()) -> None:
        self.network = network.eval()
        self.dataset = _dataset(dataset)
        self.unused = tuple(unused)

    @classmethod
    def from_checkpoint(cls, path: str | PathLike, *, dataset: str = "atr", device: str | torch.device = "cpu") -> SCHP:
        """Load an official `.pth` file; every tensor of the network must be there, with its shape, and no other.

        Args:
            path: the file: {"state_dict": {"module.conv1.weight": ...}, ...}, or the inner mapping alone.
            dataset: the labels it was trained for, "atr" or "lip".

        Raises:
            CheckpointError: the file cannot be read, or is not this network's; the message says what differs.
            ValueError: unknown `dataset`.
        """
        classes = len(_dataset(dataset).labels)
        with torch.device("meta"):  # no memory and no chance for weights that come from the file
            network = AugmentCE2P(classes)
        unused = fill(network, read_checkpoint(path), source=f"{path} (as {dataset.upper()}, {classes} labels)")
        if unused:
            log.info("SCHP %s: %d tensors of heads for training are not used", dataset, len(unused))
        return cls(network.to(device), dataset, unused=unused)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Labels of one photo: any mode and size -> uint8 (H, W), values of `Atr` or `Lip`."""
        return self.batch([image])[0]

    def batch(self, images: Sequence[Image.Image]) -> list[np.ndarray]:
        """Labels of several photos of any sizes, in one pass of the network."""
        if not images:
            return []
        return [_best(planes, self._warp(image)) for planes, image in zip(self._planes(images), images, strict=True)]

    def logits(self, image: Image.Image) -> np.ndarray:
        """float32 (classes, H, W): how each label does at each pixel of the photo."""
        warp = self._warp(image)
        return np.stack([warp.back(plane) for plane in self._planes([image])[0]])

    def _warp(self, image: Image.Image) -> Warp:
        return Warp(image.size, self.dataset.side)

    @torch.inference_mode()
    def _planes(self, images: Sequence[Image.Image]) -> np.ndarray:
        """float32 (B, classes, side, side): the network's logits at its input's size."""
        squares = [self._warp(image).there(np.asarray(image.convert("RGB"))) for image in images]
        device = next(self.network.parameters()).device
        pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).to(device)
        small = self.network(normalise(pixels))
        size = (self.dataset.side, self.dataset.side)
        return F.interpolate(small, size=size, mode="bilinear", align_corners=True).cpu().numpy()


def read_checkpoint(path: str | PathLike) -> dict[str, torch.Tensor]:
    """The tensors of an official file, by name without "module.". Nothing in the file is run.

    Raises:
        CheckpointError: no such file, not readable without running code, or no mapping of tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a file of weights: {reason}") from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{path} holds no weights: expected a mapping of names to tensors, as SCHP's files are.")
    return {str(key).removeprefix(PREFIX): value for key, value in state.items()}


def fill(network: AugmentCE2P, state: Mapping[str, torch.Tensor], *, source: str = "The file") -> tuple[str, ...]:
    """Give the network the tensors of `state`, as float32: all or none.

    Returns:
        The names that were passed over: heads for training (`UNUSED`), and counters of training steps.

    Raises:
        CheckpointError: names are missing or unexpected, or shapes differ.
    """
    own = network.state_dict()
    unused = tuple(key for key in state if key in UNUSED or key.endswith("num_batches_tracked"))
    faults = {
        "missing": [key for key in own if key not in state],
        "unexpected": [key for key in state if key not in own and key not in unused],
        "of another shape": [
            f"{key} {list(state[key].shape)} for {list(own[key].shape)}"
            for key in own
            if key in state and state[key].shape != own[key].shape
        ],
    }
    if any(faults.values()):
        found = "; ".join(f"{len(names)} {fault}: {_few(names)}" for fault, names in faults.items() if names)
        raise CheckpointError(f"{source} does not hold the weights of SCHP. Tensors {found}.")
    network.load_state_dict({key: state[key].float() for key in own}, assign=True)
    network.requires_grad_(False)
    return unused


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, not {name!r}")
    return DATASETS[name]


def _best(planes: np.ndarray, warp: Warp) -> np.ndarray:
    """The label with the highest logit at each pixel of the photo; plane by plane, a photo of each would not fit."""
    best, labels = warp.back(planes[0]), np.zeros(warp.photo_size[::-1], np.uint8)
    for label, plane in enumerate(planes[1:], start=1):
        logit = warp.back(plane)
        labels[logit > best] = label
        np.maximum(best, logit, out=best)
    return labels
