"""What old clothes hide: limbs drawn in the person's own skin tone, and nothing read from under the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from catvton.placement import background
from model.beneath import Beneath, beneath
from model.labels import Body, Label

SIZE = (360, 480)
SKIN, WALL, SHIRT, TROUSERS = (140, 90, 60), (220, 225, 230), (200, 30, 30), (30, 40, 120)
COLOURS = {
    Body.BACKGROUND: WALL,
    Body.HAIR: (20, 20, 20),
    Body.FACE: SKIN,
    Body.NECK: SKIN,
    Body.HAND: SKIN,
    Body.LEG: SKIN,
    Body.UPPER: SHIRT,
    Body.LOWER: TROUSERS,
    Body.DRESS: SHIRT,
    Body.SHOES: (250, 250, 250),
}


def standing(*, lower: str = "trousers") -> np.ndarray:
    """A body map of somebody in long sleeves, with hanging arms, in trousers or a wide skirt to the knee."""
    body = np.zeros(SIZE[::-1], np.uint8)

    def polygon(code: int, *points: tuple[int, int]) -> None:
        cv2.fillPoly(body, [np.array(points, np.int32)], int(code))

    if lower == "trousers":
        polygon(Body.LOWER, (148, 230), (212, 230), (206, 425), (184, 425), (180, 270), (176, 425), (154, 425))
    else:
        polygon(Body.LEG, (156, 330), (174, 330), (174, 425), (158, 425))
        polygon(Body.LEG, (186, 330), (204, 330), (202, 425), (186, 425))
        polygon(Body.LOWER, (148, 230), (212, 230), (244, 340), (116, 340))
    polygon(Body.UPPER, (135, 100), (225, 100), (214, 240), (146, 240))
    polygon(Body.UPPER, (136, 104), (150, 112), (134, 232), (116, 228))  # sleeves
    polygon(Body.UPPER, (210, 112), (224, 104), (244, 228), (226, 232))
    polygon(Body.HAND, (117, 229), (134, 233), (132, 256), (118, 254))
    polygon(Body.HAND, (226, 233), (243, 229), (242, 254), (228, 256))
    polygon(Body.NECK, (172, 84), (188, 84), (188, 101), (172, 101))
    cv2.ellipse(body, (180, 66), (17, 24), 0, 0, 360, int(Body.FACE), -1)
    cv2.ellipse(body, (180, 48), (19, 13), 0, 180, 360, int(Body.HAIR), -1)
    polygon(Body.SHOES, (150, 425), (178, 425), (178, 440), (146, 440))
    polygon(Body.SHOES, (182, 425), (210, 425), (214, 440), (182, 440))
    return body


def photo_of(body: np.ndarray) -> np.ndarray:
    picture = np.zeros((*body.shape, 3), np.uint8)
    for code, colour in COLOURS.items():
        picture[body == code] = colour
    return picture


def mask_of(body: np.ndarray, *codes: Body) -> np.ndarray:
    area = cv2.dilate(np.isin(body, codes).astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    return np.where(area & ~np.isin(body, (Body.FACE, Body.HAIR, Body.HAND, Body.SHOES)), 255, 0).astype(np.uint8)


def labels_of(body: np.ndarray) -> np.ndarray:
    return np.where(body > Body.OTHER, Label.SKIN, body).astype(np.uint8)


def guess(body: np.ndarray, *codes: Body) -> Beneath:
    return beneath(photo_of(body), mask_of(body, *codes), labels_of(body))


def is_skin(found: Beneath) -> np.ndarray:
    """Opaque, and the skin's colour or a shade of it."""
    rgb = found.paint[..., :3].astype(float)
    shade = rgb.sum(-1) / sum(SKIN)
    alike = np.abs(rgb - shade[..., None] * np.array(SKIN)).max(-1) < 6
    return (found.paint[..., 3] > 200) & alike & (shade > 0.6) & (shade < 1.05)


def test_under_long_sleeves_there_are_arms() -> None:
    skin = is_skin(guess(standing(), Body.UPPER))
    for y, left, right in ((150, 133, 225), (190, 127, 231), (215, 124, 236)):  # along both sleeves
        assert skin[y, left : left + 4].all() and skin[y, right : right + 4].all()
    assert not skin[190, 160:200].any()  # the belly
    assert not skin[(standing() == Body.BACKGROUND)].any()


def test_a_sleeve_is_wider_than_the_arm_in_it() -> None:
    sleeve = standing() == Body.UPPER
    assert is_skin(guess(standing(), Body.UPPER))[190, :145].sum() < sleeve[190, :145].sum()


def test_under_trousers_there_are_two_legs() -> None:
    skin = is_skin(guess(standing(), Body.LOWER))
    assert skin[380, 160:170].all() and skin[380, 190:200].all() and not skin[380, 179:182].any()


def test_under_a_skirt_legs_lead_up_from_where_they_show() -> None:
    body = standing(lower="skirt")
    skin = is_skin(guess(body, Body.LOWER))
    assert skin[320, 160:170].all() and skin[320, 190:200].all()
    assert skin[320].sum() < 0.6 * (body[320] == Body.LOWER).sum()  # not the whole skirt


def test_what_stays_goes_on_under_the_mask() -> None:
    body = standing()
    mask, found = mask_of(body, Body.UPPER), guess(body, Body.UPPER)
    hidden = (mask > 0) & (body == Body.LOWER)
    hidden &= cv2.erode((body == Body.LOWER).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert hidden.any()
    assert np.abs(found.paint[hidden][:, :3].astype(int) - TROUSERS).max() <= 2


@pytest.mark.parametrize("code", [Body.UPPER, Body.LOWER])
def test_no_pixel_under_the_mask_is_read(code) -> None:
    body = standing()
    mask, photo = mask_of(body, code), photo_of(body)
    changed = np.where((mask > 0)[..., None], np.random.default_rng(0).integers(0, 256, photo.shape), photo)
    first, again = (beneath(picture.astype(np.uint8), mask, labels_of(body)) for picture in (photo, changed))
    assert np.array_equal(first.paint, again.paint)


def test_nobody_and_nobodys_skin() -> None:
    nobody = guess(np.zeros(SIZE[::-1], np.uint8), Body.UPPER)
    assert not nobody.paint.any() and nobody.behind.all() and not nobody.body.any()
    speck = np.zeros((2000, 1500), np.uint8)
    speck[3::600, 700] = Body.UPPER
    assert not beneath(photo_of(speck), mask_of(speck, Body.UPPER), speck).paint.any()
    gloved = np.where(np.isin(standing(), (Body.FACE, Body.NECK, Body.HAND)), Body.OTHER, standing()).astype(np.uint8)
    assert not is_skin(guess(gloved, Body.UPPER)).any()


def test_a_hole_shows_limbs_and_what_is_behind_but_not_the_person_around_it() -> None:
    body = standing()
    photo, mask, under = photo_of(body), mask_of(body, Body.UPPER), guess(body, Body.UPPER)
    filled = background(photo, mask, under)
    assert np.array_equal(filled[mask == 0], photo[mask == 0].astype(np.float32) / 255)
    beside = (mask > 0) & (under.paint[..., 3] == 0)
    assert np.abs(filled[beside] * 255 - WALL).max() < 3
    without = background(photo, mask)
    assert np.abs(without[beside] * 255 - WALL).max() > 30


def test_legs_are_no_wider_than_legs_however_wide_the_trousers() -> None:
    body = standing()
    wide = [(148, 230), (212, 230), (250, 425), (186, 425), (180, 270), (174, 425), (110, 425)]
    cv2.fillPoly(body, [np.array(wide, np.int32)], int(Body.LOWER))
    skin = is_skin(guess(body, Body.LOWER))
    stature = 406
    for row, most in ((330, 0.1), (400, 0.075)):
        left = skin[row, :180].sum()
        assert 0.02 * stature < left < most * stature
        assert (body[row, :180] == Body.LOWER).sum() > 1.3 * left
    slim = is_skin(guess(standing(), Body.LOWER))[380, :180].sum()
    assert slim == pytest.approx((standing()[380, :180] == Body.LOWER).sum(), abs=8)


def test_a_top_must_reach_the_waist_and_a_dress_the_thighs() -> None:
    top, dress = guess(standing(), Body.UPPER).least, guess(standing(), Body.UPPER, Body.LOWER).least
    assert top[200:238, 160:200].all() and not top[252:].any()
    assert dress[200:325, 165:195].all() and not dress[345:].any()  # between the legs, too
    assert not (dress & (mask_of(standing(), Body.UPPER, Body.LOWER) == 0)).any()


def test_sleeves_are_marked_with_the_way_along_them() -> None:
    found = guess(standing(), Body.UPPER)
    assert found.sleeve[200, 128] and not found.sleeve[200, 180]
    assert found.along.dtype == np.uint8 and found.along[231, 125] == pytest.approx(100, abs=8)
    assert found.along[112, 141] < 15 and 30 < found.along[170, 132] < 75
