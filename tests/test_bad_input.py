"""Bad input of every kind gets a sentence, at every door, and nothing else changes."""

import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catvton.cli import main
from catvton.errors import InputError
from catvton.images import Limits, open_mask, open_picture
from catvton.result import TryOnRequest
from catvton.tryon import TryOn
from tests import hostile, tiny

FILES = hostile.table()
ODD_ARRAYS = {
    "no pixels": np.zeros((0, 0, 3), np.uint8),
    "one row of numbers": np.zeros(100, np.uint8),
    "two channels": np.zeros((64, 64, 2), np.uint8),
    "a batch": np.zeros((1, 64, 64, 3), np.uint8),
    "channels first": np.zeros((3, 64, 64), np.uint8),
    "NaN": np.full((64, 64, 3), np.nan, np.float32),
    "infinite": np.full((64, 64, 3), np.inf, np.float32),
    "floats to 255": np.full((64, 64, 3), 200.0, np.float32),
    "negative": np.full((64, 64, 3), -1, np.int16),
    "complex": np.zeros((64, 64), np.complex64),
    "objects": np.full((64, 64), None),
    "words": np.full((64, 64), "pixel"),
    "dates": np.zeros((64, 64), "datetime64[s]"),
}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def refusal(call, *args, **options) -> InputError:
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    told = str(caught.value)
    assert told[0].isupper() and told.endswith(".") and len(told) < 250, told
    return caught.value


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_are_refused_in_words(name, tmp_path):
    data, code = FILES[name]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for source in (data, path, io.BytesIO(data)):
        error = refusal(open_picture, source, what="garment photo")
        assert error.code == code and "garment photo" in str(error)
    assert refusal(open_mask, data, size=(120, 100)).code == code


def test_what_a_file_seems_to_be_is_named():
    for name, words in [("PDF", "a PDF document"), ("video", "a video"), ("drawing", "an SVG drawing"),
                        ("web page", "a web page"), ("archive", "a ZIP archive")]:
        told = str(refusal(open_picture, FILES[name][0]))
        assert words in told and "JPEG, PNG, WebP, HEIC, AVIF" in told


def test_large_sizes_are_refused_before_decoding(monkeypatch):
    """Without a header check, decoding these would be the first thing to happen."""
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    for name, (data, code) in FILES.items():
        if code == "image.too_large":
            assert refusal(open_picture, data).code == code, name


def test_a_heavy_file_is_not_read_to_its_end():
    class Endless(io.RawIOBase):
        taken = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            self.taken += len(buffer)
            return len(buffer)

    source, limits = Endless(), Limits(max_bytes=2**20)
    error = refusal(open_picture, source, limits=limits)
    assert error.code == "image.too_heavy" and "1 MB" in str(error) and source.taken <= 2**20 + 1
    assert refusal(open_picture, hostile.good("BMP"), limits=Limits(max_bytes=30_000)).code == "image.too_heavy"


@pytest.mark.parametrize("source, code", [
    (None, "image.missing"), (5, "image.type"), (["a.jpg"], "image.type"), (object(), "image.type"),
    ("", "image.not_found"), ("no such file.jpg", "image.not_found"), ("nul\0byte.jpg", "image.not_found"),
    ("https://example.org/a.jpg", "image.not_found"), (os.curdir, "image.not_found"), (os.devnull, "image.not_found"),
    ("x" * 5000, "image.not_found"), (io.StringIO("text"), "image.type"),
])
def test_sources_that_are_no_pictures(source, code):
    assert refusal(open_picture, source).code == code


def test_a_closed_file_and_a_closed_image():
    file = io.BytesIO(hostile.good("PNG"))
    image = Image.open(io.BytesIO(hostile.good("JPEG")))
    file.close()
    image.close()
    assert refusal(open_picture, file).code == "image.type"
    assert refusal(open_picture, image).code == "image.broken"


@pytest.mark.parametrize("name", ODD_ARRAYS)
def test_odd_arrays(name):
    for call, options in ((open_picture, {}), (open_mask, {"size": (64, 64)})):
        assert refusal(call, ODD_ARRAYS[name], **options).code in ("image.array", "image.too_small")


def test_lazily_opened_images_are_checked_as_files_are():
    half = hostile.good("JPEG")
    assert refusal(open_picture, Image.open(io.BytesIO(half[:len(half) // 2]))).code == "image.broken"
    assert refusal(open_picture, Image.open(io.BytesIO(hostile.whole("PNG", 30_000, 40)))).code == "image.too_large"
    assert refusal(open_picture, Image.new("RGB", (0, 0))).code == "image.too_small"


def opened_or_refused(kind, cut, patches):
    data = bytearray(hostile.good(kind))
    for place, value in patches:
        data[int(place * (len(data) - 1))] = value
    try:
        picture = open_picture(bytes(data[:int(cut * len(data))]), limits=Limits(max_pixels=1_000_000))
    except InputError as error:
        assert error.code.startswith("image.")
    else:
        assert picture.mode == "RGB" and picture.info == {}


FUZZ = {
    "kind": st.sampled_from(hostile.KINDS), "cut": st.floats(0, 1) | st.just(1.0),
    "patches": st.lists(st.tuples(st.floats(0, 1) | st.floats(0, 0.03), st.integers(0, 255)), max_size=6),
}


@settings(max_examples=100)
@given(**FUZZ)
def test_damaged_files_are_opened_or_refused(kind, cut, patches):
    opened_or_refused(kind, cut, patches)


@pytest.mark.proof
@settings(max_examples=20_000)
@given(**FUZZ)
def test_many_damaged_files_are_opened_or_refused(kind, cut, patches):
    opened_or_refused(kind, cut, patches)


# ---- the whole path --------------------------------------------------------------------------------------------------


class Untouchable:
    """Stands for everything that costs time: no bad request may reach it."""

    card = tiny.CARD

    def generate(self, *args, **options):
        pytest.fail("a bad request reached the engine")

    def __call__(self, *args, **options):
        pytest.fail("a bad request reached the masker")

    parse = __call__


@pytest.fixture
def tryon():
    return TryOn([Untouchable()], Untouchable())


def wish(**changes) -> TryOnRequest:
    return TryOnRequest(**({"person": tiny.person(), "garment": tiny.garment(), "mask": tiny.mask()} | changes))


@pytest.mark.parametrize("field, what", [("person", "person photo"), ("garment", "garment photo"), ("mask", "mask")])
@pytest.mark.parametrize("name", ["empty file", "PDF", "1 x 1", "half a JPEG", "PNG that says 30,000 x 30,000"])
def test_bad_pictures_stop_a_request_at_its_door(tryon, field, what, name):
    data, code = FILES[name]
    error = refusal(tryon.run, wish(**{field: data}))
    assert error.code == code and f"The {what}" in str(error)


@pytest.mark.parametrize("mask, code", [
    (np.zeros((150, 90), np.uint8), "mask.empty"), (np.full((150, 90), 255, np.uint8), "mask.full"),
    (np.eye(150, dtype=np.uint8), "mask.size"), (tiny.mask()[:, :, None].repeat(2, axis=2), "image.array"),
])
def test_bad_masks_stop_a_request_at_its_door(tryon, mask, code):
    assert refusal(tryon.run, wish(mask=mask)).code == code


@pytest.mark.parametrize("option, value", [
    ("steps", 0), ("steps", -1), ("steps", 10**9), ("steps", 2.5), ("steps", "many"), ("steps", float("inf")),
    ("guidance", float("nan")), ("guidance", -0.1), ("guidance", 99), ("guidance", "strong"),
    ("seed", -2), ("seed", 2**31), ("seed", 0.5), ("seed", None), ("part", "hat"), ("part", None), ("part", ["upper"]),
    ("engine", "../../etc/passwd"), ("engine", 5), ("show", "everything"), ("size", (7, 7)), ("size", "big"),
    ("variations", 0), ("variations", 1000),
])
def test_bad_options_stop_a_request_at_its_door(tryon, option, value):
    error = refusal(tryon.run, wish(**{option: value}))
    assert error.code == f"option.{option}" and option in str(error).lower()


def test_a_sound_request_is_served_after_all_of_that():
    tryon = tiny.tiny_tryon()
    for data, _ in list(FILES.values())[:20]:
        refusal(tryon.run, wish(person=data))
    assert tryon.run(wish(steps=1)).image.size == (90, 150)


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.person().save("person.png")
    tiny.garment().save("garment.png")
    (tmp_path / "half.jpg").write_bytes(FILES["half a JPEG"][0])
    (tmp_path / "huge.png").write_bytes(FILES["PNG that says 30,000 x 30,000"][0])
    Image.new("L", (90, 150)).save("empty.png")
    return tmp_path


@pytest.mark.parametrize("changes, told", [
    ({"--person": "nobody.jpg"}, "does not exist"), ({"--person": "half.jpg"}, "damaged or incomplete JPEG"),
    ({"--garment": "huge.png"}, "30000 x 30000"), ({"--mask": "empty.png"}, "marks nothing"),
    ({"--steps": "0"}, "Steps 0"),
    ({"--guidance": "nan"}, "Guidance nan"), ({"--seed": "-5"}, "Seed -5"), ({"--part": "hat"}, '"upper"'),
    ({"--engine": "warp"}, "choose one of"), ({"--out": "result.gif"}, "must end in"),
    ({"--out": "nowhere/result.png"}, "no folder"),
])
def test_the_command_line_says_it_in_one_sentence(photos, capsys, changes, told):
    options = {"--person": "person.png", "--garment": "garment.png", "--out": "result.png"} | changes
    code = main(["tryon", "--quiet", *(word for option in options.items() for word in option)])
    output = capsys.readouterr()
    assert code == 2 and told in output.err and "Traceback" not in output.err and not output.out
    assert not (photos / "result.png").exists()


def test_a_wrong_setting_ends_the_command_line_the_same_way(photos, capsys, monkeypatch):
    monkeypatch.setenv("CATVTON_ENGIN", "compact")
    assert main(["tryon", "--person", "person.png", "--garment", "garment.png", "--out", "result.png"]) == 2
    assert "Did you mean CATVTON_ENGINE?" in capsys.readouterr().err
