"""What becomes of an automatic mask before and after the garment is laid: nearer to the body, and only where needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from catvton.framing import Frame
from catvton.masking import REACH, Region, find_region, narrowed

SIZE = (300, 400)
BOX = (90, 40, 210, 380)  # the person


@dataclass
class Found:
    """What a masker says of one person: head, torso, legs, and a very generous mask around the torso."""

    mask: np.ndarray
    labels: np.ndarray
    box: tuple[int, int, int, int] = BOX
    notes: tuple[str, ...] = ()


def found() -> Found:
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[40:90, 130:170] = 2
    labels[90:220, 100:200] = 3
    labels[220:380, 110:190] = 4
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[60:240, 40:260] = 255
    mask[labels == 4] = 0
    return Found(mask, labels)


def region() -> Region:
    return find_region(lambda image, part: found(), Image.new("RGB", SIZE), "upper")


def frame() -> Frame:
    return Frame.around(BOX, photo_size=SIZE, size=(90, 120))


def test_an_automatic_mask_keeps_to_the_body_and_below_the_collar() -> None:
    height = BOX[3] - BOX[1]
    rows, columns = np.nonzero(region().mask)
    assert columns.min() >= 100 - REACH * height - 1 and columns.max() <= 200 + REACH * height
    assert rows.min() >= 90 - REACH * height - 1
    assert (region().mask[found().labels == 3] == 255).all()


def test_a_mask_over_bare_skin_is_not_cut_above() -> None:
    bare = found()
    bare.labels[bare.labels == 3] = 2
    mask = find_region(lambda image, part: bare, Image.new("RGB", SIZE), "upper").mask
    assert mask[65, 150] == 255


def test_background_without_cloth_is_given_back() -> None:
    whole = region()
    kept = narrowed(whole, np.zeros((120, 90), np.float32), frame())
    assert (kept.mask <= whole.mask).all() and kept.mask.sum() < whole.mask.sum()
    assert (kept.mask[found().labels == 3] == 255).all()
    assert not (kept.mask > 0)[(found().labels == 0) & whole.spare].any()


def test_background_that_cloth_will_cover_stays_in_the_mask() -> None:
    whole = region()
    assert np.array_equal(narrowed(whole, np.ones((120, 90), np.float32), frame()).mask, whole.mask)


def test_a_drawn_mask_is_never_narrowed() -> None:
    drawn = Region(mask=found().mask, box=BOX)
    assert narrowed(drawn, np.zeros((120, 90), np.float32), frame()) is drawn


def test_a_mask_is_never_narrowed_to_nothing() -> None:
    everything = Region(mask=found().mask, box=BOX, spare=found().mask > 0)
    assert narrowed(everything, np.zeros((120, 90), np.float32), frame()).mask.any()


def test_bare_arms_stay_unless_cloth_covers_them() -> None:
    person = found()
    person.labels[100:220, 205:220] = 2  # an arm, a hand's breadth from the sleeve
    mask = find_region(lambda image, part: person, Image.new("RGB", SIZE), "upper")
    kept, covered = (narrowed(mask, np.full((120, 90), odds, np.float32), frame()).mask for odds in (0, 1))
    assert kept[180, 215] == 0 and covered[180, 215] == 255
