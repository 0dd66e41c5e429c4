"""Paired figures: the person wears the garment of the picture already, so the photo itself is the right answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from catvton.evaluation.metrics import Likeness, likeness
from catvton.evaluation.protocol import Case, Sample
from catvton.evaluation.ways import Way

FLAT = "flat"  # the baseline that is always beside the others: the garment picture's mean colour in the hole


@dataclass(frozen=True)
class Score:
    """One way's figures on one case: over the class's true region, and over the whole mask."""

    case: Case
    way: str
    region: Likeness
    mask: Likeness


@dataclass
class Paired:
    """The scores of every case and way, and their means."""

    scores: list[Score] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return len({score.case for score in self.scores})

    def only(self, numbers: Collection[int]) -> Paired:
        """The scores of some photos."""
        return Paired([score for score in self.scores if score.case.number in numbers])

    def mean(self, way: str, area: str = "region", *, kind: str | None = None) -> Likeness:
        """The mean over cases of a way's figures in an area (`region` or `mask`), of one kind of garment or all."""
        chosen = [getattr(s, area) for s in self.scores if s.way == way and kind in (None, s.case.kind)]
        if not chosen:
            raise KeyError(f"no scores of {way!r}" + (f" for {kind}" if kind else ""))
        return Likeness(float(np.mean([c.colour for c in chosen])), float(np.mean([c.structure for c in chosen])))

    def table(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """{way: {area: {kind or "all": [CIEDE2000, SSIM]}}}, ready for JSON."""
        ways = dict.fromkeys(score.way for score in self.scores)
        kinds = [None, *dict.fromkeys(score.case.kind for score in self.scores)]
        return {
            way: {
                area: {kind or "all": _pair(self.mean(way, area, kind=kind)) for kind in kinds}
                for area in ("region", "mask")
            }
            for way in ways
        }


def paired(
    samples: Iterable[Sample],
    ways: Mapping[str, Way],
    *,
    on_case: Callable[[Sample, dict[str, np.ndarray]], None] | None = None,
) -> Paired:
    """Score each way, and the flat colour, on each sample.

    Args:
        ways: {name: way}; may be empty.
        on_case: shown each sample and {name: uint8 (256, 192, 3) picture} once it is scored.
    """
    found = Paired()
    for sample in samples:
        pictures = {FLAT: sample.compose(sample.colour)}
        pictures |= {name: sample.compose(way(sample)) for name, way in ways.items()}
        for name, picture in pictures.items():
            region, mask = likeness(picture, sample.truth, sample.region, sample.hole)
            found.scores.append(Score(sample.case, name, region, mask))
        if on_case is not None:
            on_case(sample, pictures)
    return found


def row_of(sample: Sample, pictures: Mapping[str, np.ndarray]) -> list[Image.Image]:
    """A row of a contact sheet: what was shown, what each way made of it, and the photo."""
    shown = [sample.person, sample.garment, *(Image.fromarray(p) for p in pictures.values())]
    return [*shown, Image.fromarray(sample.truth)]


def _pair(figures: Likeness) -> list[float]:
    return [round(figures.colour, 3), round(figures.structure, 4)]
