"""Masks on figures drawn by the test: who is chosen, what may change, what must not."""

import sys
import threading
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from model import AutoMasker, Body, Label, MaskError, NoPersonFound, PartNotVisible
from model.figure import measure
from model.parsing import clean, find_people
from model.raster import close, components, fill_holes, fill_nearest, grow, hull, resize_labels, shrink, walk
from model.regions import split
from model.window import Window

# A drawn photo carries its labels as the corners of the RGB cube: a scaled mix of two corners decodes to one of them.
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]], np.uint8)
DECODE = np.zeros(8, np.uint8)
DECODE[CORNERS @ [1, 2, 4]] = np.arange(8)

TOPS = (Label.UPPER, Label.DRESS)


def photo_of(labels):
    return Image.fromarray(CORNERS[labels] * 255)


class CornerParser:
    """Reads the labels back from a drawn photo and answers with certainty; remembers what it was asked."""

    def __init__(self):
        self.windows = []

    def __call__(self, image):
        self.windows.append(image.size)
        bits = np.asarray(image.resize((192, 256))) > 127
        return np.moveaxis(np.eye(8, dtype=np.float32)[DECODE[bits @ [1, 2, 4]]], -1, 0)


@dataclass(frozen=True)
class Person:
    """A front view in a unit of stature: (0, 0) is the crown's middle, y = 1 the sole."""

    top: str = "short sleeves"  # long sleeves | strapless | none
    bottom: str = "trousers"  # shorts | skirt | none
    dress: bool = False
    arms: str = "down"  # crossed | clasped | wide | up
    hair: bool = True
    hat: bool = False
    shoes: bool = True
    bag: bool = False
    belt: bool = False
    hand_boxes: list = field(default_factory=list, compare=False)


def draw(canvas, person, *, x, y, stature):
    """Draw a person's labels with the crown at (x, y); returns the canvas."""

    def at(u, v):
        return round(x + u * stature), round(y + v * stature)

    def polygon(code, *points):
        cv2.fillPoly(canvas, [np.array([at(*p) for p in points], np.int32)], int(code))

    def stroke(code, width, *points):
        line = np.array([at(*p) for p in points], np.int32)
        cv2.polylines(canvas, [line], False, int(code), max(1, round(width * stature)))

    def blob(code, u, v, rx, ry):
        cv2.ellipse(
            canvas, at(u, v), (max(1, round(rx * stature)), max(1, round(ry * stature))), 0, 0, 360, int(code), -1
        )

    _legs(person, stroke, polygon, blob)
    _torso(person, polygon, stroke)
    _head(person, polygon, blob)
    for side in (-1, 1):
        _arm(person, side, stroke, blob)
    if person.belt:
        polygon(Label.OTHER, (-0.1, 0.425), (0.1, 0.425), (0.1, 0.44), (-0.1, 0.44))
    if person.bag:
        polygon(Label.OTHER, (0.19, 0.5), (0.34, 0.5), (0.34, 0.64), (0.19, 0.64))
    return canvas


def _legs(person, stroke, polygon, blob):
    for side in (-1, 1):
        if person.bottom == "trousers" and not person.dress:
            stroke(Label.LOWER, 0.085, (side * 0.05, 0.46), (side * 0.06, 0.94))
        else:
            stroke(Label.SKIN, 0.06, (side * 0.05, 0.48), (side * 0.06, 0.97))
            if person.bottom == "shorts" and not person.dress:
                stroke(Label.LOWER, 0.095, (side * 0.05, 0.46), (side * 0.055, 0.62))
        if person.shoes:
            blob(Label.SHOES, side * 0.065, 0.975, 0.035, 0.025)
        else:
            blob(Label.SKIN, side * 0.065, 0.975, 0.03, 0.022)
    if person.bottom == "skirt" and not person.dress:
        polygon(Label.LOWER, (-0.09, 0.42), (0.09, 0.42), (0.13, 0.66), (-0.13, 0.66))
    elif person.bottom != "none" and not person.dress:
        polygon(Label.LOWER, (-0.095, 0.42), (0.095, 0.42), (0.1, 0.5), (-0.1, 0.5))


def _torso(person, polygon, stroke):
    shape = ((-0.11, 0.185), (0.11, 0.185), (0.1, 0.36), (0.1, 0.44), (-0.1, 0.44), (-0.1, 0.36))
    stroke(Label.SKIN, 0.055, (0, 0.1), (0, 0.19))
    if person.dress:
        polygon(Label.DRESS, *shape[:2], (0.085, 0.36), (0.15, 0.68), (-0.15, 0.68), (-0.085, 0.36))
    elif person.top == "none":
        polygon(Label.SKIN, *shape)
    else:
        polygon(Label.UPPER, *shape)
        if person.top == "strapless":
            polygon(Label.SKIN, (-0.11, 0.185), (0.11, 0.185), (0.11, 0.23), (-0.11, 0.23))


def _head(person, polygon, blob):
    if person.hair:
        blob(Label.HAIR, 0, 0.065, 0.05, 0.065)
    blob(Label.SKIN, 0, 0.08, 0.038, 0.05)
    if person.hat:
        polygon(Label.OTHER, (-0.07, 0.035), (0.07, 0.035), (0.045, -0.02), (-0.045, -0.02))


def _arm(person, side, stroke, blob):
    joints = {
        "down": [(0.115, 0.2), (0.15, 0.36), (0.16, 0.5), (0.16, 0.59)],
        "wide": [(0.115, 0.2), (0.25, 0.23), (0.38, 0.25), (0.47, 0.26)],
        "up": [(0.115, 0.2), (0.2, 0.1), (0.18, -0.05), (0.18, -0.14)],
        "clasped": [(0.115, 0.2), (0.145, 0.36), (0.06, 0.5), (0.01, 0.54)],
        "crossed": [(0.115, 0.2), (0.13, 0.33), (-0.02, 0.31), (-0.08, 0.3)],
    }[person.arms]
    joints = [(side * u, v) for u, v in joints]
    cloth = Label.DRESS if person.dress else Label.UPPER
    stroke(Label.SKIN, 0.042, *joints)
    blob(Label.SKIN, *joints[-1], 0.026, 0.03)
    if person.top == "long sleeves":
        stroke(cloth, 0.06, *joints[:3])
    elif person.top == "short sleeves":
        elbow = tuple(0.4 * a + 0.6 * b for a, b in zip(*joints[:2], strict=True))
        stroke(cloth, 0.06, joints[0], elbow)
    person.hand_boxes.append(joints[-1])


def scene(*people, size=(640, 640), stature=560, spread=0.6):
    """Labels of people side by side, uint8 (H, W)."""
    width, height = size
    canvas = np.zeros((height, width), np.uint8)
    for i, person in enumerate(people):
        x = width / 2 + (i - (len(people) - 1) / 2) * spread * stature
        draw(canvas, person, x=x, y=(height - stature) / 2, stature=stature)
    return canvas


MASKER = AutoMasker(CornerParser())  # shared: what it remembers of a photo never changes a mask


def masked(labels, part, **options):
    return MASKER(photo_of(labels), part, **options)


def share(mask, where):
    """Share of the pixels of `where` that the mask covers."""
    return float((mask.mask[where] > 0).mean())


def hand_spots(person, *, size=(640, 640), stature=560):
    """Pixel positions (row, column) of the fingertips' middles."""
    return [
        (round((size[1] - stature) / 2 + v * stature), round(size[0] / 2 + u * stature)) for u, v in person.hand_boxes
    ]


KEPT = (Body.HAIR, Body.FACE, Body.HAND, Body.SHOES, Body.FOOT)

people = st.builds(
    Person,
    top=st.sampled_from(["short sleeves", "long sleeves", "strapless"]),
    bottom=st.sampled_from(["trousers", "shorts", "skirt"]),
    dress=st.booleans(),
    arms=st.sampled_from(["down", "crossed", "clasped", "wide", "up"]),
    hair=st.booleans(),
    hat=st.booleans(),
    shoes=st.booleans(),
    bag=st.booleans(),
    belt=st.booleans(),
)


class TestPromises:
    @hypothesis_settings(max_examples=10)
    @given(
        person=people,
        part=st.sampled_from(["upper", "lower", "overall"]),
        width=st.integers(40, 500),
        height=st.integers(40, 500),
        loose=st.booleans(),
    )
    def test_any_figure_any_size(self, person, part, width, height, loose):
        canvas = scene(person, stature=600, size=(640, 700))
        labels = resize_labels(canvas, (width, height))
        try:
            result = masked(labels, part, loose=loose)
        except MaskError:
            squeeze = (width / 640) / (height / 700)
            assert min(width, height) < 120 or not 2 / 3 < squeeze < 3 / 2  # too small, or squeezed out of shape
            return
        assert result.mask.shape == result.labels.shape == result.body.shape == (height, width)
        assert result.mask.dtype == result.labels.dtype == result.body.dtype == np.uint8
        assert set(np.unique(result.mask)) <= {0, 255}
        assert not result.mask[np.isin(result.body, KEPT)].any()
        worn = {"upper": [Label.UPPER], "lower": [Label.LOWER], "overall": [Label.UPPER, Label.LOWER, Label.DRESS]}[
            part
        ]
        assert result.mask[np.isin(result.labels, worn)].all()
        assert ((result.body == result.labels) | (result.labels == Label.SKIN)).all()

    def test_the_photo_and_the_labels_are_left_alone(self):
        labels = scene(Person())
        photo, copy = photo_of(labels), labels.copy()
        pixels = photo.tobytes()
        AutoMasker(CornerParser())(photo, "overall")
        figure = measure(labels)
        split(labels, figure)
        clean(labels)
        assert photo.tobytes() == pixels
        assert (labels == copy).all()

    def test_same_photo_same_mask(self):
        labels = scene(Person(bag=True))
        assert (masked(labels, "upper").mask == masked(labels, "upper").mask).all()


class TestUpper:
    def test_covers_sleeves_arms_and_a_margin(self):
        labels = scene(Person(top="short sleeves"))
        result = masked(labels, "upper")
        assert share(result, labels == Label.UPPER) > 0.98
        assert share(result, result.body == Body.ARM) > 0.95  # room for long sleeves
        near = grow(labels == Label.UPPER, 12) & (labels == Label.BACKGROUND)
        assert share(result, near) > 0.8

    def test_spares_the_rest_of_the_person(self):
        labels = scene(Person(top="long sleeves", bag=True))
        result = masked(labels, "upper")
        assert share(result, result.labels == Label.SHOES) == 0
        assert share(result, result.labels == Label.HAIR) == 0
        assert share(result, labels == Label.LOWER) < 0.08  # no more than a seam
        assert share(result, labels == Label.OTHER) < 0.02

    def test_reaches_little_above_the_collar(self):
        labels = scene(Person())
        rows = np.flatnonzero(masked(labels, "upper").mask.any(1))
        collar = np.flatnonzero((labels == Label.UPPER).any(1))[0]
        assert collar - 0.04 * 640 < rows[0] <= collar

    def test_on_a_dress_takes_the_bodice_and_says_so(self):
        labels = scene(Person(dress=True))
        result = masked(labels, "upper")
        rows = np.arange(labels.shape[0])[:, None]
        top, bottom = np.flatnonzero((labels == Label.DRESS).any(1))[[0, -1]]
        assert share(result, (labels == Label.DRESS) & (rows < top + 0.3 * (bottom - top))) > 0.98
        assert share(result, (labels == Label.DRESS) & (rows > top + 0.6 * (bottom - top))) < 0.01
        assert any("dress" in note for note in result.notes)

    def test_a_bare_chest_can_be_dressed(self):
        labels = scene(Person(top="none"))
        result = masked(labels, "upper")
        chest = np.zeros_like(labels, bool)
        chest[190:260, 300:340] = True
        assert share(result, chest) > 0.98

    def test_raised_arms_get_sleeves_but_not_the_face(self):
        labels = scene(Person(arms="up"), stature=440)
        result = masked(labels, "upper")
        assert share(result, result.body == Body.ARM) > 0.9
        assert (result.body == Body.FACE).sum() > 500
        assert share(result, result.body == Body.FACE) == 0

    def test_loose_covers_more(self):
        labels = scene(Person(arms="wide"))
        plain, loose = masked(labels, "upper").mask > 0, masked(labels, "upper", loose=True).mask > 0
        assert loose.sum() > 1.1 * plain.sum()
        assert (plain & ~loose).sum() < 0.02 * plain.sum()

    def test_wide_arms_do_not_mask_the_scene(self):
        result = masked(scene(Person(arms="wide", top="long sleeves")), "overall")
        assert result.mask[40 + round(0.24 * 560), 320 - round(0.35 * 560)] == 255  # the sleeve
        assert result.mask[40 + round(0.6 * 560), 320 - round(0.25 * 560)] == 0  # the street below it

    def test_a_belt_stays_with_the_trousers(self):
        labels = scene(Person(belt=True))
        assert share(masked(labels, "overall"), labels == Label.OTHER) > 0.9
        assert share(masked(labels, "upper"), labels == Label.OTHER) < 0.5


class TestLower:
    def test_shorts_can_become_trousers(self):
        labels = scene(Person(bottom="shorts"))
        result = masked(labels, "lower")
        assert share(result, labels == Label.LOWER) > 0.98
        assert share(result, result.body == Body.LEG) > 0.97
        assert (result.body == Body.LEG).sum() > 5000

    def test_spares_top_arms_and_shoes(self):
        labels = scene(Person(bottom="shorts"))
        result = masked(labels, "lower")
        assert share(result, labels == Label.UPPER) < 0.06
        assert share(result, result.body == Body.ARM) < 0.05
        assert share(result, result.labels == Label.SHOES) == 0

    def test_bare_feet_stay(self):
        labels = scene(Person(bottom="shorts", shoes=False))
        result = masked(labels, "lower")
        soles = labels.copy()
        soles[: int(40 + 0.965 * 560)] = 0
        assert share(result, soles == Label.SKIN) < 0.05
        assert (result.body == Body.FOOT).any()

    def test_on_a_dress_takes_the_skirt(self):
        labels = scene(Person(dress=True))
        result = masked(labels, "lower")
        rows = np.arange(labels.shape[0])[:, None]
        top, bottom = np.flatnonzero((labels == Label.DRESS).any(1))[[0, -1]]
        assert share(result, (labels == Label.DRESS) & (rows > top + 0.65 * (bottom - top))) > 0.98
        assert share(result, (labels == Label.DRESS) & (rows < top + 0.3 * (bottom - top))) < 0.01
        assert share(result, result.body == Body.LEG) > 0.95

    def test_a_suit_parsed_as_one_top_still_has_trousers(self):
        labels = scene(Person(top="long sleeves"))
        labels[labels == Label.LOWER] = Label.UPPER
        result = masked(labels, "lower")
        rows = np.arange(labels.shape[0])[:, None]
        assert share(result, (labels == Label.UPPER) & (rows > 40 + 0.5 * 560)) > 0.98
        assert share(result, (labels == Label.UPPER) & (rows < 40 + 0.3 * 560)) < 0.01

    def test_a_dress_under_a_top_is_a_skirt(self):
        labels = scene(Person(bottom="skirt"))
        result = masked(np.where(labels == Label.LOWER, Label.DRESS, labels).astype(np.uint8), "lower")
        assert share(result, labels == Label.LOWER) > 0.98
        assert result.notes == ()
        assert not (result.labels == Label.DRESS).any()

    @pytest.mark.parametrize("part", ["upper", "lower"])
    def test_denim_all_over_is_one_piece_with_two_halves(self, part):
        labels = scene(Person(top="long sleeves"))
        labels[labels == Label.UPPER] = Label.LOWER
        result = masked(labels, part)
        rows = np.arange(640)[:, None]
        above = share(result, (labels == Label.LOWER) & (rows < 190))
        below = share(result, (labels == Label.LOWER) & (rows > 350))
        assert (above > 0.97, below > 0.97) == (part == "upper", part == "lower")
        assert min(above, below) < 0.01

    def test_half_a_body_has_none(self):
        labels = draw(np.zeros((640, 480), np.uint8), Person(), x=240, y=40, stature=1500)
        with pytest.raises(PartNotVisible, match="waist down") as caught:
            masked(labels, "lower")
        assert caught.value.part == "lower"
        assert (masked(labels, "upper").mask > 0).any()


class TestOverall:
    def test_covers_top_trousers_arms(self):
        labels = scene(Person())
        result = masked(labels, "overall")
        assert share(result, np.isin(labels, (Label.UPPER, Label.LOWER))) > 0.98
        assert share(result, result.body == Body.ARM) > 0.95
        between_the_legs = np.zeros_like(labels, bool)
        between_the_legs[400:480, 318:322] = True
        assert share(result, between_the_legs) == 1  # a skirt needs that room

    def test_covers_a_dress_and_the_legs_under_it(self):
        labels = scene(Person(dress=True))
        result = masked(labels, "overall")
        assert share(result, labels == Label.DRESS) > 0.98
        assert share(result, result.body == Body.LEG) > 0.95

    def test_half_a_body_is_dressed_as_far_as_it_goes(self):
        labels = draw(np.zeros((640, 480), np.uint8), Person(), x=240, y=40, stature=1500)
        result = masked(labels, "overall")
        assert share(result, labels == Label.UPPER) > 0.98
        assert any("legs" in note for note in result.notes)

    def test_legs_alone_are_no_place_for_a_dress(self):
        labels = draw(np.zeros((640, 480), np.uint8), Person(), x=240, y=-600, stature=1200)
        assert not np.isin(labels, TOPS).any()
        with pytest.raises(PartNotVisible, match="shoulders down"):
            masked(labels, "overall")


class TestRegions:
    @pytest.mark.parametrize("arms", ["down", "wide", "clasped", "crossed"])
    @pytest.mark.parametrize("top", ["short sleeves", "long sleeves"])
    def test_hands_are_found(self, arms, top):
        person = Person(arms=arms, top=top)
        body = split(scene(person))
        for row, column in hand_spots(person)[1:]:  # crossed arms hide the first
            assert body[row, column] == Body.HAND

    def test_a_hand_is_about_a_fifth_of_the_arm(self):
        body = split(scene(Person(top="short sleeves")))
        arms, hands = (body == Body.ARM).sum(), (body == Body.HAND).sum()
        assert 0.25 < hands / (arms + hands) < 0.6  # of the part without a sleeve

    @pytest.mark.parametrize("hair", [True, False])
    @pytest.mark.parametrize("hat", [True, False])
    def test_the_face_is_found_with_and_without_hair(self, hair, hat):
        body = split(scene(Person(hair=hair, hat=hat)))
        assert body[40 + round(0.085 * 560), 320] == Body.FACE
        assert body[40 + round(0.165 * 560), 320] == Body.NECK

    def test_legs_are_no_arms(self):
        labels = scene(Person(bottom="shorts"))
        body = split(labels)
        assert body[40 + round(0.8 * 560), 320 + round(0.058 * 560)] == Body.LEG
        assert not np.isin(body[400:], (Body.ARM, Body.HAND)).any()

    def test_a_hand_on_a_bare_thigh_is_parted_from_it(self):
        labels = scene(Person(bottom="shorts"))
        for side in (-1, 1):  # a bridge of skin from the hand to the thigh below the shorts
            start, end = 320 + side * 34, 320 + side * 92
            labels[372:384, min(start, end) : max(start, end)] = Label.SKIN
        body = split(labels)
        assert body[350, 320 + round(0.16 * 560)] in (Body.HAND, Body.ARM)
        assert body[450, 320 + round(0.057 * 560)] == Body.LEG

    def test_a_bare_waist_is_neither_arm_nor_leg(self):
        labels = scene(Person(top="long sleeves"))
        top, bottom = 40 + round(0.37 * 560), 40 + round(0.42 * 560)
        trunk = labels[top:, 264:377]
        trunk[(trunk == Label.UPPER) & (np.arange(len(trunk))[:, None] >= bottom - top)] = Label.LOWER
        trunk[trunk == Label.UPPER] = Label.SKIN
        assert split(labels)[40 + round(0.4 * 560), 320] == Body.SKIN

    def test_nobody_stays_nobody(self):
        assert not split(np.zeros((64, 48), np.uint8)).any()

    @pytest.mark.parametrize("scale", [0.1, 0.5, 2.0])
    def test_parts_do_not_depend_on_resolution(self, scale):
        labels = scene(Person(bottom="shorts"))
        body = split(labels)
        other = split(resize_labels(labels, (int(640 * scale), int(640 * scale))))
        back = resize_labels(other, (640, 640))
        agree = (body == back)[labels == Label.SKIN].mean()
        assert agree > (0.7 if scale < 0.2 else 0.9)


class TestWho:
    @pytest.mark.parametrize("part", ["upper", "lower", "overall"])
    def test_nobody(self, part):
        with pytest.raises(NoPersonFound, match="No person"):
            masked(np.zeros((300, 200), np.uint8), part)

    def test_a_shirt_on_a_bed_is_nobody(self):
        labels = np.zeros((400, 300), np.uint8)
        labels[100:300, 60:240] = Label.UPPER
        with pytest.raises(NoPersonFound):
            masked(labels, "upper")

    def test_specks_are_nobody(self):
        labels = np.zeros((400, 300), np.uint8)
        labels[10:16, 10:16], labels[16:22, 10:16] = Label.SKIN, Label.UPPER
        with pytest.raises(NoPersonFound):
            masked(labels, "upper")

    def test_the_larger_of_two_is_chosen_and_the_other_spared(self):
        labels = np.zeros((640, 900), np.uint8)
        draw(labels, Person(), x=300, y=60, stature=540)
        small = draw(np.zeros_like(labels), Person(), x=640, y=200, stature=390) > 0
        draw(labels, Person(), x=640, y=200, stature=390)
        result = masked(labels, "upper")
        assert result.box[0] < 300 < result.box[2] < 560
        assert share(result, small) == 0
        assert not result.labels[small].any()
        assert any("several people" in note for note in result.notes)

    def test_a_distant_passer_by_is_not_worth_a_note(self):
        labels = np.zeros((640, 700), np.uint8)
        draw(labels, Person(), x=300, y=50, stature=560)
        draw(labels, Person(), x=640, y=300, stature=120)
        assert masked(labels, "upper").notes == ()

    def test_people_arm_in_arm_are_parted(self):
        labels = scene(Person(), Person(top="long sleeves"), size=(700, 700), stature=600, spread=0.33)
        assert len(components(labels > 0)) == 1
        left = find_people(labels)
        assert len(left) == 2
        assert all(0.35 < person.sum() / (labels > 0).sum() < 0.65 for person in left)

    def test_one_person_with_parted_hair_is_one(self):
        labels = scene(Person())
        for side in (-1, 1):
            cv2.rectangle(labels, (320 + side * 34 - 8, 70), (320 + side * 34 + 8, 190), int(Label.HAIR), -1)
        assert len(find_people(labels)) == 1

    def test_box_and_second_look(self):
        parser = CornerParser()
        labels = np.zeros((900, 1600), np.uint8)
        draw(labels, Person(), x=500, y=300, stature=400)
        parse = AutoMasker(parser).parse(photo_of(labels))
        ys, xs = np.nonzero(labels)
        truth = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert np.abs(np.array(parse.box) - truth).max() < 8
        assert len(parser.windows) >= 2
        assert all(abs(w / h - 0.75) < 0.02 for w, h in parser.windows)
        assert (parse.labels == labels).mean() > 0.99


class TestAsking:
    def test_another_part_of_the_same_photo_is_not_parsed_again(self):
        parser = CornerParser()
        masker, labels = AutoMasker(parser), scene(Person())
        masker(photo_of(labels), "upper")
        looks = len(parser.windows)
        masker(photo_of(labels), "lower")
        assert len(parser.windows) == looks
        masker.forget()
        masker(photo_of(labels), "lower")
        assert len(parser.windows) == 2 * looks

    def test_memory_is_bounded_and_can_be_off(self):
        first, second = photo_of(scene(Person())), photo_of(scene(Person(dress=True)))
        for remember, again in ((1, True), (2, False), (0, True)):
            parser = CornerParser()
            masker = AutoMasker(parser, remember=remember)
            masker.parse(first), masker.parse(second)
            looks = len(parser.windows)
            masker.parse(first)
            assert (len(parser.windows) > looks) is again

    def test_pixels_of_another_shape_are_another_photo(self):
        parser = CornerParser()
        masker, labels = AutoMasker(parser), scene(Person(), size=(600, 600))
        masker.parse(photo_of(labels))
        looks = len(parser.windows)
        with pytest.raises(NoPersonFound):
            masker.parse(photo_of(np.zeros((300, 1200), np.uint8)))
        assert len(parser.windows) > looks

    def test_threads_share_one_look(self):
        parser, photo = CornerParser(), photo_of(scene(Person()))
        gate, slow = threading.Event(), AutoMasker(lambda image: (gate.wait(10), parser(image))[1])
        masks = []
        threads = [threading.Thread(target=lambda: masks.append(slow(photo, "upper").mask)) for _ in range(4)]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in threads:
            thread.join(20)
        alone = CornerParser()
        expected = AutoMasker(alone)(photo, "upper").mask
        assert len(masks) == 4
        assert all((mask == expected).all() for mask in masks)
        assert len(parser.windows) == len(alone.windows)

    def test_a_failure_is_not_remembered(self):
        answers = [RuntimeError("out of memory")]
        parser = CornerParser()

        def moody(image):
            if answers:
                raise answers.pop()
            return parser(image)

        masker, photo = AutoMasker(moody), photo_of(scene(Person()))
        with pytest.raises(RuntimeError, match="out of memory"):
            masker(photo, "upper")
        assert masker(photo, "upper").mask.any()

    def test_unknown_part(self):
        with pytest.raises(ValueError, match="upper, lower, overall"):
            masked(scene(Person()), "shoes")

    def test_a_parser_with_other_classes_is_refused(self):
        with pytest.raises(ValueError, match=r"\(8, h, w\)"):
            AutoMasker(lambda image: np.zeros((3, 8, 8), np.float32))(photo_of(scene(Person())), "upper")

    def test_import_is_light(self):
        import subprocess

        code = "import sys, model; assert 'torch' not in sys.modules and 'cv2' not in sys.modules; model.AutoMasker"
        subprocess.run([sys.executable, "-c", code], check=True)


class TestRaster:
    def test_fill_nearest(self):
        known = np.zeros((20, 30), bool)
        known[5, 5] = known[5, 25] = True
        values = np.where(known, np.array([3] * 15 + [8] * 15, np.uint8), np.uint8(99))
        filled, apart = fill_nearest(values, known)
        assert (filled[:, :15] == 3).all() and (filled[:, 16:] == 8).all()
        assert apart[5, 5] == 0 and apart[5, 9] == pytest.approx(4, abs=0.1)
        assert not fill_nearest(values, np.zeros_like(known))[0].any()
        in_colour = fill_nearest(np.dstack([values] * 3), known)[0]
        assert np.array_equal(in_colour, np.dstack([filled] * 3))

    @given(st.integers(0, 2**32 - 1), st.floats(0, 9))
    def test_grow_shrink_close(self, seed, radius):
        mask = np.random.default_rng(seed).random((24, 31)) > 0.9
        assert (grow(mask, radius) | mask == grow(mask, radius)).all()
        assert not (shrink(mask, radius) & ~mask).any()
        assert not (mask & ~close(mask, radius)).any()
        assert not (close(mask, radius) & ~grow(mask, radius)).any()

    def test_empty_maps_stay_empty(self):
        empty = np.zeros((9, 7), bool)
        for result in (grow(empty, 3), shrink(empty, 3), close(empty, 3), hull(empty), fill_holes(empty, 5)):
            assert not result.any()

    def test_holes_are_filled_up_to_a_size_and_bays_are_not(self):
        mask = np.ones((20, 20), bool)
        mask[4:6, 4:6] = mask[10:15, 10:15] = mask[0:3, 8] = False
        filled = fill_holes(mask, 4)
        assert filled[4:6, 4:6].all()
        assert not filled[10:15, 10:15].any()
        assert not filled[0:3, 8].any()

    def test_walk_goes_round_walls(self):
        free = np.ones((21, 21), bool)
        free[:18, 10] = False
        start = np.zeros_like(free)
        start[0, 0] = True
        way = walk(free, start)
        assert way[0, 20] > 35
        assert np.isinf(way[0, 10])

    @given(st.integers(1, 60), st.integers(1, 60))
    def test_resized_labels_invent_nothing(self, width, height):
        labels = np.random.default_rng(3).choice([0, 2, 7], (17, 23)).astype(np.uint8)
        resized = resize_labels(labels, (width, height))
        assert resized.shape == (height, width)
        assert set(np.unique(resized)) <= {0, 2, 7}

    @given(st.integers(-50, 90), st.integers(-50, 90), st.integers(1, 120), st.integers(1, 120), st.integers(1, 99))
    def test_any_window_can_be_cut_and_brought_back(self, left, top, width, height, side):
        window = Window.around((left, top, left + width, top + height))
        photo_size = (side, 100 - side)
        picture = Image.new("RGB", photo_size, (9, 99, 199))
        meets = window.left < side and window.right > 0 and window.top < 100 - side and window.bottom > 0
        if meets:
            cut = np.asarray(window.cut(picture, max_height=64))
            assert cut.shape[0] <= 64
            assert (cut == (9, 99, 199)).all()
        back = window.back(np.full((16, 12), 5, np.uint8), photo_size)
        assert back.shape == photo_size[::-1]
        assert back.any() == meets
