"""From what was painted over the photo in the browser to a mask of the photo's size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from catvton.errors import InputError
from catvton.imagefiles import broken, open_undecoded

COPY_SIZE = (576, 768)  # the copy of the photo to paint on fits into this (width, height)
_LARGEST = 2048  # pixels on a side of a layer we decode: the browser answers at the copy's own size


@dataclass(frozen=True, kw_only=True)
class Painted:
    """Paths of the files a browser sends of what was painted: the layers, and the photo below and with them."""

    layers: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()


def copy_for_painting(photo: Image.Image) -> Image.Image:
    """A copy of the photo (PIL RGB) that fits into `COPY_SIZE`, never larger than the photo."""
    small = photo.copy()
    small.thumbnail(COPY_SIZE, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return small


def painted_mask(layers: Iterable[bytes], *, size: tuple[int, int]) -> np.ndarray | None:
    """The union of what is painted on transparent layers.

    Args:
        layers: picture files with an alpha channel, as the browser sends them.
        size: (width, height) of the photo.

    Returns:
        uint8 HxW {0, 255} of the photo's size, 255 = painted; None when nothing is.

    Raises:
        InputError: a layer is no picture or is larger than any we hand out.
    """
    painted = None
    for layer in layers:
        alpha = _alpha(layer)
        if alpha.getbbox() is None:
            continue
        # Smoothly, then cut at a half: a nearest-neighbour enlargement of the stroke would leave stairs in the picture.
        marked = alpha.point(lambda value: 255 if value else 0).resize(size, Image.Resampling.BILINEAR)
        strokes = np.where(np.asarray(marked) >= 128, np.uint8(255), np.uint8(0))
        painted = strokes if painted is None else np.maximum(painted, strokes)
    return painted


def _alpha(layer: bytes) -> Image.Image:
    image = open_undecoded(layer, what="painted mask")
    if max(image.size) > _LARGEST:
        raise InputError("The painted mask is larger than the copy of the photo it was painted on.", code="mask.size")
    try:
        return image.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError) as error:
        raise broken("painted mask", image.format) from error
