"""What one looks at first, as figures: can a print still be read, and is the garment's edge like a real one?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from catvton.evaluation import logos, seams
from catvton.evaluation.protocol import Sample
from catvton.evaluation.ways import Way
from catvton.evaluation.words import WORDS, Printed, shirt

NETWORK_OFF = "result, network off"
HALVES = "photos, one random half against the other"
MOVED = 4  # pixels
SPLITS = 100
PRINT = (0.28, 0.3, 0.72, 0.46)  # of the drawn shirt's picture: around the word


@dataclass
class Prints:
    """What was found in the results, and in the baselines.

    Attributes:
        result: the whole try-on; still: the same with its network off, the placed garment alone.
        best: the shirt's own picture; none: the same without its word.
    """

    result: list[logos.Find] = field(default_factory=list)
    still: list[logos.Find] = field(default_factory=list)
    best: list[logos.Find] = field(default_factory=list)
    none: list[logos.Find] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """{"result", "result, network off", "shirt's own picture", "no word": as `logos.summary`}."""
        named = {"result": self.result, NETWORK_OFF: self.still, "shirt's own picture": self.best}
        named["no word"] = self.none
        return {name: logos.summary(finds) for name, finds in named.items() if finds}


@dataclass
class Seams:
    """Steepness along each case's seam: of the photo, of the results, and of what is worse than it should be.

    Attributes:
        moved: the photo a few pixels aside: real edges, not where they are looked for.
        hard: one colour pasted into the region; smeared: the photo blurred along the seam.
    """

    photo: list[np.ndarray] = field(default_factory=list)
    result: list[np.ndarray] = field(default_factory=list)
    still: list[np.ndarray] = field(default_factory=list)
    moved: list[np.ndarray] = field(default_factory=list)
    hard: list[np.ndarray] = field(default_factory=list)
    smeared: list[np.ndarray] = field(default_factory=list)

    def table(self) -> dict[str, Any]:
        """{"cases", "median": {name: lightness per pixel}, "distance": {name: to the photos' seams}}."""
        named = {"result": self.result, NETWORK_OFF: self.still, f"photo, moved {MOVED} pixels": self.moved}
        named |= {"pasted hard": self.hard, "smeared": self.smeared}
        named = {name: each for name, each in named.items() if each}
        halves = self._halves() if len(self.photo) > 1 else None
        medians = {name: _median(each) for name, each in (("photo", self.photo), *named.items())}
        apart = {name: round(seams.distance(self.photo, each), 4) for name, each in named.items()}
        return {
            "cases": len(self.photo),
            "median": medians,
            "distance": {HALVES: halves and round(halves, 4), **apart},
        }

    def _halves(self) -> float:
        """The median over random halves: one split alone is luck."""
        rng, half = np.random.default_rng(0), len(self.photo) // 2
        orders = [rng.permutation(len(self.photo)) for _ in range(SPLITS)]
        parts = [([self.photo[i] for i in order[:half]], [self.photo[i] for i in order[half:]]) for order in orders]
        return float(np.median([seams.distance(*pair) for pair in parts]))


def prints(printed: Iterable[Printed], still: Iterable[Printed] = ()) -> Prints:
    """Look for ten words in every result of `words.words`; `still`: the same made with the network off."""
    templates = {word: _word(shirt(word, "#c8c8c8")) for word in WORDS}
    found = Prints()
    for each in printed:
        found.result.append(logos.find(each.close_up(), each.word, templates))
        found.best.append(logos.find(each.garment, each.word, templates))
        found.none.append(logos.find(_wordless(each.garment), each.word, templates))
    found.still = [logos.find(each.close_up(), each.word, templates) for each in still]
    return found


def edges(
    samples: Iterable[Sample],
    way: Way,
    *,
    still: Way | None = None,
    on_case: Callable[[Sample, np.ndarray], None] = lambda sample, made: None,
) -> Seams:
    """Measure the seams of the paired protocol's cases.

    Args:
        still: the way with its network off.
        on_case: shown each sample and its result (192x256).
    """
    found = Seams()
    for sample in samples:
        where = seams.seam(sample.region, sample.hole)
        if not where.any():
            continue
        made = sample.compose(way(sample))
        colour = sample.truth[sample.region].mean(0)
        pictures = {"photo": sample.truth, "result": made, "moved": np.roll(sample.truth, MOVED, axis=1)}
        pictures["hard"] = seams.hard(sample.truth, sample.region, colour)
        pictures["smeared"] = seams.smeared(sample.truth, where)
        if still is not None:
            pictures["still"] = sample.compose(still(sample))
        for name, picture in pictures.items():
            getattr(found, name).append(seams.steepness(picture, where))
        on_case(sample, made)
    return found


def _word(garment: Image.Image) -> Image.Image:
    left, top, right, bottom = PRINT
    box = (left * garment.width, top * garment.height, right * garment.width, bottom * garment.height)
    return garment.crop(tuple(map(round, box)))


def _wordless(garment: Image.Image) -> Image.Image:
    """The shirt with its own cloth, from below the word, where the word was."""
    left, top, right, bottom = (round(v * s) for v, s in zip(PRINT, garment.size * 2, strict=True))
    bare = garment.copy()
    bare.paste(garment.crop((left, bottom + 8, right, 2 * bottom - top + 8)), (left, top))
    return bare


def _median(each: Sequence[np.ndarray]) -> float:
    return round(float(np.median(np.concatenate(each))), 3)
