"""The invisible watermark: what it survives, what it costs, and that it is never read where it is not."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catvton.safety import ecc, pattern
from catvton.safety.periods import periods
from catvton.safety.watermark import FALSE_POSITIVE_BOUND, LEAST_PSNR, MOST_MOVED, CannotMark, TiledWatermark
from catvton.training.figures import render_figure
from tests.watermark_attacks import ATTACKS, as_file, psnr, resized, tally

EXAMPLES = Path(__file__).parents[1] / "resource" / "examples"
NUMBER = 0xB0A71E5CA1ED
WATERMARK = TiledWatermark()

# What NUMBER was coded as, and five pixels of its tile, on the day the first picture was marked.
GOLDEN_BITS = "f355346f2c99814f646ba547bd5d448a49b4bbfa3393113cb3d921b8d11e5a87c0"
GOLDEN_PIXELS = [1.28698, 1.95303, -0.07282, 0.2574, -0.34490]


@cache
def pictures() -> tuple[Image.Image, ...]:
    """Eight people of 768x1024: four before plain walls, four drawn anew with a camera's dirt, before anything."""
    examples = [Image.open(EXAMPLES / f"person-{number}.webp").convert("RGB") for number in range(1, 5)]
    drawn = [Image.fromarray(render_figure(np.random.default_rng(seed), oversample=1).image) for seed in range(4)]
    return (*examples, *drawn)


@cache
def marked() -> tuple[Image.Image, ...]:
    return tuple(WATERMARK.embed(picture, NUMBER) for picture in pictures())


def scene(size: tuple[int, int]) -> Image.Image:
    return pictures()[4].resize(size, Image.Resampling.LANCZOS)


# ---- what it survives ------------------------------------------------------------------------------------------------


def test_every_attack_on_eight_pictures():
    found = tally(WATERMARK, pictures())
    assert found.pictures == 8
    assert dict(found.read) == dict.fromkeys(ATTACKS, 8)  # of the long check's 200 a few may fail; of these none does
    assert found.wrong == 0
    assert min(found.psnr) >= 38
    assert max(found.moved) <= 6


@pytest.mark.parametrize("factor", [0.6, 0.83, 1.31, 3.0])
def test_any_other_size(factor):
    for picture in (marked()[0], marked()[4]):
        assert WATERMARK.read(resized(factor)(picture, np.random.default_rng(0))) == NUMBER


def test_a_result_beside_what_it_was_made_from():
    for before, after in zip(pictures()[:2], marked()[:2], strict=True):
        row = Image.new("RGB", (4 * 776, 1024), "white")
        for index, each in enumerate([before, before, before, after]):
            row.paste(each, (776 * index, 0))
        assert WATERMARK.read(row) == WATERMARK.read(as_file(row, "JPEG", quality=75)) == NUMBER


def test_any_mode_is_read():
    for mode in ("RGBA", "L", "CMYK"):
        assert WATERMARK.read(marked()[0].convert(mode)) == NUMBER


def test_threads_do_not_disturb_each_other():
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(WATERMARK.embed, pictures()[:4], range(4)))
        assert list(pool.map(WATERMARK.read, made)) == [0, 1, 2, 3]


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(200, 300), (300, 200), (384, 512), (2000, 900), (3000, 4000)])
def test_sizes(size):
    picture = scene(size)
    made = WATERMARK.embed(picture, NUMBER)
    assert made.size == size and made.mode == "RGB"
    assert psnr(picture, made) >= 38
    assert WATERMARK.read(made) == NUMBER
    assert WATERMARK.read(as_file(made, "JPEG", quality=75)) == NUMBER


def test_a_large_picture_made_much_smaller():
    made = WATERMARK.embed(scene((3000, 4000)), NUMBER)
    assert WATERMARK.read(as_file(made.resize((750, 1000), Image.Resampling.LANCZOS), "JPEG", quality=75)) == NUMBER


@pytest.mark.parametrize("size", [(32, 32), (60, 80), (20, 200)])
def test_too_small_is_said(size):
    with pytest.raises(CannotMark, match=f"{size[0]} x {size[1]} pixels"):
        WATERMARK.embed(scene(size), NUMBER)
    assert WATERMARK.read(scene(size)) is None


# ---- marks over marks ------------------------------------------------------------------------------------------------


def test_a_result_dressed_again_tells_of_its_last_job():
    for first in (marked()[0], marked()[4]):
        for handed_over in (first, as_file(first, "JPEG", quality=75)):
            again = WATERMARK.embed(handed_over, 77)
            assert psnr(handed_over, again) >= 38
            assert WATERMARK.read(again) == WATERMARK.read(as_file(again, "JPEG", quality=60)) == 77


def test_the_first_mark_is_taken_out_and_not_piled_up():
    once = marked()[0]
    for number in range(1, 5):
        once = WATERMARK.embed(once, number)
    assert WATERMARK.read(once) == 4
    assert psnr(pictures()[0], once) >= 38


# ---- never where it is not -------------------------------------------------------------------------------------------


def test_the_bound_on_false_positives():
    assert FALSE_POSITIVE_BOUND < 1e-6
    assert ecc.CHECK_BITS == 32


def test_a_reading_checks_no_more_words_than_the_bound_says(monkeypatch):
    checked = []
    monkeypatch.setattr(ecc, "decode", lambda soft: checked.append(soft))  # None: never satisfied
    monkeypatch.setattr("catvton.safety.watermark._HEIGHT", -np.inf)  # the most tries there can be
    assert WATERMARK.read(pictures()[4].crop((0, 0, 300, 400))) is None
    assert 0 < len(checked) <= FALSE_POSITIVE_BOUND * 2**ecc.CHECK_BITS


def test_nothing_is_read_from_unmarked_pictures():
    rng = np.random.default_rng(1)
    for index in range(60):
        picture = pictures()[index % 8]
        left, top = rng.integers(picture.width - 144), rng.integers(picture.height - 192)
        assert WATERMARK.read(picture.crop((left, top, left + 144, top + 192))) is None


def test_pictures_of_nothing():
    board = np.indices((300, 200)).sum(0)[..., None].repeat(3, 2) % 2 * 255
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3))
    flat = [np.full((height, width, 3), 255) for height, width in ((300, 200), (1, 1), (1, 500))]
    for pixels in (board, noise, *flat):
        assert WATERMARK.read(Image.fromarray(pixels.astype(np.uint8))) is None


# ---- the same for ever -----------------------------------------------------------------------------------------------


def test_pictures_marked_by_the_first_version_stay_readable():
    """What is written is fixed: these values may never change, or pictures already handed out could not be traced."""
    bits = ecc.encode(NUMBER)
    assert np.packbits(bits).tobytes().hex() == GOLDEN_BITS
    tile = pattern.tile(bits)
    np.testing.assert_allclose(tile[[0, 0, 31, 64, 127], [0, 1, 77, 64, 127]], GOLDEN_PIXELS, atol=1e-4)


def test_the_same_picture_and_number_give_the_same_pixels():
    again = WATERMARK.embed(pictures()[0], NUMBER)
    assert again.tobytes() == marked()[0].tobytes()
    assert WATERMARK.embed(pictures()[0], NUMBER + 1).tobytes() != again.tobytes()


def test_limits_that_are_promised():
    assert MOST_MOVED == 6
    assert LEAST_PSNR > 38


# ---- the code --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**48 - 1))
def test_a_number_comes_back(number):
    bits = ecc.encode(number)
    assert bits.shape == (ecc.CODED_BITS,)
    assert ecc.decode(1.0 - 2.0 * bits) == number


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**32 - 1))
def test_it_comes_back_through_noise(number, seed):
    noise = np.random.default_rng(seed).normal(0, 0.6, ecc.CODED_BITS)
    assert ecc.decode(1.0 - 2.0 * ecc.encode(number) + noise) == number


@pytest.mark.parametrize(("wrong", "expected"), [(6, NUMBER), (100, None)])
def test_wrong_bits_are_mended_or_refused_and_never_guessed(wrong, expected):
    rng = np.random.default_rng(0)
    for _ in range(30):
        received = 1.0 - 2.0 * ecc.encode(NUMBER)
        received[rng.choice(ecc.CODED_BITS, wrong, replace=False)] *= -1
        assert ecc.decode(received) == expected


def test_noise_is_no_number():
    rng = np.random.default_rng(0)
    assert all(ecc.decode(rng.normal(0, 1, ecc.CODED_BITS)) is None for _ in range(300))
    assert ecc.decode(np.ones(ecc.CODED_BITS)) is None
    assert ecc.decode(np.zeros(ecc.CODED_BITS)) is None


@pytest.mark.parametrize("number", [-1, 2**48])
def test_numbers_that_do_not_fit(number):
    with pytest.raises(ValueError, match="48"):
        ecc.encode(number)


# ---- periods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [64, 97, 201])
def test_a_period_is_found(period):
    rng = np.random.default_rng(0)
    tile = rng.normal(0, 0.3, (period, period)).astype(np.float32)
    noisy = np.tile(tile, (5, 4)) + rng.normal(0, 1, (5 * period, 4 * period)).astype(np.float32)
    assert periods(noisy, 1)[0] == pytest.approx(period, rel=0.002)


def test_too_small_for_any_period():
    assert periods(np.zeros((40, 300), np.float32), 5) == []
