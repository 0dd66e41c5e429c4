"""Small copies of pictures, to look at."""

from __future__ import annotations

import base64
import io

from PIL import Image

from catvton.images import open_picture

THUMBNAIL = (112, 150)  # (width, height) a thumbnail fits into
SCREEN = (1200, 1600)  # and a copy that fills a screen


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A copy that fits into (width, height), never larger than the image (PIL RGB)."""
    small = image.copy()
    small.thumbnail(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return small


def small_jpeg(image: Image.Image, size: tuple[int, int] = THUMBNAIL) -> bytes:
    """A JPEG file of a copy that fits into (width, height). image: PIL RGB."""
    file = io.BytesIO()
    fitted(image, size).save(file, "JPEG", quality=82)
    return file.getvalue()


def small_picture(data: bytes) -> bytes:
    """A small JPEG file of a picture file of any accepted kind. Raises InputError where it is none."""
    return small_jpeg(open_picture(data))


def data_link(jpeg: bytes) -> str:
    """A JPEG as a link that holds the picture itself: nothing to fetch, nothing left on disk, nothing to be gone."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
