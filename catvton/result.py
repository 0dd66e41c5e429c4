"""What goes into a try-on and what comes out: plain data, the same for the page, the API and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from PIL import Image

    from catvton.safety.statement import Statement

PARTS = ("upper", "lower", "overall")
LAYERS = ("inner", "outer")  # what is worn under a coat, and the coat: for engines whose parsers tell them apart
SHOWS = ("result only", "input & result", "input & mask & result")
MAX_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class TryOnRequest:
    """One wish. Pictures may be a path, bytes, a binary file, a PIL image or an array; nothing is checked until a run.

    Attributes:
        person: photo of the person.
        garment: photo of the clothes.
        part: what the garment replaces: "upper", "lower" or "overall"; for some engines also "inner" or "outer".
        mask: pixels that may change (white), of the photo's size or aspect; None lets the app find them.
        steps: denoising steps; None is the engine's default.
        guidance: classifier-free guidance, 0 to 7.5; None is the engine's default.
        seed: -1 (drawn, and reported in the result) to 2**31 - 1.
        show: what `TryOnResult.show` is asked for by the page and the API, one of `SHOWS`.
        engine: name of a registered engine; None is the configured one.
        size: (width, height) the engine works at, one of its card's sizes; None is the card's first.
        variations: how many pictures, 1 to 4; the n-th uses seed + n - 1.
        account: who asks, for the records; None where nobody is signed in. It changes nothing in the picture.
    """

    person: Any
    garment: Any
    part: str = "upper"
    mask: Any = None
    steps: int | None = None
    guidance: float | None = None
    seed: int = 42
    show: str = SHOWS[0]
    engine: str | None = None
    size: tuple[int, int] | None = None
    variations: int = 1
    account: str | None = None


@dataclass(frozen=True, kw_only=True)
class TryOnResult:
    """A finished try-on.

    Attributes:
        image: PIL RGB at the person photo's size; equals the photo bit for bit where `mask` is 0, as long as it carries
            neither the invisible watermark nor a label.
        images: every variation that may be shown, `image` first; seeds: theirs, `seed` first.
        mask: uint8 HxW {0, 255} at the photo's size; 255 may have changed.
        person, garment: the checked, upright PIL RGB pictures that were used.
        part, steps, guidance, size, seed: the options used, defaults and a drawn seed filled in.
        engine: "name@revision".
        seconds: {stage: seconds} for open, mask, place, generate, paste, check where the engine has a checker, and
            record where results are marked or recorded.
        flags: stable words a program can act on: "withheld:N", the safety checker withheld N of the variations;
            "unmarked:N", N pictures are too small for the invisible watermark.
        notes: sentences for a person.
        job_id: a random name for this run, 12 hexadecimal digits, in the log too; the invisible watermark carries it.
        statement: what a file of the picture is to say of itself: `save_picture` and `png_bytes` take it.
    """

    image: Image.Image
    mask: np.ndarray
    person: Image.Image
    garment: Image.Image
    seed: int
    engine: str
    part: str
    steps: int
    guidance: float
    size: tuple[int, int]
    seconds: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    job_id: str = ""
    images: tuple[Image.Image, ...] = ()
    seeds: tuple[int, ...] = ()
    statement: Statement | None = None

    def show(self, how: str = SHOWS[0]) -> Image.Image:
        """The picture to look at: the result alone, or beside what it was made from. PIL RGB, the result's height.

        Raises:
            InputError: `how` is not one of `SHOWS`.
        """
        from catvton.errors import InputError

        if how not in SHOWS:
            accepted = ", ".join(f'"{name}"' for name in SHOWS)
            raise InputError(f'Unknown show type "{how}": choose one of {accepted}.', code="option.show")
        if how == SHOWS[0]:
            return self.image
        inputs = [self.person, self.garment]
        if how == SHOWS[2]:
            inputs.insert(1, mask_over(self.person, self.mask))
        return side_by_side([*inputs, self.image])

    def info(self) -> dict[str, Any]:
        """Every field that is not a picture, ready for JSON."""
        return {
            "job_id": self.job_id,
            "engine": self.engine,
            "part": self.part,
            "seed": self.seed,
            "seeds": list(self.seeds),
            "steps": self.steps,
            "guidance": self.guidance,
            "size": list(self.size),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "flags": list(self.flags),
            "notes": list(self.notes),
        }


def mask_over(photo: Image.Image, mask: np.ndarray, *, colour: tuple[int, int, int] = (235, 64, 120)) -> Image.Image:
    """The photo (PIL RGB) with the mask's (uint8 HxW) white pixels tinted."""
    from PIL import Image

    tint = Image.blend(photo, Image.new("RGB", photo.size, colour), 0.55)
    return Image.composite(tint, photo, Image.fromarray(mask))


def side_by_side(pictures: list[Image.Image], *, gap: int = 8) -> Image.Image:
    """Pictures (PIL RGB) in a row on white, each fitted into a cell of the last one's size; the last is not resized."""
    from PIL import Image, ImageOps

    width, height = pictures[-1].size
    row = Image.new("RGB", (len(pictures) * (width + gap) - gap, height), "white")
    for index, picture in enumerate(pictures):
        fitted = picture if picture.size == (width, height) else ImageOps.pad(picture, (width, height), color="white")
        row.paste(fitted, (index * (width + gap), 0))
    return row
