"""Ways to fill a hole, all called alike: the whole try-on, the same with its network off, a function in training."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from catvton.result import TryOnRequest

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.engines import Engine
    from catvton.evaluation.protocol import Sample
    from catvton.masking import Masker
    from catvton.tryon import TryOn
    from model import Mask, Parse

Generate = Callable[[Image.Image, Image.Image, np.ndarray, str], Image.Image]
"""(person RGB, what is under the mask being noise; garment RGB; mask uint8 (H, W) {0, 255}; part) -> RGB."""

Way = Callable[["Sample"], Image.Image]
"""A sample of the protocol -> RGB of any size; only its pixels in the hole count."""


def as_way(generate: Generate) -> Way:
    """A `Generate` as a way to answer the protocol: it is shown what an engine may see, and no more."""
    return lambda sample: generate(sample.person, sample.garment, sample.mask, sample.case.part)


class WholePath:
    """A `TryOn` as a `Generate`: everything a user gets, but with the mask given.

    Attributes:
        pictures: how many it has made.
        changed: pixels outside the masks of all of them that differ from the photo; must stay 0.
    """

    def __init__(
        self, tryon: TryOn, *, engine: str | None = None, steps: int | None = None, guidance: float | None = None
    ) -> None:
        self._tryon = tryon
        self._options = {"engine": engine, "steps": steps, "guidance": guidance}
        self.pictures, self.changed = 0, 0

    def __call__(self, person: Image.Image, garment: Image.Image, mask: np.ndarray, part: str) -> Image.Image:
        request = TryOnRequest(person=person, garment=garment, part=part, mask=Image.fromarray(mask), **self._options)
        result = self._tryon.run(request)
        self.pictures += 1
        self.changed += changed_outside(person, result.image, mask)
        return result.image


def changed_outside(before: Image.Image, after: Image.Image, mask: np.ndarray) -> int:
    """How many pixels with mask 0 differ between two RGB pictures of the mask's size."""
    differs = (np.asarray(before) != np.asarray(after)).any(-1)
    return int(np.count_nonzero(differs & (mask == 0)))


class PlacementOnly:
    """An engine with its network switched off: what it was given to start from is its result."""

    def __init__(self, engine: Engine) -> None:
        self.card: ModelCard = engine.card

    def load(self) -> None:
        """Nothing to load."""

    def generate(
        self,
        person: Image.Image,
        garment: Image.Image,
        mask: np.ndarray,
        *,
        masked_image: Image.Image | None = None,
        **_: Any,
    ) -> Image.Image:
        """The masked image; the person as they are for an engine that asks for no placement."""
        return person if masked_image is None else masked_image


class Remembering:
    """A masker that parses the same picture only once: an evaluation dresses the same people again and again."""

    def __init__(self, masker: Masker, *, most: int = 256) -> None:
        self._masker, self._most = masker, most
        self._parses: OrderedDict[bytes, Parse] = OrderedDict()

    def __call__(self, image: Image.Image, part: str) -> Mask:
        return self._masker(image, part)

    def parse(self, image: Image.Image) -> Parse:
        key = hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest()
        if key not in self._parses:
            self._parses[key] = self._masker.parse(image)
            if len(self._parses) > self._most:
                self._parses.popitem(last=False)
        return self._parses[key]
