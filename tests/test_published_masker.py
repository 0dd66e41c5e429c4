"""`PublishedMasker` with stand-ins for its three networks: who is chosen, what is asked of them, what comes back.

A drawn photo carries its labels as colours: ten times the LIP label in red, ATR's in green, DensePose's in blue.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catvton.errors import InputError
from catvton.masking import drawn_region, find_region
from model import Atr, Label, Lip, NoPersonFound, PartNotVisible, PublishedMasker, agnostic_mask
from model.agnostic import PLANS
from model.crop import Crop
from model.published import eight_classes
from model.raster import components
from tests.conformance.conftest import DATA

STEP = 10


def photo_of(dense, lip, atr):
    return Image.fromarray(np.stack([lip, atr, dense], axis=-1) * np.uint8(STEP))


def read(image, channel):
    return np.rint(np.asarray(image)[..., channel] / STEP).astype(np.uint8)


@dataclass(frozen=True)
class Found:
    box: tuple
    score: float
    labels: np.ndarray


class Reader:
    """A parser that reads one channel; remembers the sizes it was asked, and that no gradients were kept."""

    def __init__(self, channel):
        self.channel, self.sizes = channel, []

    def __call__(self, image):
        assert torch.is_inference_mode_enabled()
        self.sizes.append(image.size)
        return read(image, self.channel)


class Bodies(Reader):
    """Every connected body is an instance; `scores` are given from left to right; `twice` finds each again."""

    def __init__(self, *scores, twice=False):
        super().__init__(2)
        self.scores, self.twice = scores, twice

    def instances(self, image):
        labels = super().__call__(image)
        found = []
        for body in components(labels > 0, min_area=30):
            rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
            box = (columns[0] + 0.2, rows[0] + 0.2, columns[-1] + 0.8, rows[-1] + 0.8)
            found.append((box, np.where(body, labels, 0).astype(np.uint8)))
        found.sort(key=lambda one: one[0])
        scores = self.scores or (0.9,) * len(found)
        people = [Found(box, score, one) for (box, one), score in zip(found, scores, strict=True)]
        again = [Found(one.box, 0.85, np.roll(one.labels, 2, axis=0)) for one in people] if self.twice else []
        return sorted(people + again, key=lambda one: -one.score)

    def __call__(self, image):
        people = self.instances(image)
        return people[0].labels if people else np.zeros(image.size[::-1], np.uint8)


def masker(*scores, twice=False, **options):
    return PublishedMasker(Bodies(*scores, twice=twice), Reader(0), Reader(1), **options)


def sizes(found):
    """What the three networks were asked, in turn."""
    return [part.sizes for part in (found._densepose, found._lip, found._atr)]


def person(maps, *, x, y, height, half=False):
    """Draw somebody in a T-shirt and trousers, crown at (x, y), into the three maps; `half` shows no legs."""
    dense, lip, atr = maps

    def box(u0, v0, u1, v1, *codes):
        rows = slice(max(0, round(y + v0 * height)), max(0, round(y + v1 * height)))
        columns = slice(max(0, round(x + u0 * height)), max(0, round(x + u1 * height)))
        for canvas, code in zip((lip, atr, dense), codes, strict=True):
            if code is not None:
                canvas[rows, columns] = code

    box(-0.05, 0, 0.05, 0.05, Lip.HAIR, Atr.HAIR, 23)
    box(-0.05, 0.05, 0.05, 0.15, Lip.FACE, Atr.FACE, 23)
    box(-0.1, 0.15, 0.1, 0.45, Lip.UPPER_CLOTHES, Atr.UPPER_CLOTHES, 2)
    for u, arm_lip, arm_atr in ((-0.14, Lip.RIGHT_ARM, Atr.RIGHT_ARM), (0.1, Lip.LEFT_ARM, Atr.LEFT_ARM)):
        box(u, 0.17, u + 0.04, 0.25, Lip.UPPER_CLOTHES, Atr.UPPER_CLOTHES, 15)
        box(u, 0.25, u + 0.04, 0.45, arm_lip, arm_atr, 19)
        box(u, 0.45, u + 0.04, 0.5, arm_lip, arm_atr, 3)
    if not half:
        box(-0.1, 0.45, 0.1, 0.93, Lip.PANTS, Atr.PANTS, 9)
        box(-0.1, 0.93, 0.1, 1, Lip.LEFT_SHOE, Atr.LEFT_SHOE, 5)


def empty(width, height):
    return [np.zeros((height, width), np.uint8) for _ in range(3)]


def alone(*, half=False):
    maps = empty(384, 512)
    person(maps, x=192, y=51.2, height=409.6, half=half)
    return maps


class TestOnePerson:
    @pytest.mark.parametrize("parity", [False, True])
    @pytest.mark.parametrize("scene", list(range(1, 7)))
    def test_the_published_mask(self, scene, parity):
        """Reference scenes, seen through the whole of it; one body there may be in several pieces."""
        golden = np.load(DATA / "automask.npz")
        maps = [golden[f"s{scene}_{name}"] for name in ("densepose", "lip", "atr")]
        whole = WholeBody(2)
        found = PublishedMasker(whole, Reader(0), Reader(1), parity=parity)
        for part in PLANS:
            try:
                result = found(photo_of(*maps), part)
            except PartNotVisible:
                assert not parity and not golden[f"s{scene}_{part}"].any()
                continue
            assert (result.mask == golden[f"s{scene}_{part}"]).all()
            assert all((a == b).all() for a, b in zip((result.densepose, result.lip, result.atr), maps, strict=True))

    @pytest.mark.parametrize("parity", [False, True])
    def test_what_comes_back(self, parity):
        maps = alone()
        photo = photo_of(*maps)
        result = masker(parity=parity)(photo, "upper")
        assert (result.mask == agnostic_mask(*maps, "upper")).all()
        assert result.mask.dtype == result.labels.dtype == np.uint8
        assert (result.labels == eight_classes(maps[1], maps[2])).all()
        rows, columns = np.nonzero(maps[1])
        assert result.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (result.part, result.notes) == ("upper", ())
        assert (
            masker(parity=parity)(photo, "upper", loose=True).mask == agnostic_mask(*maps, "upper", loose=True)
        ).all()

    def test_a_photo_with_transparency(self):
        photo = photo_of(*alone()).convert("RGBA")
        assert (masker()(photo, "upper").mask == masker()(photo.convert("RGB"), "upper").mask).all()

    def test_a_large_photo_is_looked_at_smaller(self):
        maps = [labels.repeat(6, 0).repeat(6, 1) for labels in alone()]
        found = masker()
        result = found(photo_of(*maps), "upper")
        assert [max(size) for (size,) in sizes(found)] == [1333, 1024, 1024]
        assert result.mask.shape == result.labels.shape == result.lip.shape == (3072, 2304)
        assert set(np.unique(result.mask)) == {0, 255}
        assert (result.mask != agnostic_mask(*maps, "upper")).mean() < 0.005
        assert (result.labels != eight_classes(maps[1], maps[2])).mean() < 0.01
        assert np.abs(np.subtract(result.box, (815, 307, 1489, 2765))).max() <= 8

    def test_in_parity_mode_at_its_own_size(self):
        maps = [labels.repeat(4, 0).repeat(4, 1) for labels in alone()]
        found = masker(parity=True)
        assert (found(photo_of(*maps), "upper").mask == agnostic_mask(*maps, "upper")).all()
        assert sizes(found) == [[(1536, 2048)]] * 3

    def test_a_small_person_is_looked_at_closer(self):
        maps = empty(900, 700)
        person(maps, x=300, y=250, height=240)
        found = masker()
        result = found(photo_of(*maps), "upper")
        _, (lip,), (atr,) = sizes(found)
        assert lip == atr and lip[0] < 200 and 240 < lip[1] < 330
        assert (result.lip == maps[1]).all() and (result.densepose == maps[0]).all()
        assert result.mask[maps[1] == Lip.UPPER_CLOTHES].all()
        rows, columns = np.nonzero(result.mask)
        assert rows.min() > 250 and rows.max() < 390 and columns.min() > 230 and columns.max() < 370

    @pytest.mark.parametrize(("shown", "hidden"), [("upper", "lower"), ("lower", "upper"), ("lower", "overall")])
    def test_a_part_outside_the_photo(self, shown, hidden):
        maps = empty(384, 512)
        person(maps, x=192, y=80 if shown == "upper" else -600, height=1000)
        with pytest.raises(PartNotVisible) as caught:
            masker()(photo_of(*maps), hidden)
        assert caught.value.part == hidden
        assert masker()(photo_of(*maps), shown).mask.any()

    def test_in_parity_mode_nothing_is_refused(self):
        maps = alone(half=True)
        result = masker(parity=True)(photo_of(*maps), "lower")
        assert (result.mask == agnostic_mask(*maps, "lower")).all()

    def test_an_outfit_that_ends_with_the_photo(self):
        assert any("legs" in note for note in masker()(photo_of(*alone(half=True)), "overall").notes)
        assert masker()(photo_of(*alone()), "overall").notes == ()

    @pytest.mark.parametrize("part", ["inner", "outer"])
    def test_parts_of_layered_clothes(self, part):
        maps = alone()
        maps[1][maps[1] == Lip.UPPER_CLOTHES] = Lip.COAT
        maps[1][:, 180:204][maps[1][:, 180:204] == Lip.COAT] = Lip.UPPER_CLOTHES
        assert (masker()(photo_of(*maps), part).mask == agnostic_mask(*maps, part)).all()

    def test_unknown_part(self):
        with pytest.raises(ValueError, match="upper, lower, overall, inner, outer"):
            masker()(photo_of(*alone()), "shoes")


class WholeBody(Bodies):
    """All of the blue channel is one person."""

    def __init__(self, channel):
        Reader.__init__(self, channel)

    def instances(self, image):
        labels = Reader.__call__(self, image)
        return [Found((0, 0, *image.size), 0.9, labels)] if labels.any() else []


class TestWho:
    @pytest.mark.parametrize("part", ["upper", "lower", "overall"])
    def test_nobody(self, part):
        with pytest.raises(NoPersonFound, match="No person"):
            masker()(photo_of(*empty(300, 400)), part)

    def test_a_body_that_no_parser_sees(self):
        maps = alone()
        maps[1][:], maps[2][:] = 0, 0
        with pytest.raises(NoPersonFound):
            masker()(photo_of(*maps), "upper")

    def test_nobody_in_parity_mode_is_an_empty_mask(self):
        result = masker(parity=True)(photo_of(*empty(300, 400)), "upper")
        assert result.mask.shape == (400, 300) and not result.mask.any()
        assert not result.densepose.any()
        assert result.box == (0, 0, 300, 400)

    def test_without_a_body_parity_mode_masks_what_the_parsers_see(self):
        maps = alone()
        maps[0][:] = 0
        result = masker(parity=True)(photo_of(*maps), "upper")
        assert result.mask.any() and (result.mask == agnostic_mask(*maps, "upper")).all()

    def two(self, first=1.0, second=0.8):
        """A left and a right person of these heights (of 480 pixels)."""
        both, left, right = empty(800, 560), empty(800, 560), empty(800, 560)
        for maps in (both, left):
            person(maps, x=230, y=40, height=480 * first)
        for maps in (both, right):
            person(maps, x=560, y=40, height=480 * second)
        return both, left, right

    @pytest.mark.parametrize(("first", "second"), [(1, 0.8), (0.8, 1)])
    def test_the_larger_of_two_is_chosen_and_the_other_spared(self, first, second):
        both, left, right = self.two(first, second)
        chosen, other = (left, right) if first > second else (right, left)
        for part in ("upper", "lower", "overall"):
            result = masker()(photo_of(*both), part)
            assert (result.lip == chosen[1]).all() and (result.atr == chosen[2]).all()
            assert (result.densepose == chosen[0]).all()
            assert not result.labels[other[1] > 0].any()
            assert not result.mask[other[1] > 0].any()
            assert any("several people" in note for note in result.notes)
            assert (result.mask > 0).sum() > 0.9 * (agnostic_mask(*chosen, part) > 0).sum()
            columns = np.flatnonzero(chosen[1].any(0))
            assert (result.box[0], result.box[2]) == (columns[0], columns[-1] + 1)

    @pytest.mark.parametrize(("middle", "side"), [(420, 680), (380, 120)])
    def test_of_two_alike_the_one_in_the_middle(self, middle, side):
        maps = empty(800, 560)
        for x in (middle, side):
            person(maps, x=x, y=40, height=480)
        box = masker()(photo_of(*maps), "upper").box
        assert box[0] < middle < box[2] and not box[0] < side < box[2]

    def test_loose_spares_somebody_close_by(self):
        both, left, right = empty(800, 560), empty(800, 560), empty(800, 560)
        for maps, x, height in ((left, 330, 480), (right, 480, 440)):
            person(maps, x=x, y=40, height=height)
            person(both, x=x, y=40, height=height)
        result = masker()(photo_of(*both), "upper", loose=True)
        assert agnostic_mask(*left, "upper", loose=True)[right[1] > 0].any()  # it would reach them
        assert not result.mask[right[1] > 0].any()

    def test_a_distant_passer_by_is_not_worth_a_note(self):
        both, _, right = self.two(1, 0.3)
        result = masker()(photo_of(*both), "overall")
        assert result.notes == ()
        assert not result.mask[right[1] > 0].any() and not result.lip[right[1] > 0].any()

    def test_the_same_person_found_twice_is_one(self):
        maps = alone()
        result = masker(twice=True)(photo_of(*maps), "upper")
        assert result.notes == ()
        assert (result.lip == maps[1]).all()

    def test_parity_mode_takes_the_best_score(self):
        both, _, right = self.two(1, 0.8)
        result = masker(0.8, 0.99, parity=True)(photo_of(*both), "upper")
        assert (result.densepose == right[0]).all()
        assert (result.lip == both[1]).all()
        assert result.notes == ()
        assert (result.mask == agnostic_mask(right[0], both[1], both[2], "upper")).all()


class TestAsking:
    @pytest.mark.parametrize("parity", [False, True])
    def test_another_part_of_the_same_photo_is_not_parsed_again(self, parity):
        found, photo = masker(parity=parity), photo_of(*alone())
        for part in ("upper", "lower", "overall"):
            found(photo.copy(), part)
        found(photo, "upper", loose=True)
        assert [len(asked) for asked in sizes(found)] == [1, 1, 1]
        found.forget()
        found.parse(photo)
        assert [len(asked) for asked in sizes(found)] == [2, 2, 2]

    def test_memory_is_bounded_and_can_be_off(self):
        first, second = photo_of(*alone()), photo_of(*alone(half=True))
        for remember, times in ((1, 3), (2, 2), (0, 3)):
            found = masker(remember=remember)
            for photo in (first, second, first):
                found.parse(photo)
            assert len(found._lip.sizes) == times
        with pytest.raises(ValueError, match="remember"):
            masker(remember=-1)

    def test_a_failure_is_not_remembered(self):
        found, photo = masker(), photo_of(*alone())
        answers, atr = [RuntimeError("out of memory")], found._atr

        def moody(image):
            if answers:
                raise answers.pop()
            return atr(image)

        found._atr = moody
        with pytest.raises(RuntimeError, match="out of memory"):
            found(photo, "upper")
        assert found(photo, "upper").mask.any()

    def test_no_gradients_inside_and_nothing_left_outside(self):
        masker()(photo_of(*alone()), "upper")  # the readers check
        assert not torch.is_inference_mode_enabled()

    def test_the_photo_is_left_alone(self):
        photo = photo_of(*alone())
        before = photo.tobytes()
        masker()(photo, "overall")
        assert photo.tobytes() == before


class TestInTheTryOn:
    def test_a_region_is_found(self):
        maps = alone()
        region = find_region(masker(), photo_of(*maps), "upper")
        assert region.mask[maps[1] == Lip.UPPER_CLOTHES].all()
        assert region.spare is not None and region.spare.any()
        assert region.box[0] <= 192 <= region.box[2]

    @pytest.mark.parametrize(
        ("maps", "part", "code"),
        [(empty(300, 400), "upper", "person.not_found"), (alone(half=True), "lower", "part.not_visible")],
    )
    def test_errors_a_user_can_mend(self, maps, part, code):
        with pytest.raises(InputError) as caught:
            find_region(masker(), photo_of(*maps), part)
        assert caught.value.code == code

    def test_a_drawn_mask(self):
        maps = alone()
        drawn = np.zeros((512, 384), np.uint8)
        drawn[200:260, 160:220] = 255
        region = drawn_region(PublishedMasker(WholeBody(2), Reader(0), Reader(1)), photo_of(*maps), drawn)
        assert (region.mask == drawn).all() and region.box[1] < 60


class TestEightClasses:
    def test_every_label_has_one(self):
        lip, atr = np.arange(20, dtype=np.uint8), np.zeros(20, np.uint8)
        found = dict(zip(Lip, map(Label, eight_classes(lip[None], atr[None])[0]), strict=True))
        assert found[Lip.UPPER_CLOTHES] == found[Lip.COAT] == Label.UPPER
        assert found[Lip.DRESS] == found[Lip.JUMPSUITS] == Label.DRESS
        assert found[Lip.PANTS] == found[Lip.SKIRT] == Label.LOWER
        assert {found[code] for code in (Lip.FACE, *list(Lip)[14:18])} == {Label.SKIN}
        assert {found[code] for code in (Lip.LEFT_SHOE, Lip.RIGHT_SHOE, Lip.SOCKS)} == {Label.SHOES}
        assert {found[code] for code in (Lip.HAT, Lip.GLOVE, Lip.SUNGLASSES, Lip.SCARF)} == {Label.OTHER}
        assert (found[Lip.HAIR], found[Lip.BACKGROUND]) == (Label.HAIR, Label.BACKGROUND)

    @pytest.mark.parametrize("code", list(Atr))
    def test_atr_fills_what_lip_leaves(self, code):
        """By the same name both parsers mean the same."""
        alike = np.uint8(Lip[code.name]) if code.name in Lip.__members__ else np.uint8(Lip.HAT)
        zero = np.zeros((1, 1), np.uint8)
        assert eight_classes(zero, zero + np.uint8(code)) == eight_classes(zero + alike, zero)

    def test_lips_word_counts_except_for_bags(self):
        lip, atr = np.full((1, 2), Lip.COAT, np.uint8), np.array([[Atr.DRESS, Atr.BAG]], np.uint8)
        assert eight_classes(lip, atr).tolist() == [[Label.UPPER, Label.OTHER]]


class TestCrop:
    @given(
        st.integers(1, 3000), st.integers(1, 3000), st.tuples(*[st.floats(-50, 3050)] * 4), st.integers(1, 400),
    )  # fmt: skip
    def test_any_box_can_be_cut_and_brought_back(self, width, height, box, most):
        person = (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
        crop = Crop.around(person, (width, height), most=most)
        left, top, right, bottom = crop.box
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert max(crop.size) <= max(most, 1) and min(crop.size) >= 1
        back = crop.back(np.full(crop.size[::-1], 7, np.uint8))
        assert back.shape == (height, width)
        assert np.count_nonzero(back) == (right - left) * (bottom - top)
        assert crop.to_photo((0, 0, *crop.size)) == crop.box
        assert (crop.cut_map(np.full((9, 5), 3, np.uint8)) == 3).all()

    def test_pixels_and_maps_are_cut_alike(self):
        labels = (np.arange(80)[:, None] // 8 * 10 + np.arange(120) // 12).astype(np.uint8)
        crop = Crop.around((40, 30, 70, 60), (120, 80), most=1000)
        cut = np.asarray(crop.cut(Image.fromarray(labels)))
        assert cut.shape == crop.size[::-1] != labels.shape
        assert (cut == crop.cut_map(labels)).all()
        assert (crop.back(cut)[crop.box[1] : crop.box[3], crop.box[0] : crop.box[2]] == cut).all()
