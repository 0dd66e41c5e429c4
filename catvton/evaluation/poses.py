"""How far a body is from standing straight, measured on part labels alone.

Three measures. `tilt`: degrees between the vertical and the line from the torso's centroid to the head's. `raised`: for
the arm raised most, degrees between straight down and the line from its shoulder to its hand, 0 hanging and 180 up.
`crossed`: the share of what is seen of arms and hands that lies in front of the torso.

The built-in labels know cloth and skin, no limbs. They see bare arms, forearms and hands; a sleeve is part of the top.
So an arm in a sleeve is measured by its hand, a hidden hand not at all, and the torso's centroid is that of the
upper garment, which sleeves and long hems pull along. DensePose's labels know limbs whatever they wear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.figure import measure
from model.label_sets import Dense
from model.labels import Body, Label
from model.regions import split

UNSEEN = "not seen"
LEAST = 0.0005  # of the map: fewer pixels are no arm
BINS: dict[str, tuple[tuple[str, float], ...]] = {
    "tilt": (("0 to 5 degrees", 5), ("5 to 15 degrees", 15), ("over 15 degrees", np.inf)),
    "raised": (("0 to 30 degrees", 30), ("30 to 75 degrees", 75), ("over 75 degrees", np.inf)),
    "crossed": (("up to 1/10", 0.1), ("1/10 to 1/2", 0.5), ("over 1/2", np.inf)),
}
OVERALL = ("straight", "bent", "extreme")
_RIGHT, _LEFT = (3, 16, 18, 20, 22), (4, 15, 17, 19, 21)  # DensePose's arms: hand, upper arm, forearm; the person's


@dataclass(frozen=True)
class Pose:
    """The three measures; None where the labels do not show it."""

    tilt: float | None
    raised: float | None
    crossed: float | None

    def bins(self) -> dict[str, str]:
        """{measure: name of its bin}, and under "overall" how far it is from standing straight in any of them."""
        found = {name: _bin(name, getattr(self, name)) for name in BINS}
        levels = [index for name, value in found.items() if (index := _level(name, value)) is not None]
        return found | {"overall": OVERALL[max(levels)] if levels else UNSEEN}


def names_of(what: str) -> tuple[str, ...]:
    """The bins of a measure or of "overall", from straight to extreme, what is not seen last."""
    return (*(OVERALL if what == "overall" else (name for name, _ in BINS[what])), UNSEEN)


def pose_of_labels(labels: np.ndarray) -> Pose:
    """The pose in a label map of the built-in parser: uint8 (H, W), values of `Label`, one person.

    Raises:
        ValueError: the map is all background.
    """
    figure = measure(labels)
    body = split(labels, figure)
    head, torso = np.isin(body, (Body.FACE, Body.NECK)), np.isin(body, (Label.UPPER, Label.DRESS))
    arms = np.isin(body, (Body.ARM, Body.HAND))
    middle = np.mean([x for x, _ in figure.shoulders])
    columns = np.arange(labels.shape[1])[None]
    angles = [
        _raised(shoulder, _hand(arms & side, shoulder))
        for shoulder, side in zip(figure.shoulders, (columns < middle, columns >= middle), strict=True)
    ]
    return Pose(_tilt(head, torso), _most(angles), _crossed(arms, torso))


def pose_of_densepose(labels: np.ndarray) -> Pose:
    """The pose in a DensePose label map: uint8 (H, W), 0..24, one person."""
    head, torso = np.isin(labels, Dense.FACE), np.isin(labels, Dense.TORSO)
    arms = np.isin(labels, (*Dense.HANDS, *Dense.UPPER_ARMS, *Dense.FOREARMS))
    angles = []
    for arm in (_RIGHT, _LEFT):
        upper, hand = _centre(np.isin(labels, arm[1:3])), _centre(np.isin(labels, (arm[0], *arm[3:])))
        angles.append(_raised(upper, hand))
    return Pose(_tilt(head, torso), _most(angles), _crossed(arms, torso))


# ---- the measures ----------------------------------------------------------------------------------------------------


def _tilt(head: np.ndarray, torso: np.ndarray) -> float | None:
    top, middle = _centre(head), _centre(torso)
    if top is None or middle is None:
        return None
    return float(np.degrees(np.arctan2(abs(top[0] - middle[0]), middle[1] - top[1])))


def _raised(shoulder: tuple[float, float] | None, hand: tuple[float, float] | None) -> float | None:
    if shoulder is None or hand is None:
        return None
    return float(np.degrees(np.arctan2(abs(hand[0] - shoulder[0]), hand[1] - shoulder[1])))


def _hand(arm: np.ndarray, shoulder: tuple[float, float]) -> tuple[float, float] | None:
    """The far end of what is seen of an arm: the centroid of its tenth that is farthest from the shoulder."""
    if arm.sum() < LEAST * arm.size:
        return None
    rows, columns = np.nonzero(arm)
    far = np.hypot(columns - shoulder[0], rows - shoulder[1])
    end = far >= np.quantile(far, 0.9)
    return float(columns[end].mean()), float(rows[end].mean())


def _crossed(arms: np.ndarray, torso: np.ndarray) -> float | None:
    """A pixel of an arm is in front of the torso where its row shows torso on both sides of it."""
    if arms.sum() < LEAST * arms.size or not torso.any():
        return None
    before = np.maximum.accumulate(torso, axis=1)
    behind = np.maximum.accumulate(torso[:, ::-1], axis=1)[:, ::-1]
    return float((before & behind)[arms].mean())


def _centre(area: np.ndarray) -> tuple[float, float] | None:
    """(x, y) of the centroid; None where there is too little."""
    if area.sum() < LEAST * area.size:
        return None
    rows, columns = np.nonzero(area)
    return float(columns.mean()), float(rows.mean())


def _most(angles: list[float | None]) -> float | None:
    return max((angle for angle in angles if angle is not None), default=None)


def _bin(what: str, value: float | None) -> str:
    return UNSEEN if value is None else next(name for name, limit in BINS[what] if value <= limit)


def _level(what: str, name: str) -> int | None:
    """0 for straight, 2 for extreme; None for what is not seen."""
    return None if name == UNSEEN else [each for each, _ in BINS[what]].index(name)
