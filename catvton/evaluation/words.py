"""The printed word: T-shirt pictures with a word on them, put on people, to see whether it can still be read.

Whether a word is readable is looked at, not computed: `words` makes the pictures and `rows` lays them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from catvton.ccp import CCP
from catvton.evaluation.protocol import Size
from catvton.evaluation.unpaired import Dummy, dummy
from catvton.evaluation.ways import Generate

WORDS = ("HELLO", "PARIS", "SURF", "ROBOT", "FRESH", "KIND", "BERLIN", "GREEN", "LUCKY", "JAZZ")
_SHIRTS = ("#cfd8dc", "#1f3d7a", "#2b2b2b", "#c8322e", "#e9d8a6", "#2f7d4f", "#f0a6b8", "#7d8ca3", "#f2c230", "#5b3a75")
_OUTLINE = (
    *((0.38, 0.14), (0.44, 0.175), (0.5, 0.185), (0.56, 0.175), (0.62, 0.14)),  # neckline
    *((0.72, 0.17), (0.93, 0.36), (0.82, 0.46), (0.73, 0.38)),  # the sleeve on the picture's right
    *((0.735, 0.88), (0.265, 0.88)),  # hem
    *((0.27, 0.38), (0.18, 0.46), (0.07, 0.36), (0.28, 0.17)),
)


@dataclass(frozen=True)
class Printed:
    """A person in a T-shirt with a word: the word, the shirt's picture and the result (both RGB)."""

    word: str
    garment: Image.Image
    model: Dummy
    result: Image.Image

    def close_up(self, *, margin: float = 0.05) -> Image.Image:
        """The result around the mask."""
        rows, columns = np.flatnonzero(self.model.mask.any(1)), np.flatnonzero(self.model.mask.any(0))
        high, wide = self.model.mask.shape
        left, right = columns[0] / wide - margin, (columns[-1] + 1) / wide + margin
        top, bottom = rows[0] / high - margin, (rows[-1] + 1) / high + margin
        box = (max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom))
        sides = (self.result.width, self.result.height) * 2
        return self.result.crop(tuple(round(edge * side) for edge, side in zip(box, sides, strict=True)))


def words(ccp: CCP, generate: Generate, people: Sequence[int], *, size: Size) -> Iterator[Printed]:
    """Each person (photo numbers) in a T-shirt with another word; `size` (W, H) is that of the person pictures."""
    for index, number in enumerate(people):
        word, colour = WORDS[index % len(WORDS)], _SHIRTS[index % len(_SHIRTS)]
        model, garment = dummy(ccp, number, "upper", size), shirt(word, colour)
        yield Printed(word, garment, model, generate(model.person, garment, model.mask, "upper"))


def shirt(word: str, colour: str, *, size: Size = (600, 800)) -> Image.Image:
    """A drawn T-shirt (RGB, W x H) in one colour on white with a soft shade, and a word across its chest."""
    wide, high = size
    cloth = Image.new("L", (2 * wide, 2 * high), 0)
    ImageDraw.Draw(cloth).polygon([(2 * wide * x, 2 * high * y) for x, y in _OUTLINE], fill=255)
    cloth = cloth.resize(size, Image.Resampling.LANCZOS)

    body = Image.new("RGB", size, colour)
    ink = "white" if sum(body.getpixel((0, 0))) < 400 else "#202020"
    draw = ImageDraw.Draw(body)
    font = _fitting(draw, word, width=0.4 * wide)
    draw.text((wide / 2, 0.38 * high), word, font=font, fill=ink, anchor="mm")

    shade = 0.86 + 0.14 * np.cos(np.linspace(-1.1, 1.1, wide)) ** 2
    lit = np.asarray(body, np.float32) * shade[None, :, None]
    white = Image.new("RGB", size, "#fdfdfd")
    return Image.composite(Image.fromarray(lit.astype(np.uint8)), white, cloth)


def rows(printed: Sequence[Printed]) -> list[list[Image.Image]]:
    """Rows of a contact sheet: the shirt, the result, and the result close up."""
    return [[p.garment, p.result, p.close_up()] for p in printed]


def _fitting(draw: ImageDraw.ImageDraw, word: str, *, width: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font at the size at which the word is about as wide as asked."""
    trial = ImageFont.load_default(size=100)
    return ImageFont.load_default(size=100 * width / max(1, draw.textlength(word, font=trial)))
