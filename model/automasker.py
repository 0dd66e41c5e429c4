"""From a person photo to the mask of the pixels that may change.

`AutoMasker` asks a parser what each pixel is (`model.parsing`), splits the skin by position (`model.regions`) and draws
the mask of the asked part (`model.coverage`). It remembers the last few photos it parsed, so that asking for another
part of the same photo costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from model.coverage import PARTS, TELL, aim, draw
from model.errors import PartNotVisible
from model.figure import measure
from model.labels import Body
from model.memory import PhotoMemory
from model.parsing import Parse, Parser, clean, parse_photo, settle_names
from model.raster import Box
from model.regions import split

STRICT = (Body.HAIR, Body.FACE, Body.HAND, Body.SHOES, Body.FOOT)
WORN = 128  # a bit above every `Body` code, so that cloth and body are scaled as one map


@dataclass(frozen=True)
class Mask:
    """What may change in a photo of H rows and W columns, and what it was judged by.

    Attributes:
        mask: uint8 (H, W), 255 where pixels may change, else 0.
        labels: uint8 (H, W), values of `Label`; only the chosen person.
        body: uint8 (H, W), values of `Body`: `labels` with the skin split into face, neck, arms, hands, legs, feet.
        box: the person's box in photo pixels: left, top, right, bottom, the last two exclusive.
        part: what was asked for.
        notes: sentences the user should see.
    """

    mask: np.ndarray
    labels: np.ndarray
    body: np.ndarray
    box: Box
    part: str
    notes: tuple[str, ...] = ()


class AutoMasker:
    """Draws masks; safe to share between threads if the parser is.

    Args:
        parser: a 3:4 RGB picture -> float32 (8, h, w) class probabilities that sum to 1, in the order of `Label`.
        remember: how many parsed photos to keep (about 0.4 MB each, no pixels of the photo); 0 keeps none.
    """

    def __init__(self, parser: Parser, *, remember: int = 8) -> None:
        self._parser = parser
        self._memory = PhotoMemory(self._parse, remember=remember)

    def __call__(self, image: Image.Image, part: str, *, loose: bool = False) -> Mask:
        """Find the person in a photo and mask one part of what they wear.

        Args:
            image: the photo, upright; any mode and size.
            part: "upper", "lower" or "overall".
            loose: mask more, so that nothing of the old outline can be guessed.

        Raises:
            NoPersonFound: nobody in the photo.
            PartNotVisible: that part of the person lies outside the photo.
            ValueError: unknown part.
        """
        if part not in PARTS:
            raise ValueError(f"unknown part {part!r}; parts are {', '.join(PARTS)}")
        parse = self.parse(image)
        figure = measure(parse.canvas)
        body = split(parse.canvas, figure)
        target = aim(body, figure, part)
        area = draw(body, figure, target, loose=loose, keep=parse.others)
        mask, full_body = _to_photo(parse, area, target.worn, body)
        if not mask.any():
            raise PartNotVisible(part, TELL[part])
        return Mask(mask, _without_split(full_body), full_body, parse.box, part, parse.notes + target.notes)

    def parse(self, image: Image.Image) -> Parse:
        """Label the person in a photo, or recall it if the same pixels were parsed lately.

        Raises:
            NoPersonFound: nobody in the photo.
        """
        return self._memory(image)

    def forget(self) -> None:
        """Drop everything remembered."""
        self._memory.forget()

    def _parse(self, photo: Image.Image) -> Parse:
        parse = parse_photo(self._parser, photo)
        return replace(parse, canvas=settle_names(clean(parse.canvas)))


def _to_photo(parse: Parse, area: np.ndarray, worn: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask and body map at the photo's size; the promises (worn in, person out) are kept to the pixel there."""
    both = parse.window.back(np.where(worn, body | WORN, body).astype(np.uint8), parse.photo_size)
    cloth, full_body = both >= WORN, both & (WORN - 1)
    mask = cloth | (parse.window.back(area.astype(np.uint8), parse.photo_size) > 0)
    return np.where(mask & ~np.isin(full_body, STRICT), 255, 0).astype(np.uint8), full_body


def _without_split(body: np.ndarray) -> np.ndarray:
    """A body map's plain labels: every kind of skin is skin again."""
    return np.where(body > Body.OTHER, Body.SKIN, body).astype(np.uint8)
