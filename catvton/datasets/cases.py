"""A case of a try-on set: where its files are, and its pictures once opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from catvton.errors import InputError

BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)  # what Pillow raises on bad files


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A case's pictures, opened, each at its own size.

    Attributes:
        name: the case's name, unique in its set.
        part: what the garment replaces: "upper", "lower" or "overall".
        person: RGB, upright.
        garment: RGB, upright.
        mask: L as stored, from 128 up may change; None where the set has none.
    """

    name: str
    part: str
    person: Image.Image
    garment: Image.Image
    mask: Image.Image | None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One try-on of a set on disk.

    Attributes:
        name: stem of its result's file, unique in its set: "00006_00", "upper_body/048392_0".
        part: what the garment replaces: "upper", "lower" or "overall".
        category: "upper_body", "lower_body" or "dresses" in DressCode, "" elsewhere.
        person, garment: the photos.
        mask: where the mask is, or would be: it may not exist.
        suffix: the ending the set's own results have.
    """

    name: str
    part: str
    category: str
    person: Path
    garment: Path
    mask: Path
    suffix: str = ".jpg"

    def pictures(self) -> Pictures:
        """The case's files, decoded. Errors: `InputError` "image.not_found" or "image.broken", naming the file."""
        return Pictures(
            name=self.name,
            part=self.part,
            person=open_photo(self.person, named=str(self.person)),
            garment=open_photo(self.garment, named=str(self.garment)),
            mask=open_map(self.mask, named=str(self.mask)) if self.mask.is_file() else None,
        )


def open_photo(file: Path | BinaryIO, *, named: str) -> Image.Image:
    """A photo as RGB, upright by its EXIF orientation. Its numbers stay: the sets' figures are taken on them.

    named: how an error calls the file. Errors: `InputError` "image.not_found" or "image.broken".
    """
    return ImageOps.exif_transpose(_decoded(file, named)).convert("RGB")


def open_map(file: Path | BinaryIO, *, named: str) -> Image.Image:
    """A mask as L. Arguments and errors as for `open_photo`."""
    return _decoded(file, named).convert("L")


def _decoded(file: Path | BinaryIO, named: str) -> Image.Image:
    try:
        with Image.open(file) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise InputError(f"{named} does not exist.", code="image.not_found") from error
    except BROKEN as error:
        raise InputError(f"{named} is damaged or is not a picture: copy it again.", code="image.broken") from error
