"""Between what is painted over the photo in the browser and a mask of the photo's size, both ways."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from catvton.errors import InputError
from catvton.imagefiles import broken, open_undecoded
from catvton.images import png_bytes
from catvton.web.shelf import Kept

COPY_SIZE = (576, 768)  # the copy of the photo to paint on fits into this (width, height)
BRUSH = (226, 70, 111)  # only where strokes are matters; the page lets the photo show through them
WHAT = "painted mask"
_LINK = "data:image/png;base64,"
_HEAVIEST = 2**22  # characters of what a browser sends: a copy's layer has a few thousand
_LARGEST = 2048  # pixels on a side of a layer we decode: the browser answers at the copy's own size


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A photo laid out to be painted on.

    Attributes:
        number: the browser's strokes name it, so that those for one photo are never taken for another's.
        part: the part whose area was found and lies on it, or None.
    """

    person: Kept
    number: str
    part: str | None = None

    @property
    def files(self) -> tuple[Kept, ...]:
        return (self.person,)


def copy_for_painting(photo: Image.Image) -> Image.Image:
    """A copy of the photo (PIL RGB) that fits into `COPY_SIZE`, never larger than the photo."""
    small = photo.copy()
    small.thumbnail(COPY_SIZE, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return small


def layer_of(mask: np.ndarray, *, size: tuple[int, int]) -> bytes:
    """A mask (uint8 HxW {0, 255}) as a layer to paint on: a PNG of (width, height), transparent outside the mask."""
    marked = Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    layer.paste((*BRUSH, 255), mask=marked)
    return png_bytes(layer)


def painted_on(painted: Any) -> tuple[str, bytes]:
    """What the browser says was painted: (the sheet's number, the layer's PNG); both empty where nothing was.

    Args:
        painted: the number, a space and the layer as a link that holds the picture; or an empty string.

    Raises:
        InputError: it is neither.
    """
    if not painted:
        return "", b""
    number, _, link = painted.partition(" ") if isinstance(painted, str) else ("", "", "")
    if not link.startswith(_LINK) or len(link) > _HEAVIEST:
        raise broken(WHAT)
    try:
        return number, base64.b64decode(link.removeprefix(_LINK), validate=True)
    except binascii.Error as error:
        raise broken(WHAT) from error


def painted_mask(layer: bytes, *, size: tuple[int, int]) -> np.ndarray | None:
    """What is painted on a transparent layer.

    Args:
        layer: a picture file with an alpha channel, as the browser sends it.
        size: (width, height) of the photo.

    Returns:
        uint8 HxW {0, 255} of the photo's size, 255 = painted; None when nothing is.

    Raises:
        InputError: the layer is no picture or is larger than any we hand out.
    """
    marked = _alpha(layer).point(lambda value: 255 if value else 0)
    if marked.getbbox() is None:
        return None
    # Smoothly, then cut at a half: a nearest-neighbour enlargement of the stroke would leave stairs in the picture.
    smooth = marked.resize(size, Image.Resampling.BILINEAR)
    return np.where(np.asarray(smooth) >= 128, np.uint8(255), np.uint8(0))


def _alpha(layer: bytes) -> Image.Image:
    image = open_undecoded(layer, what=WHAT)
    if max(image.size) > _LARGEST:
        raise InputError("The painted mask is larger than the copy of the photo it was painted on.", code="mask.size")
    try:
        return image.convert("RGBA").getchannel("A")
    except (OSError, ValueError, SyntaxError) as error:
        raise broken(WHAT, image.format) from error
