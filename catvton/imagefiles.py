"""Picture files from strangers: what kind a file really is, and opening it without decoding it.

A file's name and declared type are never believed, only its first bytes. Each kind is opened by its own Pillow reader,
picked here: Pillow's global list of readers, which other libraries change, is neither used nor touched. What is opened
is only the header; `catvton.images` checks the size it states before a single pixel is decoded.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from catvton.errors import InputError

KINDS_IN_WORDS = "JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP and TIFF pictures are accepted"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # "BM" alone begins many a text
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_LONGEST_BRAND_LIST = 256
_LONGEST_NAME = 80  # of a path repeated in a sentence

# What people upload instead, so that the refusal can name it.
_LOOKALIKES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"8BPS", "a Photoshop document"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an SVG drawing or another XML file"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
)


def kind_of(data: bytes) -> str | None:
    """The format the first bytes of `data` belong to ("JPEG", "PNG", ...), or None if it is not one we accept."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:  # first: many AVIF files also call themselves mif1
        return "AVIF"
    return "HEIC" if brands & _HEIF_BRANDS else None


def looks_like(data: bytes) -> str | None:
    """Plain words for a file that is no picture of ours ("a PDF document"), or None when nothing is recognised."""
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, words in _LOOKALIKES:
        if data.startswith(magic) or head.lower().startswith(magic.lower()):
            return words
    return "a video" if data[4:8] == b"ftyp" else None


def open_undecoded(data: bytes, *, what: str) -> Image.Image:
    """A Pillow image whose header is read and whose pixels are not.

    Errors: `InputError` with code "image.format" (not a picture of an accepted kind) or "image.broken" (its header
    makes no sense). `what` names the picture in the sentence ("person photo").
    """
    kind = kind_of(data)
    if kind is None:
        seems = looks_like(data)
        found = f"seems to be {seems}, not a picture" if seems else "is not a picture we can read"
        raise InputError(f"The {what} {found}: {KINDS_IN_WORDS}.", code="image.format")
    try:
        return _reader(kind)(io.BytesIO(data))
    except Exception as error:  # on hostile bytes a reader may raise anything at all
        raise broken(what, kind) from error


def broken(what: str, kind: str | None = None) -> InputError:
    """The error for a file that begins like a picture and cannot be decoded."""
    named = f"{kind} file" if kind else "file"
    return InputError(
        f"The {what} is a damaged or incomplete {named}: copy or upload it again, or save it anew as JPEG or PNG.",
        code="image.broken",
    )


def read_bytes(source: str | os.PathLike | bytes | BinaryIO, *, what: str, limit: int) -> bytes:
    """All bytes of a path, a bytes object or a binary file, at most `limit` of them.

    Errors: `InputError` with code "image.not_found", "image.empty_file", "image.too_heavy" or "image.type".
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = source[: limit + 1]
    elif hasattr(source, "read"):
        data = _read_file(source, what=what, limit=limit)
    else:
        data = _read_path(source, what=what, limit=limit)
    if not data:
        raise InputError(f"The {what} is an empty file: {KINDS_IN_WORDS}.", code="image.empty_file")
    if len(data) > limit:
        raise InputError(
            f"The {what} is a file of more than {_megabytes(limit)}, the most that is accepted: "
            "save it smaller or as JPEG.",
            code="image.too_heavy",
        )
    return bytes(data)


def _read_file(file: BinaryIO, *, what: str, limit: int) -> bytes:
    try:
        data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # closed, or opened for writing
        raise InputError(f"The {what} cannot be read from the file object given.", code="image.type") from error
    if not isinstance(data, bytes):
        raise InputError(f"The {what} was opened as text: open the file in binary mode.", code="image.type")
    return data


def _read_path(source: str | os.PathLike, *, what: str, limit: int) -> bytes:
    path = Path(source)
    try:
        if path.is_file():  # a device or a pipe might never end
            with path.open("rb") as file:
                return file.read(limit + 1)
    except (OSError, ValueError) as error:  # no permission; a NUL in the name
        raise InputError(f"The {what} {_named(source)} cannot be read.", code="image.not_found") from error
    problem = "is a folder, not a picture" if path.is_dir() else "does not exist or is not a file"
    raise InputError(f"The {what} {_named(source)} {problem}: {KINDS_IN_WORDS}.", code="image.not_found")


def _named(path: str | os.PathLike) -> str:
    name = str(path)
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}...{name[-_LONGEST_NAME // 2 :]}")


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.3g} MB"


def _brands(data: bytes) -> set[bytes]:
    """The brands an ISO media file (HEIC, AVIF, MP4) says it is, from its leading `ftyp` box."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), _LONGEST_BRAND_LIST, len(data))
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}


def _reader(kind: str) -> type[Image.Image]:
    """Pillow's reader class for one kind, imported on first use: most requests need one or two of them."""
    match kind:
        case "JPEG":
            from PIL.JpegImagePlugin import JpegImageFile as Reader
        case "PNG":
            from PIL.PngImagePlugin import PngImageFile as Reader
        case "WEBP":
            from PIL.WebPImagePlugin import WebPImageFile as Reader
        case "AVIF":
            from PIL.AvifImagePlugin import AvifImageFile as Reader
        case "HEIC":
            from pillow_heif import HeifImageFile as Reader
        case "GIF":
            from PIL.GifImagePlugin import GifImageFile as Reader
        case "BMP":
            from PIL.BmpImagePlugin import BmpImageFile as Reader
        case "TIFF":
            from PIL.TiffImagePlugin import TiffImageFile as Reader
        case _:
            raise ValueError(f"no reader for {kind!r}")
    return Reader
