"""Does a print survive? A word on a shirt is looked for in the result by its edges, any size, a little turned.

No reading and no network: the word's gradient picture is slid over the result's (normalised cross-correlation). A score
of its own says little, so ten words are looked for in every result: the right one must be found best.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

SCENE = 256  # pixels of the longer side of what is searched
WIDTHS = np.linspace(0.2, 0.7, 11)  # of the scene's width: how wide a word may be
TURNS = (-16, -8, 0, 8, 16)  # degrees
BARE = 8.0  # standard deviation of `edges`: where they vary less there is nothing to compare with
SLACK = 1.0  # pixels: edges are softened by it, so that a slight bend is no miss


@dataclass(frozen=True)
class Find:
    """What was found in one result: {word: 0..1}, and the word that was printed."""

    word: str
    scores: dict[str, float]

    @property
    def right(self) -> bool:
        return max(self.scores, key=self.scores.__getitem__) == self.word


def edges(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """float32 (h, w): how steep the lightness is, of an RGB picture brought to `size` (w, h)."""
    lightness = np.asarray(picture.convert("L").resize(size, Image.Resampling.LANCZOS), np.float32)
    steep = np.hypot(cv2.Scharr(lightness, cv2.CV_32F, 1, 0), cv2.Scharr(lightness, cv2.CV_32F, 0, 1))
    return cv2.GaussianBlur(steep, (0, 0), SLACK)


def found(scene: Image.Image, template: Image.Image) -> float:
    """How well a picture of a print is found in a scene (both RGB): the best cross-correlation of their edges, -1..1.

    0 where one of the two has no edges.
    """
    scale = SCENE / max(scene.size)
    size = tuple(max(8, round(side * scale)) for side in scene.size)
    around = edges(scene, size)
    best = -1.0
    for width in (round(share * size[0]) for share in WIDTHS):
        height = round(width * template.height / template.width)
        if height < 4 or height > size[1] or width > size[0]:
            continue
        for turn in TURNS:
            turned = template.rotate(turn, Image.Resampling.BICUBIC, fillcolor=template.getpixel((0, 0)))
            best = max(best, _best(around, edges(turned, (width, height))))
    return best


def _best(around: np.ndarray, template: np.ndarray) -> float:
    """The best normalised cross-correlation, 0 where one of the two is bare (there OpenCV's would be noise, or 1)."""
    if template.std() < BARE:
        return 0.0
    window = np.full(template.shape, 1 / template.size, np.float32)
    mean, square = (cv2.matchTemplate(plane, window, cv2.TM_CCORR) for plane in (around, around**2))
    scores = cv2.matchTemplate(around, template, cv2.TM_CCOEFF_NORMED)
    return float(np.where(square - mean**2 > BARE**2, scores, 0).max())


def find(scene: Image.Image, word: str, templates: dict[str, Image.Image]) -> Find:
    """Look for every word's template in a scene on which `word` was printed."""
    return Find(word, {name: found(scene, template) for name, template in templates.items()})


def summary(finds: Sequence[Find]) -> dict[str, float | int]:
    """{"results", "right": share in which the right word is found best, "score": mean of the right words, "others":
    mean of the best wrong ones}."""
    return {
        "results": len(finds),
        "right": _mean(find.right for find in finds),
        "score": _mean(find.scores[find.word] for find in finds),
        "others": _mean(max(v for name, v in find.scores.items() if name != find.word) for find in finds),
    }


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)
