"""From strokes on a small copy to a mask of the photo's size."""

import numpy as np
import pytest
from PIL import Image

from catvton.errors import InputError
from catvton.web.painting import COPY_SIZE, copy_for_painting, painted_mask
from tests.web_fakes import layer


def test_strokes_land_on_the_photo_where_they_were_painted():
    mask = painted_mask([layer((300, 400), (30, 40, 90, 200))], size=(600, 800))
    assert mask.shape == (800, 600) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    rows, columns = np.nonzero(mask)
    assert abs(rows.min() - 80) <= 1 and abs(rows.max() - 399) <= 1
    assert abs(columns.min() - 60) <= 1 and abs(columns.max() - 179) <= 1


def test_a_faint_stroke_of_any_colour_counts_as_much_as_a_strong_one():
    faint = painted_mask([layer((30, 40), (3, 4, 9, 20), colour=(0, 0, 0, 1))], size=(30, 40))
    strong = painted_mask([layer((30, 40), (3, 4, 9, 20), colour=(255, 255, 255, 255))], size=(30, 40))
    assert np.array_equal(faint, strong) and faint.any()


def test_layers_add_up_and_nothing_painted_is_no_mask():
    one, other, empty = layer((30, 40), (0, 0, 10, 10)), layer((30, 40), (20, 30, 30, 40)), layer((30, 40))
    both = painted_mask([one, empty, other], size=(30, 40))
    assert (both > 0).sum() == 200
    assert painted_mask([empty], size=(30, 40)) is None
    assert painted_mask([], size=(30, 40)) is None


@pytest.mark.parametrize("data", [b"", b"not a picture", layer((2100, 10)), layer((300, 400), (0, 0, 9, 9))[:90]])
def test_what_is_no_layer_of_ours_is_refused_in_words(data):
    with pytest.raises(InputError):
        painted_mask([data], size=(30, 40))


@pytest.mark.parametrize(("size", "expected"), [((3000, 4000), (576, 768)), ((4000, 1000), (576, 144)),
                                                ((100, 90), (100, 90))])
def test_the_copy_fits_and_is_never_larger_than_the_photo(size, expected):
    photo = Image.new("RGB", size)
    assert copy_for_painting(photo).size == expected and photo.size == size
    assert expected[0] <= COPY_SIZE[0] and expected[1] <= COPY_SIZE[1]
