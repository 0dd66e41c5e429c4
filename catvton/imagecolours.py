"""Pixels of any mode, depth and colour space as 8-bit sRGB: the part of opening a picture that is about numbers."""

from __future__ import annotations

import io
import logging

import numpy as np
from PIL import Image

from catvton.errors import InputError

log = logging.getLogger(__name__)

_LARGEST_PROFILE = 8 * 2**20  # bytes; CMYK profiles of print shops reach 3 MB


def as_8_bit(image: Image.Image, *, what: str) -> Image.Image:
    """16-bit greys to 8 bits by value (Pillow's own conversion cuts them off at 255); the other modes pass."""
    if image.mode == "F":
        raise odd_mode(image, what=what)
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise odd_mode(image, what=what)
    return Image.fromarray(from_16_bit(values))


def from_16_bit(values: np.ndarray) -> np.ndarray:
    """Integers in 0..65535, of any shape, as uint8 in 0..255, to the nearest."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def odd_mode(image: Image.Image, *, what: str) -> InputError:
    """The error for a picture whose numbers have no plain meaning as colours; `what` names it in the sentence."""
    return InputError(
        f"The {what} stores its colours in a way we cannot read (mode {image.mode}): save it as an "
        "ordinary JPEG or PNG with 8 or 16 bits per channel.",
        code="image.mode",
    )


def as_srgb(image: Image.Image) -> Image.Image:
    """Colours of an embedded profile (Display P3 of phones, print CMYK) as sRGB; without one, `image` itself."""
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > _LARGEST_PROFILE or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    from PIL import ImageCms  # only pictures with a profile need littlecms

    try:
        own = ImageCms.getOpenProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return image  # keeps the file's numbers exactly
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        log.info("unreadable colour profile ignored: %s", type(error).__name__)
        return image


def flatten(image: Image.Image, *, background: str) -> Image.Image:
    """RGB, with whatever is transparent lying on `background`."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    flat = Image.new("RGB", layer.size, background)
    flat.paste(layer, mask=layer.getchannel("A"))
    return flat
