"""From strokes on a small copy to a mask of the photo's size."""

import base64

import numpy as np
import pytest
from PIL import Image

from catvton.errors import InputError
from catvton.web.painting import COPY_SIZE, copy_for_painting, layer_of, painted_mask, painted_on
from tests.web_fakes import layer


def test_strokes_land_on_the_photo_where_they_were_painted():
    mask = painted_mask(layer((300, 400), (30, 40, 90, 200)), size=(600, 800))
    assert mask.shape == (800, 600) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    rows, columns = np.nonzero(mask)
    assert abs(rows.min() - 80) <= 1 and abs(rows.max() - 399) <= 1
    assert abs(columns.min() - 60) <= 1 and abs(columns.max() - 179) <= 1


def test_a_faint_stroke_of_any_colour_counts_as_much_as_a_strong_one():
    faint = painted_mask(layer((30, 40), (3, 4, 9, 20), colour=(0, 0, 0, 1)), size=(30, 40))
    strong = painted_mask(layer((30, 40), (3, 4, 9, 20), colour=(255, 255, 255, 255)), size=(30, 40))
    assert np.array_equal(faint, strong) and faint.any()


def test_nothing_painted_is_no_mask():
    assert painted_mask(layer((30, 40)), size=(30, 40)) is None


def test_an_area_that_is_handed_out_comes_back_as_it_was():
    mask = np.zeros((800, 600), np.uint8)
    mask[200:400, 100:300] = 255
    handed_out = layer_of(mask, size=(300, 400))
    assert np.array_equal(painted_mask(handed_out, size=(600, 800)), mask)


def test_what_the_browser_sends_is_the_sheets_number_and_its_layer():
    data = layer((30, 40), (3, 4, 9, 20))
    link = base64.b64encode(data).decode()
    assert painted_on(f"a1 data:image/png;base64,{link}") == ("a1", data)
    assert painted_on("") == painted_on(None) == ("", b"")


@pytest.mark.parametrize("sent", ["a1", "a1 http://elsewhere/x.png", "data:image/png;base64,AAAA", 7, ["a1"],
                                  "a1 data:image/png;base64,A!A", "a1 data:image/png;base64," + "A" * 2**22])
def test_anything_else_it_sends_is_refused_in_words(sent):
    with pytest.raises(InputError, match="painted mask"):
        painted_on(sent)


@pytest.mark.parametrize("data", [b"", b"not a picture", layer((2100, 10)), layer((300, 400), (0, 0, 9, 9))[:90]])
def test_what_is_no_layer_of_ours_is_refused_in_words(data):
    with pytest.raises(InputError):
        painted_mask(data, size=(30, 40))


@pytest.mark.parametrize(("size", "expected"), [((3000, 4000), (576, 768)), ((4000, 1000), (576, 144)),
                                                ((100, 90), (100, 90))])
def test_the_copy_fits_and_is_never_larger_than_the_photo(size, expected):
    photo = Image.new("RGB", size)
    assert copy_for_painting(photo).size == expected and photo.size == size
    assert expected[0] <= COPY_SIZE[0] and expected[1] <= COPY_SIZE[1]
