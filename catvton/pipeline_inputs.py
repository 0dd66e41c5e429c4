"""What a call of the pipeline may be given: the options checked, the pictures brought to the working size.

Everything refused is a ValueError that names the argument, its value and what is accepted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from PIL import Image

from catvton.image_utils import Pictures, as_list, prepare_image, prepare_mask, resize_and_crop, resize_and_padding

OUTPUT_TYPES = ("pil", "np", "pt", "latent")

Generators = torch.Generator | Sequence[torch.Generator]


def check_options(
    *, steps: int, most_steps: int, guidance: float, eta: float, size: tuple[int, int], factor: int, num_images: int,
    output_type: str,
) -> None:  # fmt: skip
    """Refuse options that cannot work. `size` is (height, width), `factor` the pixels of a latent cell's side."""
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= most_steps:
        raise ValueError(f"num_inference_steps must be a whole number from 1 to {most_steps}, not {steps!r}.")
    if not math.isfinite(guidance) or guidance < 0:
        raise ValueError(f"guidance_scale must be a number from 0 up, not {guidance!r}.")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must be from 0 to 1, not {eta!r}.")
    if any(side < factor or side % factor for side in size):
        raise ValueError(f"height and width must be multiples of {factor}, not {size[0]} and {size[1]}.")
    if isinstance(num_images, bool) or not isinstance(num_images, int) or num_images < 1:
        raise ValueError(f"num_images must be a whole number from 1 up, not {num_images!r}.")
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"output_type must be one of {', '.join(OUTPUT_TYPES)}, not {output_type!r}.")


def mask_pixels(
    mask: Pictures | None, image: Pictures | None, *, size: tuple[int, int], device: torch.device, required: bool
) -> torch.Tensor | None:
    """A mask, or several -> float32 (B, 1, H, W) of 0 and 1 at `size` (height, width); None for none, unless required.

    `image` is the photo the mask must lie on from the start, as both are cropped alike; None where it does not matter.
    """
    if mask is None:
        if required:
            raise ValueError("mask is missing: this pipeline's UNet reads it.")
        return None
    if isinstance(mask, torch.Tensor):
        return (_of_size(mask, "mask", 1, size).to(device) >= 0.5).to(torch.float32)
    masks = as_list(mask, "L")
    if image is not None and not isinstance(image, torch.Tensor):
        _check_same_size(as_list(image, "RGB"), masks)
    return prepare_mask([resize_and_crop(one, size[::-1]) for one in masks]).to(device)


def person_pixels(
    image: Pictures | None,
    masked_image: Pictures | None,
    hole: torch.Tensor | None,
    *,
    size: tuple[int, int],
    device: torch.device,
) -> torch.Tensor:
    """The person without what may change -> float32 (B, 3, H, W) in -1..1 at `size`; `hole` is the mask's pixels."""
    if masked_image is not None:
        return _pixels(masked_image, "masked_image", size, resize_and_crop).to(device)
    if image is None:
        raise ValueError("image is missing: give it, masked_image or image_latents.")
    pixels = _pixels(image, "image", size, resize_and_crop).to(device)
    return pixels if hole is None else pixels * (hole < 0.5)


def garment_pixels(condition_image: Pictures | None, *, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """The garment, padded with white -> float32 (B, 3, H, W) in -1..1 at `size`."""
    if condition_image is None:
        raise ValueError("condition_image is missing: give it or condition_latents.")
    return _pixels(condition_image, "condition_image", size, resize_and_padding).to(device)


def one_or_each(generator: Generators | None, count: int) -> torch.Generator | list[torch.Generator]:
    """The generator or the list of `count` of them; a fresh unpredictable one for None, never PyTorch's global one."""
    if generator is None:
        fresh = torch.Generator()
        fresh.seed()
        return fresh
    if isinstance(generator, torch.Generator):
        return generator
    if len(generator) != count:
        raise ValueError(f"generator must be one, or one for each of the {count} results, not {len(generator)}.")
    return list(generator)


def _pixels(
    pictures: Pictures,
    name: str,
    size: tuple[int, int],
    fit: Callable[[Image.Image, tuple[int, int]], Image.Image],
) -> torch.Tensor:
    if isinstance(pictures, torch.Tensor):
        return _of_size(pictures, name, 3, size).to(torch.float32)
    return prepare_image([fit(picture, size[::-1]) for picture in as_list(pictures, "RGB")])


def _of_size(tensor: torch.Tensor, name: str, channels: int, size: tuple[int, int]) -> torch.Tensor:
    if tensor.ndim != 4 or tuple(tensor.shape[1:]) != (channels, *size):
        raise ValueError(f"{name} must be (B, {channels}, {size[0]}, {size[1]}), not {tuple(tensor.shape)}.")
    return tensor


def _check_same_size(people: list[Image.Image], masks: list[Image.Image]) -> None:
    for index, mask in enumerate(masks):
        person = people[index % len(people)]
        if person.size != mask.size:
            raise ValueError(f"mask is {_text(mask)}, but image is {_text(person)} (width x height).")


def _text(picture: Image.Image) -> str:
    return f"{picture.width}x{picture.height}"
