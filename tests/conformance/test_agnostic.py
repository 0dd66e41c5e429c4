"""`agnostic_mask` against masks of the published masker, pixel for pixel; and what its options promise.

The masks were made with OpenCV 5.0 and are the same with 4.12. Older ones fill polygons a little differently along
their edges, in the published code as here: there, a few pixels are let pass.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import Atr, Lip, agnostic_mask
from model.agnostic import PLANS
from model.label_sets import Selection
from tests.conformance.conftest import DATA

SCENES = range(1, 7)
MAPS = ("densepose", "lip", "atr")
OTHER_EDGES = 0 if tuple(map(int, cv2.__version__.split(".")[:2])) >= (4, 12) else 40  # pixels of a mask


@pytest.fixture(scope="module")
def scenes() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "automask.npz"))


def maps_of(scenes, scene):
    return [scenes[f"s{scene}_{name}"] for name in MAPS]


class TestAsPublished:
    @pytest.mark.parametrize("part", PLANS)
    @pytest.mark.parametrize("scene", SCENES)
    def test_every_scene_and_part(self, scenes, scene, part):
        found = agnostic_mask(*maps_of(scenes, scene), part)
        assert found.dtype == np.uint8
        assert np.count_nonzero(found != scenes[f"s{scene}_{part}"]) <= OTHER_EDGES

    def test_nothing_in_nothing_out(self, scenes):
        empty = np.zeros((1024, 768), np.uint8)
        assert (agnostic_mask(empty, empty, empty, "upper")[::16, ::16] == scenes["empty_upper"]).all()

    def test_every_reference_array_is_used(self, scenes):
        known = {f"s{scene}_{name}" for scene in SCENES for name in (*MAPS, *PLANS)}
        assert set(scenes) == known | {"empty_upper"}

    def test_upper_is_the_default(self, scenes):
        assert (agnostic_mask(*maps_of(scenes, 6)) == agnostic_mask(*maps_of(scenes, 6), "upper")).all()

    @pytest.mark.parametrize("part", PLANS)
    @pytest.mark.parametrize(("rows", "columns"), [(1, 0), (0, 1), (3, 2)])
    def test_a_few_pixels_more_change_little(self, scenes, part, rows, columns):
        """Sizes the published code fails on: the scene with its last rows and columns repeated."""
        maps = [np.pad(labels, ((0, rows), (0, columns)), mode="edge") for labels in maps_of(scenes, 6)]
        found = agnostic_mask(*maps, part)
        expected = scenes[f"s6_{part}"]
        assert found.shape == (300 + rows, 404 + columns)
        assert (found[:300, :404] != expected).mean() < 0.005


class TestNames:
    def test_a_class_neither_parser_has(self):
        with pytest.raises(KeyError, match="neither LIP nor ATR has a class TROUSERS"):
            Selection.of("PANTS TROUSERS")

    @pytest.mark.parametrize("names", [{"lip": "BAG"}, {"atr": "COAT"}])
    def test_a_class_the_asked_parser_lacks(self, names):
        with pytest.raises(KeyError, match=r"BAG|COAT"):
            Selection.of(**names)

    def test_a_class_of_one_parser_is_selected_there(self):
        both = Selection.of("BAG COAT SKIRT")
        assert both == Selection(lip=(Lip.COAT, Lip.SKIRT), atr=(Atr.BAG, Atr.SKIRT))


@st.composite
def label_maps(draw):
    """Three maps of one random size, of random blocks, as parsers never give them."""
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    block = draw(st.integers(1, 12))

    def blocks(count):
        few = rng.integers(0, count, rng.integers(1, 8))  # few classes, so that pieces hang together
        rows, columns = -(-height // block), -(-width // block)
        return rng.choice(few, (rows, columns)).repeat(block, 0).repeat(block, 1)[:height, :width].astype(np.uint8)

    return blocks(25), blocks(len(Lip)), blocks(len(Atr))


SHOES = Selection.of("LEFT_SHOE RIGHT_SHOE")
HAIR = Selection.of("HAIR")
parts = st.sampled_from(list(PLANS))
options = st.fixed_dictionaries({"loose": st.booleans(), "grow": st.sampled_from([0, 30, 400.5])})


def where(selection, lip, atr):
    return np.isin(lip, selection.lip) | np.isin(atr, selection.atr)


class TestPromises:
    @given(maps=label_maps(), part=parts, options=options)
    def test_what_stays_and_what_goes(self, maps, part, options):
        _, lip, atr = maps
        copies = [labels.copy() for labels in maps]
        found = agnostic_mask(*maps, part, **options)
        assert found.shape == lip.shape and found.dtype == np.uint8
        assert set(np.unique(found)) <= {0, 255}
        assert not found[lip == Lip.FACE].any()
        limb = np.isin(lip, (14, 15, 16, 17)) | np.isin(atr, (12, 13, 14, 15))
        hands = np.isin(maps[0], (3, 4, 5, 6)) & limb
        assert not found[hands].any()
        worn = where(PLANS[part].worn, lip, atr)
        assert found[worn & ~hands & (lip != Lip.FACE)].all()
        assert all((labels == copy).all() for labels, copy in zip(maps, copies, strict=True))

    @given(maps=label_maps(), part=parts, options=options)
    def test_options_only_add_and_spare_hair_accessories_and_arms(self, maps, part, options):
        _, lip, atr = maps
        plain, more = agnostic_mask(*maps, part), agnostic_mask(*maps, part, **options)
        added = (more > 0) & (plain == 0)
        assert not (plain & ~more).any()
        assert not added[where(SHOES, lip, atr) | where(HAIR, lip, atr)].any()
        if part == "lower":
            assert not added[where(Selection.of("LEFT_ARM RIGHT_ARM"), lip, atr)].any()

    @given(maps=label_maps(), part=parts, grow=st.floats(0, 500))
    def test_growing_spares_what_stays(self, maps, part, grow):
        _, lip, atr = maps
        added = agnostic_mask(*maps, part, grow=grow) & ~agnostic_mask(*maps, part)
        assert not added[where(PLANS[part].stays, lip, atr) | where(PLANS[part].body, lip, atr)].any()

    @given(maps=label_maps(), part=parts, options=options, feather=st.floats(0.01, 900))
    def test_a_feathered_mask_is_the_mask_with_a_soft_edge(self, maps, part, options, feather):
        hard = agnostic_mask(*maps, part, **options)
        soft = agnostic_mask(*maps, part, **options, feather=feather)
        assert ((soft >= 128) == (hard > 0)).all()
        assert not soft[maps[1] == Lip.FACE].any()


class TestOptions:
    def test_growing_by_pixels_of_the_baseline(self):
        """A lone top in a map of 512: 20 pixels of a side of 1024 are 10 there."""
        lip = np.zeros((512, 512), np.uint8)
        lip[200:300, 200:300] = Lip.UPPER_CLOTHES
        nothing = np.zeros_like(lip)
        plain, grown = (agnostic_mask(nothing, lip, nothing, "upper", grow=grow) for grow in (0, 20))
        middle = [np.flatnonzero(mask[250])[[0, -1]] for mask in (plain, grown)]
        assert (middle[0] - middle[1]).tolist() == [10, -10]

    def test_the_slope_of_a_feather(self):
        lip = np.zeros((1024, 1024), np.uint8)
        lip[:, :512] = Lip.UPPER_CLOTHES
        nothing = np.zeros_like(lip)
        edge = np.count_nonzero(agnostic_mask(nothing, lip, nothing)[500])
        row = agnostic_mask(nothing, lip, nothing, feather=10)[500].astype(int)
        assert row[edge - 6] == 255 and row[edge + 5] == 0
        steps = -np.diff(row[edge - 4 : edge + 4])
        assert steps.min() >= 25 and steps.max() <= 26  # 255 over 10 pixels

    @pytest.mark.parametrize("part", ["upper", "overall"])
    def test_loose_hides_how_long_the_sleeves_were(self, part):
        """The same person in short and in long wide sleeves: the looser masks differ less."""
        plain = difference(part)
        loose = difference(part, loose=True)
        assert plain > 500
        assert loose < 0.2 * plain

    def test_loose_hides_the_hem_but_not_the_trousers(self, scenes):
        maps = maps_of(scenes, 1)
        trousers = maps[1] == Lip.PANTS
        plain, loose = (agnostic_mask(*maps, "upper", loose=loose) > 0 for loose in (False, True))
        hem = np.flatnonzero((maps[1] == Lip.UPPER_CLOTHES).any(1))[-1]
        assert (loose & ~plain & trousers)[hem : hem + 30].any()
        assert not (loose & ~plain & trousers)[hem + 60 :].any()

    def test_specks_are_not_widened(self, scenes):
        maps = [labels.copy() for labels in maps_of(scenes, 1)]
        before = agnostic_mask(*maps, "upper", loose=True)
        maps[1][1000:1004, 20:24] = Lip.UPPER_CLOTHES
        added = agnostic_mask(*maps, "upper", loose=True) & ~before
        assert 16 <= np.count_nonzero(added) < 40 * 40

    @pytest.mark.parametrize("part", PLANS)
    @pytest.mark.parametrize("scene", SCENES)
    def test_face_hands_and_shoes_stay_on_a_drawn_person(self, scenes, scene, part):
        dense, lip, atr = maps_of(scenes, scene)
        added = agnostic_mask(dense, lip, atr, part, loose=True, grow=20) & ~agnostic_mask(dense, lip, atr, part)
        assert not added[(lip == Lip.FACE) | where(SHOES, lip, atr) | np.isin(dense, (3, 4)) & (lip >= 14)].any()


def difference(part, **options):
    """Pixels by which the masks of a person with short and with long sleeves differ."""
    masks = [agnostic_mask(*sleeved(long), part, **options) > 0 for long in (False, True)]
    return np.count_nonzero(masks[0] ^ masks[1])


def sleeved(long):
    """Maps of somebody whose sleeves end at the elbow, or hang wide at the wrist."""
    dense, lip = np.zeros((1024, 768), np.uint8), np.zeros((1024, 768), np.uint8)
    lip[150:260, 350:420] = Lip.FACE
    lip[280:600, 300:470] = Lip.UPPER_CLOTHES
    dense[280:600, 300:470] = 2
    lip[600:1000, 300:470] = Lip.PANTS
    dense[600:1000, 310:460] = 7
    for left, arm in ((250, Lip.RIGHT_ARM), (470, Lip.LEFT_ARM)):
        lip[280:600, left : left + 50] = arm
        dense[280:600, left : left + 50] = 15
        lip[280 : 560 if long else 420, left : left + 50] = Lip.UPPER_CLOTHES
    if long:
        lip[420:560, 210:560] = Lip.UPPER_CLOTHES
    return dense, lip, np.zeros_like(lip)


class TestArguments:
    def test_unknown_part(self):
        empty = np.zeros((8, 8), np.uint8)
        with pytest.raises(ValueError, match="upper, lower, overall, inner, outer"):
            agnostic_mask(empty, empty, empty, "shoes")

    @pytest.mark.parametrize(
        ("at", "wrong", "match"),
        [
            (0, np.zeros((8, 8), np.int64), "densepose map must be uint8"),
            (1, np.zeros((8, 8, 3), np.uint8), "lip map must be uint8"),
            (2, np.zeros((8, 9), np.uint8), r"atr map is \(8, 9\)"),
            (0, np.full((8, 8), 25, np.uint8), "label 25; its labels are 0 to 24"),
            (1, np.full((8, 8), 20, np.uint8), "label 20; its labels are 0 to 19"),
            (2, np.full((8, 8), 18, np.uint8), "label 18; its labels are 0 to 17"),
        ],
    )
    def test_wrong_maps(self, at, wrong, match):
        maps = [np.zeros((8, 8), np.uint8)] * 3
        maps[at] = wrong
        with pytest.raises(ValueError, match=match):
            agnostic_mask(*maps)

    def test_no_pixels(self):
        with pytest.raises(ValueError, match="uint8"):
            agnostic_mask(*[np.zeros((0, 8), np.uint8)] * 3)

    @pytest.mark.parametrize("options", [{"grow": -1}, {"feather": -0.5}])
    def test_negative_lengths(self, options):
        with pytest.raises(ValueError, match="0 or more"):
            agnostic_mask(*[np.zeros((8, 8), np.uint8)] * 3, **options)
