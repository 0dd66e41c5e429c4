"""The protocol on a drawn figure: the split, the window, the mask, the garment picture, and what nobody may see."""

import itertools
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt
from scipy.spatial import Delaunay

from catvton.ccp import CCP, CLASSES, GROUPS, Clothing, cut_window, window_box
from catvton.errors import InputError
from catvton.evaluation import protocol
from catvton.evaluation.protocol import Case
from model.labels import NAMES
from tests import small_sets

UPPER, LOWER, DRESS, SHOES = (CLASSES.index(n) for n in ("upper", "lower", "dress", "shoes"))


@pytest.fixture(scope="module")
def ccp(tmp_path_factory) -> CCP:
    return CCP(small_sets.write_ccp(tmp_path_factory.mktemp("data")))


# ---- the folders -----------------------------------------------------------------------------------------------------


def test_classes_are_the_parsers():
    assert CLASSES == NAMES


def test_every_name_has_one_class():
    names = list(itertools.chain.from_iterable(GROUPS.values()))
    assert len(names) == len(set(names)) == 59


def test_splits_are_by_the_last_digit(ccp):
    assert ccp.numbers("train") == [2]
    assert ccp.numbers("validation") == [1, 11]
    assert ccp.numbers("unlabelled") == [42]  # 31 ends in 1: no training on it, labelled or not


def test_labels_are_ours(ccp):
    labels = ccp.labels(1)
    assert labels.dtype == np.uint8
    for raw, (left, top, _, _) in small_sets.FIGURE.items():
        name = {small_sets.SHIRT: "upper", small_sets.JEANS: "lower"}.get(raw, small_sets.NAMES[raw])
        assert CLASSES[labels[top + 1, left + 1]] == name
    assert labels[0, 0] == 0


def test_the_folder_itself_works_too(ccp):
    assert CCP(ccp.root).numbers("validation") == [1, 11]


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"labels\.txt"):
        CCP(tmp_path)
    with pytest.raises(InputError, match=r"images\.csv"):
        Clothing(tmp_path)


def test_a_name_without_a_class_is_named(tmp_path):
    folder = small_sets.write_ccp(tmp_path) / "ccp"
    (folder / "labels.txt").write_text("null\nspacesuit\n")
    with pytest.raises(InputError, match="spacesuit"):
        CCP(tmp_path).labels(1)


def test_clothing_lists_what_is_there(tmp_path):
    clothing = Clothing(small_sets.write_clothing(tmp_path, {"a": "red", "b": "blue"}))
    assert clothing.ids() == clothing.ids("T-Shirt") == ["a", "b"]  # "missing" is listed, but has no picture
    assert clothing.ids("Pants") == []
    assert np.allclose(clothing.image("a").getpixel((45, 60)), (255, 0, 0), atol=3)


# ---- the window ------------------------------------------------------------------------------------------------------


def test_window_of_a_tall_person():
    labels = np.zeros((400, 300), np.uint8)
    labels[100:300, 120:160] = 1
    left, top, right, bottom = window_box(labels)
    assert (right - left, bottom - top) == (168, 224)  # 1.12 x 200 high, 3/4 of that wide
    assert (left + right, top + bottom) == (280, 400)  # centred on the box


def test_window_of_a_wide_person_follows_the_width():
    labels = np.zeros((400, 300), np.uint8)
    labels[100:200, 50:250] = 1
    left, top, right, bottom = window_box(labels)
    assert (right - left, bottom - top) == (224, 299)  # 1.12 x 200 wide


def test_nothing_labelled_has_no_window():
    with pytest.raises(ValueError, match="nothing"):
        window_box(np.zeros((5, 5), np.uint8))


def test_windows_are_padded_with_the_edge():
    photo = np.arange(5 * 4, dtype=np.uint8).reshape(5, 4)
    cut = cut_window(photo, (-2, -1, 6, 7), (8, 8))
    assert np.array_equal(cut, np.pad(photo, ((1, 2), (2, 2)), mode="edge"))


# ---- cases and masks -------------------------------------------------------------------------------------------------


def test_cases_are_the_large_classes(ccp):
    assert [case.name for case in protocol.cases(ccp)] == ["0001-upper", "0001-lower", "0011-upper", "0011-lower"]


def test_small_classes_are_no_cases():
    _, raw = small_sets.figure(small_sets.FIGURE | {small_sets.DRESS: (70, 60, 80, 70)})
    labels = np.array([0, 7, 1, 2, 4, 5, 3, 6], np.uint8)[raw]
    assert protocol.kinds_of(labels) == ["upper", "lower"]


def test_a_dress_is_asked_for_as_overall():
    assert [Case(1, kind).part for kind in ("upper", "lower", "dress")] == ["upper", "lower", "overall"]


@pytest.mark.parametrize("reach", [1 / 40, 1 / 20])
@pytest.mark.parametrize("wanted", [UPPER, LOWER])
def test_mask_is_what_the_protocol_says(ccp, wanted, reach):
    window = cut_window(ccp.labels(1), window_box(ccp.labels(1)), (192, 256))
    mask = protocol.protocol_mask(window, {wanted}, reach=reach) > 0

    target = window == wanted
    grown = distance_transform_edt(~target) <= round(256 * reach)
    points = np.argwhere(grown)
    grid = np.argwhere(np.ones_like(grown))
    hull = Delaunay(points[cv2.convexHull(points.astype(np.int32), returnPoints=False).ravel()]).find_simplex(grid) >= 0
    expected = hull.reshape(grown.shape) & ~np.isin(
        window, sorted({CLASSES.index("hair"), SHOES, UPPER, LOWER} - {wanted})
    )
    expected[: round(np.flatnonzero(target.any(1))[0] - 256 / 40)] = False

    assert np.mean(mask != expected) < 0.004  # a disc of pixels is not quite a circle
    assert mask[target].all()
    assert not mask[window == SHOES].any()


def test_mask_leaves_the_labels_alone(ccp):
    window = cut_window(ccp.labels(1), window_box(ccp.labels(1)), (192, 256))
    before = window.copy()
    protocol.protocol_mask(window, {UPPER})
    assert np.array_equal(window, before)


def test_a_mask_needs_its_class():
    with pytest.raises(ValueError, match="none of the classes"):
        protocol.protocol_mask(np.zeros((64, 48), np.uint8), {DRESS})


# ---- samples ---------------------------------------------------------------------------------------------------------


def test_samples_are_the_same_every_time(ccp):
    one, two = (protocol.sample(ccp, Case(1, "upper"), (144, 192)) for _ in range(2))
    for name in ("person", "garment", "mask", "truth", "region", "hole", "colour"):
        assert np.array_equal(np.asarray(getattr(one, name)), np.asarray(getattr(two, name))), name


def test_the_seed_is_the_cases_name():
    expected = np.random.default_rng([zlib.crc32(b"0011-lower")]).random(3)
    assert np.array_equal(Case(11, "lower").generator().random(3), expected)
    assert not np.array_equal(Case(11, "lower").generator("noise").random(3), expected)


def test_nothing_under_the_mask_is_seen(ccp, monkeypatch):
    """Another garment under the mask, and the very same person picture."""
    before = protocol.sample(ccp, Case(1, "upper"), (144, 192))
    photo, worn = np.array(ccp.photo(1)), ccp.labels(1) == UPPER
    photo[worn] = 255 - photo[worn]
    monkeypatch.setattr(ccp, "photo", lambda _: Image.fromarray(photo), raising=False)
    after = protocol.sample(ccp, Case(1, "upper"), (144, 192))
    assert np.array_equal(np.asarray(before.person), np.asarray(after.person))
    assert not np.array_equal(np.asarray(before.garment), np.asarray(after.garment))
    assert not np.array_equal(before.truth, after.truth)


def test_noise_under_the_mask_photo_elsewhere(ccp):
    sample = protocol.sample(ccp, Case(1, "upper"), protocol.FIGURE_SIZE)
    person, hidden = np.asarray(sample.person), sample.mask > 0
    near = cv2.dilate(sample.mask, np.ones((13, 13))) > 0
    assert np.array_equal(person[~near], sample.truth[~near])
    assert abs(person[hidden].mean() - 127.5) < 3 and abs(person[hidden].std() - 73.9) < 3  # uniform 0..255


@pytest.mark.parametrize("number", [1, 2, 11])
def test_garment_pictures_are_turned_but_never_mirrored_or_recoloured(ccp, number):
    picture = np.asarray(protocol.sample(ccp, Case(number, "upper"), (288, 384)).garment).astype(int)
    red = np.abs(picture - small_sets.RED).sum(-1) < 40
    blue = np.abs(picture - small_sets.BLUE).sum(-1) < 40
    white = (picture > 250).all(-1)
    assert red.mean() > 0.12 and blue.mean() > 0.12
    assert (red | blue | white).mean() > 0.93  # the rest is the edge between them
    assert np.nonzero(red)[1].mean() < np.nonzero(blue)[1].mean() - 20


def test_garment_pictures_differ_by_case(ccp):
    one, other = (np.asarray(protocol.sample(ccp, Case(n, "upper"), (144, 192)).garment) for n in (1, 11))
    assert np.mean(one != other) > 0.02


def test_compose_keeps_the_photo_outside(ccp):
    sample = protocol.sample(ccp, Case(1, "lower"), (96, 128))
    flat = sample.compose(np.array([10.0, 20.0, 30.0]))
    assert np.array_equal(flat[~sample.hole], sample.truth[~sample.hole])
    assert (flat[sample.hole] == (10, 20, 30)).all()
    assert np.allclose(sample.colour, small_sets.COLOURS[small_sets.JEANS], atol=6)
