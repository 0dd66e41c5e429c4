"""A finished try-on as the page keeps it: to show it again, beside what it was made from, and to repeat it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from catvton.images import open_picture, png_bytes
from catvton.result import SHOWS, mask_over, side_by_side
from catvton.web.shelf import Kept
from catvton.web.thumbnails import small_jpeg

if TYPE_CHECKING:
    from catvton.result import TryOnResult
    from catvton.safety.statement import Statement

NOTED = ("seed", "engine", "steps", "guidance", "part", "job_id")  # of a result's info, in the downloaded file
_HEAD = 33  # bytes of a PNG's signature and first chunk


@dataclass(frozen=True, kw_only=True)
class Look:
    """One finished try-on.

    Attributes:
        person: the photo, as uploaded; garments: what is worn in the picture, the last put on last.
        picture: the result as a PNG with exact pixels; mask: what may differ from the photo, as a PNG.
        part: as chosen on the page.
        info: the result's fields that are not pictures, of the last garment put on.
        thumbnail: a small JPEG of the picture.
        statement: what its files say of themselves.
    """

    person: Kept
    garments: tuple[Kept, ...]
    picture: Kept
    mask: Kept
    part: str
    info: Mapping[str, Any]
    thumbnail: bytes = field(repr=False)
    statement: Statement | None = None

    @property
    def files(self) -> tuple[Kept, ...]:
        return (self.person, *self.garments, self.picture, self.mask)

    def image(self) -> Image.Image:
        """The result: PIL RGB, exact pixels."""
        return _opened(self.picture)

    def photo(self) -> Image.Image:
        """The photo before: PIL RGB, of the result's size."""
        return open_picture(self.person.data)

    def comparison(self, show: str) -> Image.Image:
        """The result beside what it was made from, as `TryOnResult.show` has it: PIL RGB. `show` is one of `SHOWS`."""
        photo = self.photo()
        inputs = [photo, *(open_picture(garment.data) for garment in self.garments)]
        if show == SHOWS[2]:
            inputs.insert(1, mask_over(photo, np.asarray(Image.open(io.BytesIO(self.mask.data)).convert("L"))))
        return side_by_side([*inputs, self.image()])

    def file(self) -> bytes:
        """The result as a PNG file that says how it was made."""
        noted = with_text(self.picture.data, {name: str(self.info[name]) for name in NOTED if name in self.info})
        return self.statement.signed(noted, "PNG") if self.statement else noted


def looks_of(
    result: TryOnResult, *, person: Kept, garments: tuple[Kept, ...], part: str, under: np.ndarray | None = None
) -> list[Look]:
    """One look per picture of a result.

    Args:
        person: the photo the first garment was put on; garments: all that is worn, the last one the result's.
        under: uint8 HxW {0, 255}, what earlier garments may have changed.
    """
    mask = result.mask if under is None else np.maximum(result.mask, under)
    kept = Kept(data=png_bytes(mask), size=result.image.size)
    # The signature covers the whole file, so it is put to it when the last word is in it.
    unsigned = replace(result.statement, signer=None) if result.statement else None
    pictures = zip(result.images or (result.image,), result.seeds or (result.seed,), strict=True)
    return [
        Look(
            person=person,
            garments=garments,
            picture=Kept(data=png_bytes(image, statement=unsigned), size=image.size, name=f"try-on-{seed}.png"),
            mask=kept,
            part=part,
            info=result.info() | {"seed": seed},
            thumbnail=small_jpeg(image),
            statement=result.statement,
        )
        for image, seed in pictures
    ]


def with_text(png: bytes, texts: Mapping[str, str]) -> bytes:
    """A PNG file with {keyword: text} in it, as Latin-1 text chunks behind its head; the pixels stay as they are."""
    chunks = b"".join(_text_chunk(name, text) for name, text in texts.items())
    return png[:_HEAD] + chunks + png[_HEAD:]


def _text_chunk(keyword: str, text: str) -> bytes:
    body = b"tEXt" + keyword.encode("latin-1") + b"\0" + text.encode("latin-1", "replace")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _opened(kept: Kept) -> Image.Image:
    return open_picture(kept.data)
