"""Disturbed photos keep their truth and their mask to the pixel; poses are told by known angles."""

import json
from operator import attrgetter

import cv2
import numpy as np
import pytest

from catvton import cli
from catvton.ccp import CCP
from catvton.evaluation import robustness
from catvton.evaluation.disturb import DISTURBANCES, UNDISTURBED, Disturbance, blurred, lit, squeezed
from catvton.evaluation.metrics import Likeness
from catvton.evaluation.poses import UNSEEN, Pose, pose_of_densepose, pose_of_labels
from catvton.evaluation.protocol import Case, cases
from catvton.evaluation.robustness import Outcome
from catvton.evaluation.subject import Subject
from catvton.evaluation.ways import PlacementOnly, Remembering
from catvton.tryon import TryOn
from model.labels import Label
from tests import small_sets, tiny

BOX = (20, 30, 70, 100)
MOVING = [how for how in DISTURBANCES if how.kind in ("turn", "crop", "cover")]


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red square on blue, and the square's mask."""
    mask = np.zeros((120, 90), np.uint8)
    mask[30:100, 20:70] = 255
    return np.where(mask[..., None] > 0, (220, 20, 20), (20, 20, 220)).astype(np.uint8), mask


# ---- disturbances ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", MOVING, ids=attrgetter("strength"))
def test_a_mask_moves_as_its_picture_does(how):
    picture, mask = scene()
    moved, found = how.picture(picture, BOX), how.map(mask, BOX)
    assert found.shape == moved.shape[:2]
    red = (moved[..., 0] > 120) & (moved[..., 1] < 100)
    assert np.mean(red == (found > 0)) > 0.99


def test_a_turn_is_counterclockwise_and_about_the_middle():
    mask = np.zeros((101, 101), np.uint8)
    mask[50, 60:95] = 255  # to the right of the middle
    turned = Disturbance("turn", "", turn=90).map(mask, BOX)
    assert turned[6:40, 50].all() and not turned[60:, 50].any()


def test_a_bar_covers_what_is_then_neither_masked_nor_seen():
    how = Disturbance("cover", "", cover="bar", wide=0.1)
    picture, mask = scene()
    rows = slice(59, 71)  # a tenth of 120 about the box's middle, 65
    assert (how.picture(picture, BOX)[rows] == 128).all() and not how.map(mask, BOX)[rows].any()
    assert how.map(mask, BOX)[72:90, 25:65].all()


def test_light_is_linear_and_blur_and_jpeg_change_what_they_say():
    grey = np.full((40, 40, 3), 128, np.uint8)
    assert lit(1, 1, 1)(grey).max() == 128
    assert lit(0.25, 0.25, 0.25)(grey)[0, 0, 0] == round(128 * 0.25 ** (1 / 2.2))
    assert lit(3, 1, 1)(np.full((4, 4, 3), 250, np.uint8))[0, 0].tolist() == [255, 250, 250]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (200, 200, 3), np.uint8)
    assert blurred(1 / 100)(noise).std() < blurred(1 / 400)(noise).std() < noise.std()
    off = [np.abs(squeezed(quality)(noise).astype(int) - noise).mean() for quality in (90, 20)]
    assert 0 < off[0] < off[1]


# ---- cases and rows --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_sets.write_ccp(tmp_path_factory.mktemp("data"))


def test_the_truth_scores_perfectly_however_it_is_disturbed(data):
    ccp = CCP(data)
    ways = (UNDISTURBED, *(d for d in DISTURBANCES if d.kind in ("turn", "light", "JPEG")))
    made = robustness.trials(ccp, cases(ccp)[0], (96, 128), ways)
    assert set(made) <= set(ways) and UNDISTURBED in made and len(made) > 4
    for trial in made.values():
        region, mask = trial.score(trial.truth)
        assert region.colour == pytest.approx(0) and mask.structure == pytest.approx(1)
        assert trial.score(trial.flat)[0].structure < 1


def test_what_is_hidden_does_not_leak_through_blur(data):
    ccp = CCP(data)
    how = Disturbance("blur", "", pixels=blurred(1 / 20))
    first = robustness.trials(ccp, cases(ccp)[0], (96, 128), [how])[how]
    outside = first.mask == 0
    # The person shown is not the blurred photo near the mask: the garment was painted over before.
    near = (cv2.dilate(first.mask, np.ones((7, 7), np.uint8)) > 0) & outside
    shown, photo = np.asarray(first.person).astype(int), np.asarray(first.photo).astype(int)
    assert np.abs(shown - photo)[near].mean() > np.abs(shown - photo)[outside & ~near].mean()


def outcome(number: int, colour: float, iou: float | None) -> Outcome:
    here = Likeness(colour, 0.5)
    return Outcome(Case(number, "upper"), here, here, Likeness(20, 0.1), iou)


def test_worse_is_against_the_same_cases_undisturbed():
    how = DISTURBANCES[0]
    found = {UNDISTURBED: [outcome(1, 4, 1.0), outcome(2, 8, 1.0)], how: [outcome(2, 9, 0.0)]}
    before, after = robustness.disturbance_rows(found)
    assert before["region"] == [6, 0.5] and before["worse"] == [0, 0]
    assert (after["cases"], after["worse"], after["mask_iou"], after["no_mask"]) == (1, [1, 0], 0, 1)


# ---- poses -----------------------------------------------------------------------------------------------------------


def figure(hand: tuple[int, int], head: int = 100) -> np.ndarray:
    """A drawn person's label map: head above a torso, one bare arm from the left shoulder to `hand` (x, y)."""
    labels = np.zeros((512, 200), np.uint8)
    cv2.circle(labels, (head, 60), 26, int(Label.SKIN), -1)
    labels[90:260, 70:130] = Label.UPPER
    labels[260:450, 72:128] = Label.LOWER
    labels[450:470, 72:128] = Label.SHOES
    cv2.line(labels, (70, 100), hand, int(Label.SKIN), 12)
    return labels


def test_arms_are_measured_from_hanging_to_up():
    hanging, out = (pose_of_labels(figure(hand)).raised for hand in ((60, 240), (10, 105)))
    assert hanging < 30 < 75 < out <= 120
    assert pose_of_labels(figure((60, 240))).bins()["raised"] == "0 to 30 degrees"


def test_leaning_is_measured_and_no_arm_is_not_seen():
    straight, leaning = (pose_of_labels(figure((60, 240), head=head)).tilt for head in (100, 150))
    assert straight < 8 and leaning > straight + 10
    labels = figure((60, 240))
    labels[:, :66][labels[:, :66] == Label.SKIN] = 0
    labels[90:, :][labels[90:, :] == Label.SKIN] = 0
    pose = pose_of_labels(labels)
    assert pose.raised is None and pose.bins()["raised"] == UNSEEN


def test_an_arm_in_front_of_the_torso_is_crossed():
    labels = figure((60, 240))
    front = labels.copy()
    front[150:165, 80:120] = Label.SKIN
    assert pose_of_labels(labels).crossed < pose_of_labels(front).crossed


def test_densepose_sees_arms_in_sleeves():
    labels = np.zeros((400, 200), np.uint8)
    labels[40:80, 90:110] = 23  # face
    labels[90:220, 70:130] = 2  # torso
    labels[95:105, 40:70], labels[95:105, 10:40] = 16, 20  # upper arm and forearm, held out sideways
    pose = pose_of_densepose(labels)
    assert pose.raised == pytest.approx(90, abs=3) and pose.tilt < 5 and pose.crossed == 0


def test_the_whole_pose_is_as_extreme_as_its_most_extreme_measure():
    assert Pose(1, 10, 0).bins()["overall"] == "straight"
    assert Pose(1, 80, 0).bins()["overall"] == "extreme"
    assert Pose(10, None, None).bins()["overall"] == "bent"
    assert Pose(None, None, None).bins()["overall"] == UNSEEN


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_measures_every_disturbance_and_pose(data, tmp_path, monkeypatch, capsys):
    engine = tiny.tiny_engine()
    masker = Remembering(tiny.TinyMasker())
    made = Subject(engine.card, engine, TryOn([engine], masker), TryOn([PlacementOnly(engine)], masker), None)
    monkeypatch.setattr("catvton.evaluation.subject.subject", lambda *_, **__: made)
    monkeypatch.setattr("catvton.evaluation.commands.robustness.SIZE", (96, 128))
    page = tmp_path / "robustness.md"
    command = ["evaluate", "robustness", "--data", str(data), "--limit", "1", "--poses", "2", "--write", str(page)]
    assert cli.main([*command, "--out", str(tmp_path / "out")]) == 0
    figures = json.loads(page.with_suffix(".json").read_text())
    assert len(figures["disturbances"]) == 1 + len(DISTURBANCES)
    assert figures["disturbances"][0]["mask_iou"] == 1 and figures["disturbances"][0]["worse"] == [0, 0]
    assert sum(row["cases"] for row in figures["poses"] if row["measure"] == "overall") == 2
    assert "# Robustness" in capsys.readouterr().out and list((tmp_path / "out").glob("*.png"))
    assert cli.main([*command[:4], "--poses", "-1"]) == 2
