"""From a photo to the network's input, as Detectron2's predictor and CatVTON's wrapper around it prepare it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from densepose.config import Config

LONGEST_SIDE = 1024  # of the photo the published wrapper hands on; larger ones are reduced first


@dataclass(frozen=True)
class Prepared:
    """A photo made ready.

    Attributes:
        pixels: float32 (3, h, w), B, G, R from 0 to 255.
        photo_size: (height, width) of the photo.
        frame: (height, width) after the first reduction: the frame that boxes are cut to whole pixels in.
    """

    pixels: torch.Tensor
    photo_size: tuple[int, int]
    frame: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of `pixels`."""
        return self.pixels.shape[1], self.pixels.shape[2]


def prepare(photo: Image.Image, config: Config) -> Prepared:
    """Reduce the photo to `LONGEST_SIDE`, then scale it as the config says."""
    frame = reduce(photo)
    scaled = _scale(frame, shortest=config.input.min_size_test, longest=config.input.max_size_test)
    pixels = torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)
    return Prepared(pixels, (photo.height, photo.width), frame.shape[:2])


def batch(photos: list[Prepared], config: Config, *, multiple: int, device: torch.device) -> torch.Tensor:
    """Photos of one size -> float32 (N, 3, H, W), normalised, zeros added below and to the right up to `multiple`."""
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1)
                 for values in (config.model.pixel_mean, config.model.pixel_std))  # fmt: skip
    images = (torch.stack([photo.pixels for photo in photos]).to(device) - mean) / std
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple))


def enlarge(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map at the photo's (height, width): the nearest label, never a mixture."""
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def reduce(photo: Image.Image) -> np.ndarray:
    """uint8 (h, w, 3), B, G, R: the photo, scaled down by OpenCV (bilinear) where it is longer than `LONGEST_SIDE`.

    Sizes are cut off, not rounded, as in the published wrapper.
    """
    bgr = np.ascontiguousarray(np.asarray(photo.convert("RGB"))[:, :, ::-1])
    height, width = bgr.shape[:2]
    factor = LONGEST_SIDE / max(height, width)
    if factor >= 1:
        return bgr
    return cv2.resize(bgr, (max(1, int(width * factor)), max(1, int(height * factor))), interpolation=cv2.INTER_LINEAR)


def _scale(bgr: np.ndarray, *, shortest: int, longest: int) -> np.ndarray:
    """Pillow's bilinear scaling until the shorter side is `shortest` (0: as it is), or the longer one `longest`."""
    if not shortest:
        return bgr
    height, width = bgr.shape[:2]
    factor = shortest / min(height, width)
    if max(height, width) * factor > longest:
        factor = longest / max(height, width)
    # halves go up, as in the reference
    size = tuple(max(1, int(side * factor + 0.5)) for side in (width, height))
    return np.asarray(Image.fromarray(bgr).resize(size, Image.Resampling.BILINEAR))
