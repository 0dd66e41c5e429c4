"""Pictures in and out: whatever a stranger sends becomes an upright 8-bit RGB picture, or a sentence saying why not.

Everything is checked before it is decoded: the kind by its first bytes, the size by its header. Metadata (EXIF with its
GPS position, thumbnails, text) ends here: what `open_picture` returns holds pixels and nothing else. Nothing is
scaled: a photo keeps its own resolution, and its own numbers unless it carries another colour space than sRGB.
"""

from __future__ import annotations

import io
import logging
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
from PIL import Image

from catvton.errors import InputError
from catvton.imagecolours import as_8_bit, as_srgb, flatten, from_16_bit, odd_mode
from catvton.imagefiles import KINDS_IN_WORDS, broken, open_undecoded, read_bytes

if TYPE_CHECKING:
    from catvton.safety.statement import Statement

log = logging.getLogger(__name__)

Source: TypeAlias = "str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray"

_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BRIGHT = 128  # from this 8-bit value up, a mask's pixel may change
_WRITERS = {
    # Pillow's default, level 6, takes twice as long over a 12-megapixel photo for a file one seventh smaller.
    ".png": {"format": "PNG", "compress_level": 1},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a picture may measure: sides and pixels in pixels, the file in bytes.

    The defaults let through what phones take today (50 megapixels) and stop anything that would hurt a small server:
    50 megapixels are 200 MB in Pillow, and decoding may hold several such copies for a moment.
    """

    min_side: int = 32
    max_side: int = 16_000
    max_pixels: int = 50_000_000
    max_bytes: int = 40 * 2**20


DEFAULT_LIMITS = Limits()


def open_picture(source: Source, *, what: str = "person photo", limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Open, check and straighten one picture.

    source: a path, the file's bytes, a binary file, a PIL image of any mode, or an array HxW, HxWx3 or HxWx4 in RGB(A)
        order (uint8; uint16 over its full range; float in 0..1).
    what: how error sentences call the picture ("person photo", "garment photo").
    Returns a new PIL image, mode RGB, upright by its EXIF orientation, sRGB, transparency flattened on white, without
    metadata. Of an animation it is the first frame.
    Errors: `InputError`, its code beginning with "image.".
    """
    image = _decode(source, what=what, limits=limits)
    try:
        return _bare(flatten(as_srgb(as_8_bit(image, what=what)), background="white"))
    except (OSError, ValueError) as error:
        raise odd_mode(image, what=what) from error


def open_mask(source: Source, *, size: tuple[int, int], limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Open a mask that says which pixels of a photo may change.

    source: as for `open_picture`; arrays may also be bool. White (from half brightness up) marks what may change, and
        so does 1 in a mask that holds only 0 and 1; transparent pixels stay. A layer painted in a dark colour on
        transparency counts wherever it is painted.
    size: (width, height) of the upright photo. A mask of another size but the same shape is resized (nearest).
    Returns uint8 HxW of the photo's size, 255 = may change, 0 = stays; neither empty nor full.
    Errors: `InputError`, its code beginning with "mask." or "image.".
    """
    image = _decode(source, what="mask", limits=limits)
    try:
        chosen = _marked(as_8_bit(image, what="mask"))
    except (OSError, ValueError) as error:
        raise odd_mode(image, what="mask") from error
    chosen = _at_size(chosen, size)
    if not chosen.any():
        raise InputError("The mask marks nothing: paint white over what may change.", code="mask.empty")
    if chosen.all():
        raise InputError(
            "The mask covers the whole photo, which would leave nothing of the person: mark only the "
            "clothes that may change.",
            code="mask.full",
        )
    return np.where(chosen, np.uint8(255), np.uint8(0))


def save_picture(
    image: Image.Image | np.ndarray, path: str | os.PathLike, *, statement: Statement | None = None
) -> None:
    """Write a picture without metadata but its statement; the name's ending picks the format: .png and .webp keep every
    pixel exactly, .jpg is lossy (quality 95). The file appears whole or not at all.

    image: PIL image or uint8 array HxW or HxWx3. statement: what the file of a finished try-on says of itself.
    Errors: `InputError` with code "output.format" or "output.write".
    """
    path = Path(path)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"Cannot write {str(path)!r}: its name must end in .png, .webp or .jpg.", code="output.format")
    data = _encoded(image, statement, **writer)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = error.strerror or "it failed"
        raise InputError(f"Cannot write {str(path)!r}: {reason}.", code="output.write") from error


def png_bytes(image: Image.Image | np.ndarray, *, statement: Statement | None = None) -> bytes:
    """The picture as a PNG file: exact pixels, no metadata but its statement. Arguments as for `save_picture`."""
    return _encoded(image, statement, **_WRITERS[".png"])


# ---- opening ---------------------------------------------------------------------------------------------------------


def _decode(source: Source, *, what: str, limits: Limits) -> Image.Image:
    """A decoded, upright PIL image of any mode within the limits."""
    if source is None:
        raise InputError(f"The {what} is missing: {KINDS_IN_WORDS}.", code="image.missing")
    if isinstance(source, np.ndarray):
        return _from_array(source, what=what, limits=limits)
    if isinstance(source, Image.Image):
        image = source
    elif isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read"):
        image = open_undecoded(read_bytes(source, what=what, limit=limits.max_bytes), what=what)
    else:
        raise InputError(
            f"The {what} is a {type(source).__name__}: give a file, its bytes, a PIL image or a NumPy array.",
            code="image.type",
        )
    _check_size(image.size, what=what, limits=limits)
    try:
        image.load()
    except Exception as error:  # whatever a decoder raises on hostile bytes, to its sender it is a broken file
        raise broken(what, image.format) from error
    _check_size(image.size, what=what, limits=limits)  # a decoder may find another size than the header promised
    return _upright(image)


def _check_size(size: tuple[int, int], *, what: str, limits: Limits) -> None:
    width, height = size
    measured = f"The {what} is {width} x {height} pixels"
    if min(size) < limits.min_side:
        raise InputError(
            f"{measured}: at least {limits.min_side} x {limits.min_side} are needed.", code="image.too_small"
        )
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        raise InputError(
            f"{measured}: at most {limits.max_side} on a side and {limits.max_pixels / 1e6:.3g} million "
            "in all are accepted. Save it smaller.",
            code="image.too_large",
        )


def _from_array(array: np.ndarray, *, what: str, limits: Limits) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        raise InputError(
            f"The {what} is an array of shape {array.shape}: HxW, HxWx3 or HxWx4 is accepted.", code="image.array"
        )
    _check_size(array.shape[1::-1], what=what, limits=limits)
    return Image.fromarray(_array_as_8_bit(array, what=what))


def _array_as_8_bit(array: np.ndarray, *, what: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return from_16_bit(array)
    accepted = "uint8 in 0..255, uint16 or float in 0..1 is accepted"
    if array.dtype.kind not in "iuf":
        raise InputError(f"The {what} is an array of {array.dtype}: {accepted}.", code="image.array")
    low, high = array.min(), array.max()
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:  # false for NaN
        return np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    raise InputError(
        f"The {what} is an array of {array.dtype} from {low:.4g} to {high:.4g}: {accepted}.", code="image.array"
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error) as error:
        log.info("unreadable EXIF ignored: %s", type(error).__name__)
        turn = None
    return image if turn is None else image.transpose(turn)


def _bare(image: Image.Image) -> Image.Image:
    """A copy of the pixels alone: `info` would carry EXIF, profile and text into every file saved from it."""
    bare = image.copy()
    bare.info = {}
    return bare


# ---- masks -----------------------------------------------------------------------------------------------------------


def _marked(image: Image.Image) -> np.ndarray:
    """bool HxW: the pixels a mask picture marks."""
    brightness = np.asarray(flatten(image, background="black").convert("L"))
    if brightness.max() < _BRIGHT and image.has_transparency_data:
        painted = np.asarray(image.convert("RGBA").getchannel("A")) >= _BRIGHT
        if not painted.all():
            return painted  # a layer painted with a dark brush
    return brightness >= (1 if brightness.max() <= 1 else _BRIGHT)  # a mask may be stored as 0 and 1


def _at_size(chosen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = chosen.shape
    if (width, height) == size:
        return chosen
    photo_width, photo_height = size
    # A scaled copy is off by less than a pixel on its shorter or its longer side, however it was rounded.
    off = min(abs(height - photo_height * width / photo_width), abs(width - photo_width * height / photo_height))
    if off > 1:
        turned = " It looks turned by 90 degrees." if (height, width) == size else ""
        raise InputError(
            f"The mask is {width} x {height} pixels and the photo {photo_width} x {photo_height}: it must "
            f"have the photo's size, or at least its proportions.{turned}",
            code="mask.size",
        )
    resized = Image.fromarray(chosen.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    return np.asarray(resized).astype(bool)


# ---- writing ---------------------------------------------------------------------------------------------------------


def _encoded(image: Image.Image | np.ndarray, statement: Statement | None, **options: object) -> bytes:
    picture = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    if picture.mode not in ("L", "RGB", "RGBA") or (picture.mode == "RGBA" and options["format"] == "JPEG"):
        picture = flatten(picture, background="white")
    file, kind = io.BytesIO(), options["format"]
    _bare(picture).save(file, **options, **(statement.options(kind) if statement else {}))
    return statement.signed(file.getvalue(), kind) if statement else file.getvalue()
