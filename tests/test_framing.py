"""Frames: what is cut is what lies there, and the way back changes nothing but the mask."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from catvton.framing import Frame, paste_back

SIZES = [(3, 4), (9, 12), (24, 32), (30, 40), (16, 16), (20, 12)]
EDGES = st.floats(-60, 120, allow_nan=False).map(lambda edge: round(edge, 2))


def picture(size, seed=0, channels=3):
    width, height = size
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def blob(size, seed=0):
    """A mask of random rectangles, possibly empty, possibly touching the photo's edges."""
    width, height = size
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(0, 4)):
        left, top = rng.integers(0, width), rng.integers(0, height)
        mask[top:top + rng.integers(1, 30), left:left + rng.integers(1, 30)] = 255
    return mask


@st.composite
def frames(draw):
    """(frame, photo size): a window of any shape and place that shows at least one pixel of the photo."""
    photo_size = draw(st.tuples(st.integers(1, 70), st.integers(1, 70)))
    left, right = sorted((draw(EDGES), draw(EDGES)))
    top, bottom = sorted((draw(EDGES), draw(EDGES)))
    assume(right - left > 0.5 and bottom - top > 0.5)
    frame = Frame(box=(left, top, right, bottom), size=draw(st.sampled_from(SIZES)))
    shown = frame.inside(photo_size)
    assume(shown[2] > shown[0] and shown[3] > shown[1])
    return frame, photo_size


# ---- the window ------------------------------------------------------------------------------------------------------


@given(
    photo_size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)), corners=st.lists(st.floats(0, 1), min_size=4),
    size=st.sampled_from(SIZES), margin=st.sampled_from([1.0, 1.12, 1.5]),
)
def test_around_holds_its_box_in_the_centre_and_in_proportion(photo_size, corners, size, margin):
    width, height = photo_size
    left, right = sorted((corners[0] * (width - 1), corners[1] * (width - 1)))
    top, bottom = sorted((corners[2] * (height - 1), corners[3] * (height - 1)))
    box = (left, top, right + 1, bottom + 1)
    frame = Frame.around(box, photo_size=photo_size, size=size, margin=margin)
    x0, y0, x1, y1 = frame.box
    assert x0 <= box[0] and y0 <= box[1] and x1 >= box[2] and y1 >= box[3]
    assert all(isinstance(edge, int) for edge in frame.box)
    assert abs((x1 - x0) - (y1 - y0) * size[0] / size[1]) <= 2
    assert abs((x0 + x1) - (box[0] + box[2])) <= 3 and abs((y0 + y1) - (box[1] + box[3])) <= 3
    needed = max(box[3] - box[1] + 2, (box[2] - box[0] + 2) * size[1] / size[0])
    assert y1 - y0 <= margin * needed + 1


def test_around_takes_only_what_lies_in_the_photo():
    within = Frame.around((10, 0, 30, 40), photo_size=(40, 40), size=(30, 40))
    beyond = Frame.around((10, -500, 30, 900), photo_size=(40, 40), size=(30, 40))
    assert within == beyond


@pytest.mark.parametrize("photo_size", [(3000, 7), (7, 3000), (1, 1), (300, 400)])
def test_a_whole_photo_of_any_shape_fits(photo_size):
    frame = Frame.around((0, 0, *photo_size), photo_size=photo_size, size=(30, 40), margin=1.0)
    assert frame.inside(photo_size) == (0, 0, *photo_size)
    assert frame.cut(Image.new("RGB", photo_size, "teal")).size == (30, 40)


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (5, 9, 8, 9), (8, 5, 5, 9), (0, 0, np.nan, 9), (0, 0, np.inf, 9)])
def test_a_box_without_area_is_refused(box):
    with pytest.raises(ValueError, match="box"):
        Frame(box=box, size=(3, 4))


def test_a_box_beside_the_photo_is_refused():
    with pytest.raises(ValueError, match="does not lie in a photo"):
        Frame.around((200, 0, 300, 50), photo_size=(100, 100), size=(3, 4))
    beside = Frame(box=(200, 0, 230, 40), size=(3, 4))
    with pytest.raises(ValueError, match="shows nothing"):
        beside.cut(Image.new("RGB", (100, 100)))
    with pytest.raises(ValueError, match="shows nothing"):
        beside.cut_map(np.zeros((100, 100), np.uint8))


# ---- cutting ---------------------------------------------------------------------------------------------------------


@given(frames(), st.integers(0, 99))
def test_cut_equals_resampling_the_padded_photo(case, seed):
    """The short way (pad a little, repeat the outermost frame pixels) against the plain one (pad everything)."""
    frame, photo_size = case
    photo = picture(photo_size, seed)
    left, top, right, bottom = frame.box
    whole_window_in_photo = left >= 0 and top >= 0 and right <= photo_size[0] and bottom <= photo_size[1]
    far = 0 if whole_window_in_photo else 400
    padded = Image.fromarray(np.pad(photo, [(far, far), (far, far), (0, 0)], mode="edge"))
    plain = padded.resize(frame.size, Image.Resampling.LANCZOS, box=tuple(edge + far for edge in frame.box))
    assert np.abs(np.asarray(frame.cut(Image.fromarray(photo)), int) - np.asarray(plain, int)).max() <= 1


@given(frames(), st.integers(0, 99))
def test_cut_map_takes_the_pixel_under_each_centre(case, seed):
    frame, photo_size = case
    labels = picture(photo_size, seed, channels=1)[:, :, 0]
    cut = frame.cut_map(labels)
    assert cut.shape == (frame.size[1], frame.size[0]) and cut.dtype == labels.dtype
    scale_x, scale_y = frame.scale
    for column, row in [(0, 0), (frame.size[0] - 1, frame.size[1] - 1), (frame.size[0] // 2, frame.size[1] // 3)]:
        x = min(max(int(np.floor(frame.box[0] + (column + 0.5) * scale_x)), 0), photo_size[0] - 1)
        y = min(max(int(np.floor(frame.box[1] + (row + 0.5) * scale_y)), 0), photo_size[1] - 1)
        assert cut[row, column] == labels[y, x]


def test_cut_at_the_photos_scale_copies_pixels():
    photo = picture((50, 60))
    frame = Frame(box=(-10, 5, 20, 45), size=(30, 40))
    expected = photo[5:45, np.clip(np.arange(-10, 20), 0, None)]
    assert np.array_equal(frame.cut(Image.fromarray(photo)), expected)
    assert np.array_equal(frame.cut_map(photo), expected)


def test_what_is_masked_at_the_photos_edge_stays_masked_beyond_it():
    """Or the old garment would be seen in the repeated pixels."""
    photo, mask = np.full((60, 40, 3), 30, np.uint8), np.zeros((60, 40), np.uint8)
    photo[40:, 10:30], mask[40:, 10:30] = 200, 255
    frame = Frame(box=(0, 30, 60, 110), size=(30, 40))
    cut, hole = np.asarray(frame.cut(Image.fromarray(photo))), frame.cut_map(mask)
    assert hole[15:, 5:15].all() and cut[20:, 7:13].min() > 190
    assert not hole[:, 16:].any() and cut[:, 20:].max() < 40


def test_a_wide_panorama_is_not_padded_to_its_window():
    photo = Image.fromarray(picture((8000, 40)))
    frame = Frame.around((0, 0, 8000, 40), photo_size=photo.size, size=(288, 384))
    tracemalloc.start()
    frame.cut(photo)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frame.box[3] - frame.box[1] > 10_000  # padded in full it would fill 320 MB
    assert peak < 30e6


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_cut_keeps_the_mode(mode):
    cut = Frame(box=(-5, -5, 40, 55), size=(30, 40)).cut(Image.fromarray(picture((30, 40))).convert(mode))
    assert cut.mode == mode and cut.size == (30, 40)


# ---- and back --------------------------------------------------------------------------------------------------------


@given(
    photo_size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    corner=st.tuples(st.integers(-40, 50), st.integers(-40, 50)),
    size=st.sampled_from([(30, 40), (24, 32), (41, 17)]), kind=st.sampled_from([np.uint8, np.float32]),
)
def test_cut_and_back_at_the_same_scale_reproduces_the_photo(photo_size, corner, size, kind):
    frame = Frame(box=(*corner, corner[0] + size[0], corner[1] + size[1]), size=size)
    left, top, right, bottom = frame.inside(photo_size)
    assume(right > left and bottom > top)
    photo = picture(photo_size)
    cut = np.asarray(frame.cut(Image.fromarray(photo))).astype(kind)
    back = frame.back(cut, photo_size=photo_size)
    assert back.dtype == kind
    np.testing.assert_allclose(back, photo[top:bottom, left:right], atol=0 if kind is np.uint8 else 1e-3)


@pytest.mark.parametrize("factor", [0.5, 1, 2, 3.7])
def test_back_puts_things_where_they_were(factor):
    """A smooth picture survives the trip at any scale: nothing is shifted or mirrored."""
    y, x = np.mgrid[0:200, 0:150].astype(np.float32)
    photo = np.stack([x, y, 127 + 60 * np.sin(x / 40) * np.cos(y / 50)], axis=2).astype(np.uint8)
    frame = Frame(box=(-20, 13, 160, 253), size=(round(45 * factor), round(60 * factor)))
    back = frame.back(np.asarray(frame.cut(Image.fromarray(photo))), photo_size=(150, 200))
    inner = np.s_[13:-13, 10:-10]
    assert np.abs(back.astype(int) - photo[13:])[inner].max() <= 3


def test_back_of_a_region_is_that_part_of_the_whole():
    frame, generated = Frame(box=(-7, -9, 113, 151), size=(30, 40)), picture((60, 80))
    whole = frame.back(generated, photo_size=(100, 90))
    part = frame.back(generated, photo_size=(100, 90), region=(20, 30, 70, 65))
    assert np.abs(whole[30:65, 20:70].astype(int) - part).max() <= 1


@pytest.mark.parametrize("channels", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_back_takes_any_number_of_channels(channels, kind):
    frame = Frame(box=(0, 0, 60, 80), size=(30, 40))
    maps = picture((30, 40), channels=channels).astype(kind)
    back = frame.back(maps, photo_size=(60, 80))
    assert back.shape == (80, 60, channels) and back.dtype == kind
    assert np.array_equal(frame.back(maps[:, :, 0], photo_size=(60, 80)), back[:, :, 0])


def test_back_refuses_other_proportions_and_types():
    frame = Frame(box=(0, 0, 60, 80), size=(30, 40))
    with pytest.raises(ValueError, match="proportions"):
        frame.back(picture((40, 30)), photo_size=(60, 80))
    with pytest.raises(ValueError, match="uint8 or float32"):
        frame.back(picture((30, 40)).astype(np.float64), photo_size=(60, 80))


# ---- pasting ---------------------------------------------------------------------------------------------------------


@given(frames(), st.integers(0, 999), st.sampled_from([0.5, 1, 2]), st.sampled_from([0.0, 3.0, 60.0, 900.0]))
def test_every_pixel_outside_the_mask_stays_bit_equal(case, seed, factor, feather):
    frame, photo_size = case
    width, height = (max(1, round(side * factor)) for side in frame.size)
    assume(abs(width * frame.size[1] / (height * frame.size[0]) - 1) < 0.02)
    photo, generated, mask = picture(photo_size, seed), picture((width, height), seed + 1), blob(photo_size, seed)
    given_photo, given_mask = photo.copy(), mask.copy()
    result = paste_back(photo, generated, mask, frame, feather=feather)
    assert result.dtype == np.uint8 and result.shape == photo.shape and not np.shares_memory(result, photo)
    kept = mask == 0
    assert np.array_equal(result[kept], photo[kept])
    left, top, right, bottom = frame.inside(photo_size)
    beyond = np.ones(kept.shape, bool)
    beyond[top:bottom, left:right] = False
    assert np.array_equal(result[beyond], photo[beyond])
    assert np.array_equal(photo, given_photo) and np.array_equal(mask, given_mask)


FRAME = Frame(box=(0, 0, 300, 400), size=(300, 400))
BLACK, WHITE = np.zeros((400, 300, 3), np.uint8), np.full((400, 300, 3), 255, np.uint8)


def pasted(mask, feather, frame=FRAME):
    """How much of the generated picture shows, in 0..255, on a photo of 300 x 400."""
    return paste_back(BLACK, WHITE[:frame.size[1], :frame.size[0]], mask, frame, feather=feather)[:, :, 0]


def square(left, top, right, bottom):
    mask = np.zeros((400, 300), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def test_a_seam_rises_inwards_and_is_done_after_its_width():
    shown = pasted(square(100, 100, 200, 300), feather=25.6)  # 10 pixels of a frame 400 high
    across = shown[200, 100:150].astype(int)
    assert across[0] in range(1, 50) and (np.diff(across[:11]) > 0).all() and (across[11:] == 255).all()
    assert np.array_equal(shown, shown[:, ::-1]) and np.array_equal(shown, shown[::-1])


def test_a_seam_scales_with_the_photo():
    def width(box):
        across = pasted(square(100, 100, 200, 300), feather=20, frame=Frame(box=box, size=(30, 40)))[200]
        return np.count_nonzero((across > 0) & (across < 255))

    assert width((50, 50, 250, 350)) == pytest.approx(2 * 20 * 300 / 1024, abs=2)
    assert width((-300, -400, 300, 1400)) == pytest.approx(2 * 20 * 1800 / 1024, abs=2)


def test_without_a_seam_the_mask_is_filled_exactly():
    mask = square(37, 41, 200, 133)
    assert np.array_equal(pasted(mask, feather=0), mask)


def test_a_thin_strap_is_new_along_its_middle():
    shown = pasted(square(150, 50, 157, 350), feather=60)
    assert (shown[60:340, 153] == 255).all() and (shown[60:340, 150] < 128).all()
    assert (pasted(square(150, 50, 151, 350), feather=60)[50:350, 150] == 255).all()


def test_the_photos_own_edge_is_no_seam():
    assert (pasted(square(0, 0, 300, 400), feather=40) == 255).all()
    shown = pasted(square(0, 200, 300, 400), feather=40)
    assert (shown[-1] == 255).all() and (shown[300] == 255).all() and (shown[200] < 64).all()


def test_a_mask_beyond_the_window_fades_out_at_the_windows_edge():
    shown = pasted(square(50, 50, 250, 350), feather=60, frame=Frame(box=(100, 100, 220, 260), size=(120, 160)))
    inside = shown[100:260, 100:220].astype(int)
    assert shown.sum() == inside.sum() and inside[80, 60] == 255
    assert inside[0].max() < 64 and inside[-1].max() < 64 and inside[:, 0].max() < 64 and inside[:, -1].max() < 64


def test_a_bool_mask_is_a_mask():
    mask = square(37, 41, 200, 133)
    assert np.array_equal(pasted(mask > 0, feather=20), pasted(mask, feather=20))


def test_wrong_arrays_are_refused():
    mask = square(1, 1, 9, 9)
    with pytest.raises(ValueError, match="same size"):
        paste_back(BLACK, WHITE, mask[:-1], FRAME)
    with pytest.raises(ValueError, match="generated must be uint8"):
        paste_back(BLACK, WHITE.astype(np.float32), mask, FRAME)
    with pytest.raises(ValueError, match="photo must be uint8"):
        paste_back(BLACK[:, :, 0], WHITE, mask, FRAME)
    with pytest.raises(ValueError, match="proportions"):
        paste_back(BLACK, WHITE[:200], mask, FRAME)
