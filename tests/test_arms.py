"""Where arms lie under sleeves: beside the torso, from shoulder to hand, however the hand is held."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from model.arms import find_arms, torso
from model.figure import measure
from model.labels import Body
from tests.test_beneath import labels_of, standing

LEFT_WRIST, RIGHT_WRIST = (125, 231), (235, 231)  # where the drawn sleeves end, x and y
SHOULDERS = 104  # their row


def found(body: np.ndarray):
    return find_arms(body, measure(labels_of(body)))


def test_the_way_down_an_arm_is_nothing_at_the_shoulder_and_all_at_the_wrist() -> None:
    arms = found(standing())
    for x, y in (LEFT_WRIST, RIGHT_WRIST):
        assert arms.along[y, x] == pytest.approx(1, abs=0.08)
        assert arms.along[y + 20, x] > 1.05  # the hand
    for x in (141, 219):
        assert arms.along[SHOULDERS + 4, x] < 0.15
    down = arms.along[range(120, 230, 10), np.linspace(136, 126, 11).astype(int)]
    assert (np.diff(down) > 0).all()


def test_sleeves_lie_beside_the_torso_not_on_it() -> None:
    body = standing()
    arms = found(body)
    assert arms.sleeve[200, 128] and arms.sleeve[200, 232]
    assert not arms.sleeve[:, 160:200].any() and not arms.sleeve[300:, :].any()
    assert torso(body, measure(labels_of(body)))[160:220, 160:200].all()
    assert not (arms.sleeve & torso(body, measure(labels_of(body)))).any()


def test_a_bare_arm_is_no_wider_than_an_arm_however_wide_the_sleeve() -> None:
    body = standing()
    for points in ([(136, 104), (150, 112), (140, 232), (90, 232)], [(210, 112), (224, 104), (270, 232), (220, 232)]):
        cv2.fillPoly(body, [np.array(points, np.int32)], int(Body.UPPER))
    body[229:256, 100:118] = Body.HAND
    stature = measure(labels_of(body)).stature
    widths = found(body).limb[130:225, :150].sum(1)
    assert 0.02 * stature < np.median(widths) < 0.09 * stature


def test_both_sides_are_treated_alike() -> None:
    """The drawn figure is its own mirror image but for a pixel."""
    arms = found(standing())
    mirrored = found(standing()[:, ::-1].copy())
    for one, other in ((arms.sleeve, mirrored.sleeve), (arms.limb, mirrored.limb)):
        other = other[:, ::-1]
        assert (one & other).sum() > 0.9 * (one | other).sum()


def test_a_forearm_in_front_of_the_body_is_found_by_its_hand() -> None:
    body = standing()
    body[(body == Body.HAND) & (np.arange(body.shape[1]) < 180)] = Body.BACKGROUND
    cv2.fillPoly(body, [np.array([(160, 200), (176, 198), (178, 214), (162, 216)], np.int32)], int(Body.HAND))
    arms = found(body)
    assert arms.limb[186:194, 150:156].any() and arms.sleeve[186:194, 150:156].any()
    assert not found(standing()).sleeve[186:194, 150:156].any()


def test_a_hidden_hand_is_guessed_hanging() -> None:
    body = standing()
    body[body == Body.HAND] = Body.BACKGROUND
    arms = found(body)
    assert arms.sleeve[200, 128] and arms.sleeve[200, 232]
    assert 0.4 < arms.along[200, 128] < 1.1


def test_nothing_is_found_on_a_lone_pixel() -> None:
    speck = np.zeros((60, 80), np.uint8)
    speck[30, 40] = Body.UPPER
    assert not found(speck).limb.sum() > 1
