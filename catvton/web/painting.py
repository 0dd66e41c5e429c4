"""Between what is painted over the photo in the browser and a mask of the photo's size, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from catvton.errors import InputError
from catvton.imagefiles import broken, open_undecoded
from catvton.images import png_bytes
from catvton.web.shelf import Kept

COPY_SIZE = (576, 768)  # the copy of the photo to paint on fits into this (width, height)
BRUSH = (226, 70, 111)  # strokes let the photo show through; only where they are matters
OPACITY = 0.6
_LARGEST = 2048  # pixels on a side of a layer we decode: the browser answers at the copy's own size
_SAME = 0.002  # a layer that differs from the one handed out in less than this share of its pixels was not painted on


@dataclass(frozen=True, kw_only=True)
class Painted:
    """Paths of the files a browser sends of what was painted: the layers, and the photo below and with them."""

    layers: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Area:
    """An automatic mask that was handed out to be painted on: the layer's PNG, and the part it was found for."""

    layer: Kept
    part: str

    @property
    def files(self) -> tuple[Kept, ...]:
        return (self.layer,)


def copy_for_painting(photo: Image.Image) -> Image.Image:
    """A copy of the photo (PIL RGB) that fits into `COPY_SIZE`, never larger than the photo."""
    small = photo.copy()
    small.thumbnail(COPY_SIZE, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return small


def area_of(mask: np.ndarray, *, size: tuple[int, int], part: str) -> Area:
    """An automatic mask (uint8 HxW {0, 255}) as a layer of the copy's (width, height) to paint on."""
    marked = Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    layer.paste((*BRUSH, round(255 * OPACITY)), mask=marked)
    return Area(layer=Kept(data=png_bytes(layer), size=size), part=part)


def untouched(layers: Iterable[bytes], area: Area) -> bool:
    """Whether the layers (picture files, as the browser sends them) are just the area that was handed out."""
    handed_out = _marked(area.layer.data)
    seen = [np.asarray(_marked(layer).resize(handed_out.size, Image.Resampling.NEAREST)) > 0 for layer in layers]
    if not seen:
        return False
    return float((np.logical_or.reduce(seen) != (np.asarray(handed_out) > 0)).mean()) < _SAME


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
        marked = _marked(layer)
        if marked.getbbox() is None:
            continue
        # Smoothly, then cut at a half: a nearest-neighbour enlargement of the stroke would leave stairs in the picture.
        smooth = marked.resize(size, Image.Resampling.BILINEAR)
        strokes = np.where(np.asarray(smooth) >= 128, np.uint8(255), np.uint8(0))
        painted = strokes if painted is None else np.maximum(painted, strokes)
    return painted


def _marked(layer: bytes) -> Image.Image:
    """Mode L: 255 wherever anything at all was painted."""
    return _alpha(layer).point(lambda value: 255 if value else 0)


def _alpha(layer: bytes) -> Image.Image:
    image = open_undecoded(layer, what="painted mask")
    if max(image.size) > _LARGEST:
        raise InputError("The painted mask is larger than the copy of the photo it was painted on.", code="mask.size")
    try:
        return image.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError) as error:
        raise broken("painted mask", image.format) from error
