"""Files put together wrongly and requests of any shape: always a result, or a sentence.

`tests/test_bad_input.py` damages single bytes; here whole stretches of sound files of every kind and mode are moved,
repeated, dropped, exchanged between files, or overwritten with numbers that decoders trip over.
"""

from __future__ import annotations

import functools
import io
import json
from collections import Counter
from typing import Any

import numpy as np
import pillow_heif
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from catvton.errors import InputError
from catvton.images import Limits, open_mask, open_picture
from catvton.result import MAX_SEED, PARTS, SHOWS, TryOnRequest
from catvton.tryon import TryOn
from tests import hostile, tiny
from tests.proof.memory import Watch

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]

FILES, REQUESTS = 20_000, 3_000
LIMITS = Limits(max_pixels=4_000_000)
ODD_NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80")


# ---- files -----------------------------------------------------------------------------------------------------------


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@functools.cache
def sound() -> dict[str, bytes]:
    """Files of every kind, mode and compression that is accepted."""
    rgb = Image.fromarray(hostile.pixels())
    alpha, grey = rgb.convert("RGBA"), rgb.convert("L")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    heic = io.BytesIO()
    pillow_heif.from_pillow(alpha).save(heic)
    return {kind: hostile.good(kind) for kind in hostile.KINDS} | {
        "JPEG, CMYK": encoded(rgb.convert("CMYK"), "JPEG"),
        "JPEG, progressive": encoded(rgb, "JPEG", progressive=True),
        "JPEG, turned, with a profile": encoded(rgb, "JPEG", exif=exif, icc_profile=profile),
        "PNG, 16 bits": encoded(deep, "PNG"),
        "PNG, palette": encoded(rgb.quantize(32), "PNG", transparency=3),
        "PNG, alpha, turned, with a profile": encoded(alpha, "PNG", exif=exif, icc_profile=profile),
        "PNG, two colours": encoded(grey.convert("1"), "PNG"),
        "PNG, animated": encoded(rgb, "PNG", **frames),
        "GIF, animated": encoded(rgb, "GIF", **frames),
        "WebP, alpha": encoded(alpha, "WEBP", lossless=True),
        "WebP, animated": encoded(alpha, "WEBP", **frames),
        "AVIF, alpha": encoded(alpha, "AVIF", exif=exif),
        "HEIC, alpha": heic.getvalue(),
        "BMP, palette": encoded(rgb.quantize(16), "BMP"),
        "TIFF, CMYK": encoded(rgb.convert("CMYK"), "TIFF"),
        "TIFF, 16 bits": encoded(deep, "TIFF"),
        **{f"TIFF, {how}": encoded(rgb, "TIFF", compression=how) for how in ("tiff_lzw", "tiff_deflate", "jpeg")},
        "TIFF, fax": encoded(grey.convert("1"), "TIFF", compression="group4"),
    }


@functools.cache
def corpus() -> dict[str, bytes]:
    """The sound files, and the hostile ones that are small."""
    return sound() | {name: data for name, (data, _) in hostile.table().items() if 16 < len(data) < 100_000}


def mutated(number: int) -> tuple[str, bytes]:
    """The `number`-th file: (what it was made from, its bytes)."""
    chance = np.random.default_rng(number)
    names = sorted(corpus())
    name, other = chance.choice(names, 2)
    data = bytearray(corpus()[name])
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        MUTATIONS[chance.integers(len(MUTATIONS))](data, corpus()[other], chance)
    return f"file {number}, from {name} and {other}", bytes(data)


def place(data: bytes | bytearray, chance: np.random.Generator) -> int:
    """Anywhere, but every third time in the head, where the sizes are."""
    end = len(data) if chance.random() < 0.67 else min(len(data), 256)
    return int(chance.integers(end + 1))


def stretch(data: bytes | bytearray, chance: np.random.Generator) -> slice:
    start = place(data, chance)
    return slice(start, start + int(2 ** chance.uniform(0, 10)))


def overwrite(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    """A field of 1 to 8 bytes becomes all zeros, all ones, or the largest or smallest signed number."""
    start, width = place(data, chance), int(2 ** chance.integers(4))
    value = ODD_NUMBERS[chance.integers(4)] + ODD_NUMBERS[chance.integers(2)] * (width - 1)
    data[start : start + width] = value if chance.random() < 0.5 else value[::-1]


def drop(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    del data[stretch(data, chance)]


def repeat(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    piece = bytes(data[stretch(data, chance)])
    at = place(data, chance)
    data[at:at] = piece * int(chance.integers(1, 4))


def transplant(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    piece = other[stretch(other, chance)]
    at = place(data, chance)
    data[at : at + (len(piece) if chance.random() < 0.5 else 0)] = piece


def swap_ends(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    """This file's beginning, the other one's end."""
    del data[place(data, chance) :]
    data += other[place(other, chance) :]


def reverse(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    where = stretch(data, chance)
    data[where] = bytes(reversed(data[where]))


def truncate(data: bytearray, other: bytes, chance: np.random.Generator) -> None:
    del data[place(data, chance) :]


MUTATIONS = (overwrite, overwrite, drop, repeat, transplant, swap_ends, reverse, truncate)


def picture_outcome(data: bytes) -> str:
    try:
        picture = open_picture(data, limits=LIMITS)
    except InputError as error:
        return check_sentence(error)
    assert picture.mode == "RGB" and picture.info == {}
    assert min(picture.size) >= LIMITS.min_side and picture.width * picture.height <= LIMITS.max_pixels
    return "opened"


def mask_outcome(data: bytes) -> str:
    try:
        mask = open_mask(io.BytesIO(data), size=(120, 100), limits=LIMITS)
    except InputError as error:
        return check_sentence(error)
    assert mask.shape == (100, 120) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    return "opened"


def check_sentence(error: InputError) -> str:
    told = str(error)
    assert error.code.startswith(("image.", "mask.")) and told.endswith(".") and len(told) < 250, told
    return error.code


def test_the_files_are_sound_before_they_are_mutated():
    assert {name: picture_outcome(data) for name, data in sound().items()} == dict.fromkeys(sound(), "opened")


def test_thousands_of_mutated_files_are_opened_or_refused(figures):
    pictures, masks = Counter(), Counter()
    handles = psutil.Process().num_handles if hasattr(psutil.Process(), "num_handles") else psutil.Process().num_fds
    before = handles()
    with Watch("opening") as watch:
        for number in range(FILES):
            name, data = mutated(number)
            try:
                pictures[picture_outcome(data)] += 1
                masks[mask_outcome(data)] += 1
            except Exception as error:
                error.add_note(name)
                raise
    assert handles() <= before + 5
    assert min(pictures["opened"], pictures["image.broken"], pictures["image.format"]) > FILES / 50, pictures
    # Pictures of 4 million pixels are let through: a few copies of one, not one after the other.
    assert watch.most < 400
    figures[f"{FILES:,} mutated files"] = {
        "opened": pictures["opened"],
        "refused in words": FILES - pictures["opened"],
        "opened as masks": masks["opened"],
        "memory growth, MiB": round(watch.most),
    }


# ---- requests --------------------------------------------------------------------------------------------------------

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=9),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(np.nan), st.just(np.int64(3)), st.just(np.float32("inf")), st.just(object()),
)  # fmt: skip
OPTIONS = {
    "part": st.sampled_from(PARTS),
    "steps": st.none() | st.integers(-1, 4) | st.just(21),
    "guidance": st.none() | st.floats(-0.5, 8),
    "seed": st.integers(-2, 3) | st.sampled_from((MAX_SEED, MAX_SEED + 1)),
    "show": st.sampled_from(SHOWS),
    "engine": st.sampled_from((None, "tiny", "compact")),
    "size": st.sampled_from((None, (48, 64), "72x96", [72, 96], (96, 72))),
    "variations": st.integers(0, 3),
}
MODES = ("RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "I;16", "F", "YCbCr")


@st.composite
def pictures(draw: st.DrawFn) -> Any:
    """A person-like picture of any size, shape, mode and carrier."""
    size = draw(st.sampled_from(((90, 150), (150, 90), (33, 300), (120, 100), (31, 64), (400, 32))))
    picture = tiny.person(size, seed=draw(st.integers(0, 9)))
    mode = draw(st.sampled_from(("RGB", "RGB", *MODES)))
    picture = picture.convert("L").convert(mode) if mode in ("I;16", "F") else picture.convert(mode)
    carrier = draw(st.sampled_from(("picture", "array", "file", "bytes")))
    if carrier == "picture":
        return picture
    if carrier == "array":
        return np.asarray(picture)
    data = encoded(picture, "TIFF")
    return data if carrier == "bytes" else io.BytesIO(data)


@st.composite
def masks(draw: st.DrawFn) -> Any:
    width, height = draw(st.sampled_from(((90, 150), (150, 90), (180, 300), (120, 100))))
    mask = np.zeros((height, width), draw(st.sampled_from((np.uint8, bool, np.float32, np.int64))))
    left, top = draw(st.integers(0, width)), draw(st.integers(0, height))
    mask[top : top + draw(st.integers(0, height)), left : left + draw(st.integers(0, width))] = draw(
        st.sampled_from((1, 255, 128, 0))
    )
    return mask


FITTING = st.fixed_dictionaries(
    {"person": pictures(), "garment": pictures()}, optional={"mask": st.none() | masks()} | OPTIONS
)
ODD = st.dictionaries(st.sampled_from(("person", "garment", "mask", *OPTIONS)), anything, max_size=2)


def test_any_request_gives_a_result_or_a_sentence(figures):
    tryon, outcomes = tiny.tiny_tryon(), Counter()

    @settings(max_examples=REQUESTS, suppress_health_check=[HealthCheck.too_slow])
    @given(FITTING, ODD)
    def check(fitting, odd):
        outcomes[request_outcome(tryon, TryOnRequest(**fitting | odd))] += 1

    check()
    figures[f"{outcomes.total():,} requests of any shape"] = {
        "results": outcomes["result"],
        "refused in words": outcomes.total() - outcomes["result"],
        "reasons of refusals": len(outcomes) - 1,
    }
    assert outcomes["result"] > REQUESTS / 20 and len(outcomes) > 15, outcomes  # else this proved little


def request_outcome(tryon: TryOn, request: TryOnRequest) -> str:
    try:
        result = tryon.run(request)
    except InputError as error:
        told = str(error)
        assert "." in error.code and told[0].isupper() and told.endswith(".") and len(told) < 400, told
        return error.code
    assert 0 <= result.seed <= MAX_SEED and 1 <= result.steps <= 20 and 0 <= result.guidance <= 7.5
    photo, kept = np.asarray(result.person), result.mask == 0
    for image in result.images:
        assert image.size == result.person.size and image.mode == "RGB"
        assert np.array_equal(np.asarray(image)[kept], photo[kept])
    assert result.show(request.show).height == result.person.height
    json.dumps(result.info(), allow_nan=False)
    return "result"
