"""A visible label for operators who want one: a small "AI" tag in the lower right corner, readable on any picture."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

WORD = "AI"
_HEIGHT = 0.035  # of the picture's shorter side
_SMALLEST = 14  # pixels
_BEHIND = (0, 0, 0, 205)  # dark enough for white letters even on white
_LETTERS = (255, 255, 255, 255)


def labelled(image: Image.Image) -> Image.Image:
    """A copy of the picture (PIL RGB, at least 32 pixels a side) with the tag on it. Draw it after everything else."""
    tag = _tag(max(_SMALLEST, round(min(image.size) * _HEIGHT)))
    margin = max(1, tag.height // 3)
    copy = image.copy()
    copy.paste(tag, (image.width - tag.width - margin, image.height - tag.height - margin), tag)
    return copy


@lru_cache(maxsize=32)
def _tag(height: int) -> Image.Image:
    """The tag as RGBA."""
    font = ImageFont.load_default(height * 0.8)
    left, top, right, bottom = font.getbbox(WORD)
    width = round(right - left + 0.7 * height)
    tag = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(tag)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), radius=height // 4, fill=_BEHIND)
    pen.text(((width - right - left) / 2, (height - bottom - top) / 2), WORD, font=font, fill=_LETTERS)
    return tag
