"""Pictures to tensors and back, as the published method prepares them (byte for byte).

PIL pictures in, PIL pictures or float32 tensors out; nothing is edited in place. Sizes are (width, height), as PIL
has them. Tensors of pictures are (B, 3, H, W) in -1..1, masks (B, 1, H, W) of 0 and 1; 1 may change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageFilter

Pictures = Image.Image | np.ndarray | Sequence[Image.Image | np.ndarray] | torch.Tensor

_THRESHOLD = 127  # a mask's byte above it may change; 127 / 255 < 0.5 <= 128 / 255
_WHITE = (255, 255, 255)


def resize_and_crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The largest centred window of `size`'s aspect, resampled to `size`. For the person and its mask."""
    width, height = image.size
    target_width, target_height = size
    if width * target_height < height * target_width:  # too tall: all of the width is used
        kept_width, kept_height = width, width * target_height // target_width
    else:
        kept_width, kept_height = height * target_width // target_height, height
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    window = (left, top, (width + kept_width) // 2, (height + kept_height) // 2)
    return image.crop(window).resize(size, Image.Resampling.LANCZOS)


def resize_and_padding(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The whole picture, resampled to fit into `size` and centred on white (RGB). For the garment."""
    width, height = image.size
    target_width, target_height = size
    if width * target_height < height * target_width:  # too tall: white left and right
        fitted = (max(1, width * target_height // height), target_height)
    else:
        fitted = (target_width, max(1, height * target_width // width))
    page = Image.new("RGB", size, _WHITE)
    corner = ((target_width - fitted[0]) // 2, (target_height - fitted[1]) // 2)
    page.paste(image.resize(fitted, Image.Resampling.LANCZOS), corner)
    return page


def as_list(pictures: Image.Image | np.ndarray | Sequence[Image.Image | np.ndarray], mode: str) -> list[Image.Image]:
    """One picture or several, as PIL or uint8 arrays (H, W[, 3]) -> a list of PIL pictures in `mode` ("RGB" or "L")."""
    several = pictures if isinstance(pictures, (list, tuple)) else [pictures]
    return [_as_pil(picture).convert(mode) for picture in several]


def _as_pil(picture: Image.Image | np.ndarray) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim in (2, 3):
        return Image.fromarray(picture)
    found = f"{picture.dtype} array {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
    raise ValueError(f"A picture must be a PIL image or a uint8 array (H, W[, 3]), not {found}.")


def prepare_image(pictures: Image.Image | Sequence[Image.Image]) -> torch.Tensor:
    """RGB pictures of one size -> float32 (B, 3, H, W) in -1..1."""
    pixels = np.stack([np.asarray(picture) for picture in as_list(pictures, "RGB")])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0


def prepare_mask(masks: Image.Image | Sequence[Image.Image]) -> torch.Tensor:
    """Masks of one size -> float32 (B, 1, H, W) of 0 and 1: pixels of 128 and more may change."""
    pixels = np.stack([np.asarray(mask) for mask in as_list(masks, "L")])
    return torch.from_numpy(pixels > _THRESHOLD)[:, None].to(torch.float32)


def to_arrays(tensor: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) in -1..1, any float type -> float32 (B, H, W, 3) in 0..1, clamped."""
    return (tensor.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()


def to_pil(arrays: np.ndarray) -> list[Image.Image]:
    """float32 (B, H, W, 3) in 0..1 -> RGB pictures; bytes round half to even, as in the reference."""
    return [Image.fromarray(array) for array in (arrays * 255).round().astype(np.uint8)]


def visualise_mask(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with what may change in black: what the model sees of the person."""
    kept = np.asarray(mask.convert("L")) <= _THRESHOLD
    return Image.fromarray(np.asarray(image.convert("RGB")) * kept[..., None])


def repaint(result: Image.Image, person: Image.Image, mask: Image.Image, *, feather: bool = False) -> Image.Image:
    """`result` where the mask is white, `person` where it is black, blended between; all three of one size.

    `feather` blurs the mask first, by a radius of a fiftieth of the height made odd (the reference's evaluation).
    """
    mask = mask.convert("L")
    if feather:
        mask = mask.filter(ImageFilter.GaussianBlur(result.height // 50 | 1))
    weight = np.asarray(mask)[..., None] / 255
    blended = np.asarray(result.convert("RGB")) * weight + np.asarray(person.convert("RGB")) * (1 - weight)
    return Image.fromarray(blended.astype(np.uint8))
