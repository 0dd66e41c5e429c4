"""Placed garments and arms: where short sleeves end, how far long ones must reach, and the fold beside the torso."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from catvton.placement import Placement, place
from catvton.sleeve_net import KINDS, SIZE, SleeveNet, network_input
from catvton.sleeves import DARK, bare, crease, sleeved
from catvton.training.pairs import FRAME
from tests.test_placement import a_frame, beneath_of, shirt

ARM = np.s_[100:300, 64:100]  # rows and columns of a hanging arm, its shoulder on top
SKIN, RED = (200, 150, 120), (180, 30, 40)


def an_arm():
    """What is beneath: an arm left of the torso, skin all over it, and nobody elsewhere."""
    sleeve, body = np.zeros(FRAME[::-1], bool), np.zeros(FRAME[::-1], bool)
    paint = np.zeros((*FRAME[::-1], 4), np.uint8)
    sleeve[ARM], body[100:300, 100:188] = True, True
    paint[ARM] = (*SKIN, 255)
    along = np.clip((np.arange(FRAME[1]) - 100) / 2, 0, 255).astype(np.uint8)[:, None].repeat(FRAME[0], 1)
    areas = {"sleeve": sleeve, "body": body, "least": body, "worn": sleeve | body, "behind": ~(sleeve | body)}
    return beneath_of(paint=paint, along=along, **areas)


def laid(sleeves: float | None, *, odds: float = 30) -> Placement:
    """A block of cloth over arm and torso; `odds` of the network over the arm."""
    person, mask = a_frame((50, 90, 240, 310))
    block = Image.new("RGBA", (200, 230), (*RED, 255))
    found = place(block, person, mask, network=None, sleeves=sleeves)
    chances = found.odds.copy()
    chances[:, : 100 // 4] = odds
    return replace(found, odds=chances).over(person, mask, an_arm())


def near(laid: Placement, colour: tuple[int, int, int]) -> np.ndarray:
    """bool (rows,): where the arm's middle shows a colour."""
    column = np.asarray(laid.image)[100:300, 74:84].astype(int)
    return (np.abs(column - colour).max(-1) < 30).all(1)


@pytest.mark.parametrize("odds", [30, -30], ids=["cloth-wherever-asked", "no-cloth-on-arms"])
def test_short_sleeves_end_where_they_end_whatever_the_network_says(odds: float) -> None:
    found = laid(0.42, odds=odds)
    cloth, skin = near(found, RED), near(found, SKIN)
    assert cloth[20:80].all() and not cloth[100:].any()
    assert skin[100:180].all() and not skin[5:80].any()


def test_long_sleeves_reach_the_wrist() -> None:
    assert near(laid(0.97, odds=-30), RED)[20:180].all()


def test_without_sleeves_the_arm_is_bare() -> None:
    assert near(laid(0.04), SKIN)[25:180].all()


def test_what_is_not_known_is_left_to_the_network() -> None:
    assert near(laid(None), RED)[20:180].all()
    assert near(laid(None, odds=-30), SKIN)[40:160].all()


def test_the_same_is_drawn_at_any_size() -> None:
    colours, alpha = laid(0.42).render((2 * FRAME[0], 2 * FRAME[1]))
    assert colours.shape == (2 * FRAME[1], 2 * FRAME[0], 3)
    assert alpha[2 * 160, 2 * 80] > 0.95 and alpha[2 * 220, 2 * 80] == 0 and alpha[2 * 220, 2 * 140] > 0.95


def test_bareness_begins_at_the_reach() -> None:
    found = bare(an_arm(), 0.5)
    assert found.dtype == np.float32 and found[200, 80] == 0 and found[215, 80] == 1
    assert not found[:, 120:].any()


def test_old_sleeves_beyond_the_new_ones_are_none_of_its_rim() -> None:
    under = sleeved(an_arm(), 0.5)
    assert under.worn[180, 80] and not under.worn[240, 80] and under.worn[240, 140]
    assert under.least[180, 80] and not under.least[240, 80]


def test_cloth_is_darker_between_sleeve_and_torso_alone() -> None:
    shade = crease(an_arm())
    assert shade[200, 99:101].max() < 1 - 0.8 * DARK and shade[200, 60:85].min() > 0.99
    assert shade[200, 120:].min() > 0.99 and shade.max() <= 1
    assert (crease(beneath_of()) == 1).all()


def test_the_network_sees_a_garment_without_its_paper() -> None:
    canvas = np.full((128, 96, 4), 255, np.uint8)
    canvas[:, :48, 3] = 0
    seen = network_input(canvas)
    assert seen.shape == (4, SIZE[1], SIZE[0]) and seen.dtype == np.float32
    assert not seen[:, :, :23].any() and (seen[:, :, 25:] == 1).all()


def test_it_says_nothing_when_it_is_not_sure_and_for_what_is_no_top() -> None:
    network = SleeveNet().eval()
    canvas = np.asarray(shirt())
    for kind, expected in enumerate(KINDS):
        with torch.no_grad():
            network.head.weight.zero_()
            network.head.bias.zero_()
            network.head.bias[kind] = 5
        assert network.reach(canvas) == expected.reach
    network.head.bias.data.zero_()
    assert network.reach(canvas) is None
