"""Pictures no camera ever took: files that lie about their kind, their size or their content, made on the fly."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image

KINDS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIC", "GIF", "BMP", "TIFF")


def pixels(width: int = 120, height: int = 100) -> np.ndarray:
    """Noise, so that no format compresses it to a few bytes."""
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


@functools.cache
def good(kind: str) -> bytes:
    """A sound file of one of `KINDS`, 120 x 100."""
    file = io.BytesIO()
    if kind == "HEIC":
        pillow_heif.from_pillow(Image.fromarray(pixels())).save(file)
    else:
        Image.fromarray(pixels()).save(file, kind)
    return file.getvalue()


def png(width: int, height: int, *, data: bytes = b"", extra: bytes = b"") -> bytes:
    """An 8-bit RGB PNG that says it measures width x height, whatever it holds."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", zlib.compress(data)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def resized(kind: str, width: int, height: int) -> bytes:
    """A sound file whose header is overwritten with another size."""
    data = bytearray(good(kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at:at + 4] = struct.pack(">HH", height, width)
    elif kind == "PNG":
        return png(width, height, data=bytes(1000))
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "TIFF":
        for tag, value in ((256, width), (257, height)):
            at = data.index(struct.pack("<HHI", tag, 4, 1))
            data[at + 8:at + 12] = struct.pack("<I", value)
    elif kind == "WEBP":  # the size of an animation's canvas
        file = io.BytesIO()
        frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
        frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
        data = bytearray(file.getvalue())
        data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def whole(kind: str, width: int, height: int) -> bytes:
    """An honest file of that size, all one colour: small on disk, huge when decoded."""
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, kind)
    return file.getvalue()


def tiff(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "TIFF")
    return file.getvalue()


def table() -> dict[str, tuple[bytes, str]]:
    """{what it is: (the file, the code of the error it must give)}."""
    sound = good("PNG")
    files = {
        "empty file": (b"", "image.empty_file"),
        "text": (b"This is not a picture at all.", "image.format"),
        "text like a bitmap": (b"BMW drivers and other stories", "image.format"),
        "zeros": (bytes(5000), "image.format"),
        "web page": (b"<!DOCTYPE html><script>alert(1)</script>", "image.format"),
        "drawing": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "image.format"),
        "PDF": (b"%PDF-1.7\n%....", "image.format"),
        "archive": (b"PK\x03\x04" + bytes(60), "image.format"),
        "video": (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "image.format"),
        "script in a RIFF": (b"RIFF\x24\x00\x00\x00WAVEfmt ", "image.format"),
        "0 x 0": (png(0, 0), "image.broken"),
        "1 x 1": (png(1, 1, data=b"\0\1\2\3"), "image.too_small"),
        "1 x 500": (whole("PNG", 1, 500), "image.too_small"),
        "30,000 wide, honest": (whole("PNG", 30_000, 40), "image.too_large"),
        "225 million pixels, honest": (whole("PNG", 15_000, 15_000), "image.too_large"),
        "2 billion wide": (png(2**31 - 1, 2**31 - 1), "image.too_large"),
        "header only": (sound[:33], "image.broken"),
        "wrong checksum": (sound[:29] + b"\0\0\0\0" + sound[33:], "image.broken"),
        "pixels are noise": (sound[:60] + bytes(reversed(sound[60:-20])) + sound[-20:], "image.broken"),
        "text that unpacks to 80 MB": (png(64, 64, data=bytes(64 * 193), extra=_bomb()), "image.broken"),
        "magic of a PNG over a JPEG": (sound[:8] + good("JPEG"), "image.broken"),
        "TIFF that points at itself": (b"II*\0\x08\0\0\0\1\0" + bytes(12) + b"\x08\0\0\0", "image.broken"),
        "floating point": (tiff(np.full((64, 64), 0.5, np.float32)), "image.mode"),
        "32 bits": (tiff(np.full((64, 64), 2**30, np.int32)), "image.mode"),
    }
    for kind in KINDS:
        data = good(kind)
        files[f"half a {kind}"] = (data[:len(data) // 2], "image.broken")
        files[f"beginning of a {kind}"] = (data[:24] if kind in ("AVIF", "HEIC") else data[:18], "image.broken")
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        files[f"{kind} that says 30,000 x 30,000"] = (resized(kind, 30_000, 30_000), "image.too_large")
        files[f"{kind} that says 33,000 x 100"] = (resized(kind, 33_000, 100), "image.too_large")
    return files


def _bomb() -> bytes:
    return _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 * 2**20), 9))
