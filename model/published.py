"""The published automatic masker: DensePose, SCHP on LIP, SCHP on ATR, and the agnostic mask drawn from them.

`PublishedMasker` is used like `model.automasker.AutoMasker`. In parity mode it does what the published code does, at
the photo's own size; otherwise it looks for the person the user means, closer if they are small in the photo, works
on at most 1024 pixels, and says what it cannot do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from model.agnostic import PLANS, agnostic_mask, in_view
from model.coverage import MIN_PART_AREA, NOTE_CUT, TELL
from model.crop import Crop
from model.detections import BodyFinder, choose, nearer_to_others, rivals
from model.errors import NoPersonFound, PartNotVisible
from model.label_sets import Atr, Lip
from model.labels import Label
from model.memory import PhotoMemory
from model.parsing import MIN_PERSON, NOTE_SEVERAL
from model.raster import Box, box_of, resize_labels

LabelParser = Callable[[Image.Image], np.ndarray]

LOOK_SIDE = 1333  # of the photo people are looked for in: DensePose scales larger ones down itself
WORK_SIDE = 1024  # of the crop labels are found in; the published app masks at 768 x 1024

_LIP_TO_LABEL = {
    Lip.BACKGROUND: Label.BACKGROUND,
    Lip.HAT: Label.OTHER,
    Lip.HAIR: Label.HAIR,
    Lip.GLOVE: Label.OTHER,
    Lip.SUNGLASSES: Label.OTHER,
    Lip.UPPER_CLOTHES: Label.UPPER,
    Lip.DRESS: Label.DRESS,
    Lip.COAT: Label.UPPER,
    Lip.SOCKS: Label.SHOES,
    Lip.PANTS: Label.LOWER,
    Lip.JUMPSUITS: Label.DRESS,
    Lip.SCARF: Label.OTHER,
    Lip.SKIRT: Label.LOWER,
    Lip.FACE: Label.SKIN,
    Lip.LEFT_ARM: Label.SKIN,
    Lip.RIGHT_ARM: Label.SKIN,
    Lip.LEFT_LEG: Label.SKIN,
    Lip.RIGHT_LEG: Label.SKIN,
    Lip.LEFT_SHOE: Label.SHOES,
    Lip.RIGHT_SHOE: Label.SHOES,
}
_ATR_TO_LABEL = {
    Atr.BACKGROUND: Label.BACKGROUND,
    Atr.HAT: Label.OTHER,
    Atr.HAIR: Label.HAIR,
    Atr.SUNGLASSES: Label.OTHER,
    Atr.UPPER_CLOTHES: Label.UPPER,
    Atr.SKIRT: Label.LOWER,
    Atr.PANTS: Label.LOWER,
    Atr.DRESS: Label.DRESS,
    Atr.BELT: Label.OTHER,
    Atr.LEFT_SHOE: Label.SHOES,
    Atr.RIGHT_SHOE: Label.SHOES,
    Atr.FACE: Label.SKIN,
    Atr.LEFT_LEG: Label.SKIN,
    Atr.RIGHT_LEG: Label.SKIN,
    Atr.LEFT_ARM: Label.SKIN,
    Atr.RIGHT_ARM: Label.SKIN,
    Atr.BAG: Label.OTHER,
    Atr.SCARF: Label.OTHER,
}


def eight_classes(lip: np.ndarray, atr: np.ndarray) -> np.ndarray:
    """LIP and ATR labels as the eight of this project, uint8 (H, W): LIP's word, ATR's where LIP sees nothing.

    A bag is ATR's word everywhere: LIP has no bags and takes them for the clothes they hang on.
    """
    by_lip = np.array([_LIP_TO_LABEL[code] for code in Lip], np.uint8)[lip]
    by_atr = np.array([_ATR_TO_LABEL[code] for code in Atr], np.uint8)[atr]
    labels = np.where(lip == Lip.BACKGROUND, by_atr, by_lip)
    return np.where(atr == Atr.BAG, np.uint8(Label.OTHER), labels)


@dataclass(frozen=True)
class PublishedParse:
    """What the three networks see in a photo.

    Attributes:
        crop: the part of the photo they looked at, h x w pixels.
        densepose: uint8 (h, w), 0..24, of the person.
        lip: uint8 (h, w), values of `Lip`; background where somebody else is.
        atr: uint8 (h, w), values of `Atr`; the same.
        others: bool (h, w), other people.
        box: the person's, in photo pixels: left, top, right, bottom, the last two exclusive.
        notes: sentences for the user.
    """

    crop: Crop
    densepose: np.ndarray
    lip: np.ndarray
    atr: np.ndarray
    others: np.ndarray
    box: Box
    notes: tuple[str, ...] = ()

    @property
    def photo_size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.crop.photo_size

    @property
    def labels(self) -> np.ndarray:
        """The person at the photo's size: uint8 (H, W), values of `Label`."""
        return self.crop.back(eight_classes(self.lip, self.atr), resize=resize_labels)


@dataclass(frozen=True)
class PublishedMask:
    """What may change in a photo of H rows and W columns, and what it was judged by.

    Attributes:
        mask: uint8 (H, W), 255 where pixels may change, else 0.
        labels: uint8 (H, W), values of `Label`.
        densepose: uint8 (H, W), 0..24.
        lip: uint8 (H, W), values of `Lip`.
        atr: uint8 (H, W), values of `Atr`.
        box: the person's box in photo pixels: left, top, right, bottom, the last two exclusive.
        part: what was asked for.
        notes: sentences the user should see.
    """

    mask: np.ndarray
    labels: np.ndarray
    densepose: np.ndarray
    lip: np.ndarray
    atr: np.ndarray
    box: Box
    part: str
    notes: tuple[str, ...] = ()


class PublishedMasker:
    """Draws the published mask; safe to share between threads if its parts are.

    Args:
        densepose: finds bodies, as `densepose.DensePose` does.
        lip: RGB picture -> uint8 (h, w), values of `Lip`, as `model.schp.SCHP` does.
        atr: RGB picture -> uint8 (h, w), values of `Atr`.
        parity: as published: DensePose's best instance, nobody is looked for and nothing refused.
        remember: how many photos' label maps to keep (about 4 MB each; in parity mode 4 bytes a pixel); 0 keeps none.
    """

    def __init__(
        self, densepose: BodyFinder, lip: LabelParser, atr: LabelParser, *, parity: bool = False, remember: int = 8
    ) -> None:
        self._densepose, self._lip, self._atr = densepose, lip, atr
        self._parity = parity
        self._memory = PhotoMemory(self._parse, remember=remember)

    def __call__(self, image: Image.Image, part: str, *, loose: bool = False) -> PublishedMask:
        """Mask one part of what the person in a photo wears.

        Args:
            image: the photo, upright; any mode and size.
            part: "upper", "lower", "overall", "inner" or "outer".
            loose: mask more, so that nothing of the old outline can be guessed.

        Raises:
            NoPersonFound: nobody in the photo. Not in parity mode, which masks what the parsers see.
            PartNotVisible: that part of the person lies outside the photo. Not in parity mode: the mask is empty.
            ValueError: unknown part.
        """
        if part not in PLANS:
            raise ValueError(f"unknown part {part!r}; parts are {', '.join(PLANS)}")
        parse = self.parse(image)
        notes = parse.notes if self._parity else parse.notes + _notes_on(parse, part)
        area = agnostic_mask(parse.densepose, parse.lip, parse.atr, part, loose=loose)
        mask = parse.crop.back(np.where(parse.others, np.uint8(0), area), resize=resize_labels)
        if not (self._parity or mask.any()):
            raise _not_visible(part)
        maps = (parse.crop.back(labels) for labels in (parse.densepose, parse.lip, parse.atr))
        return PublishedMask(mask, parse.labels, *maps, parse.box, part, notes)

    def parse(self, image: Image.Image) -> PublishedParse:
        """Run the three networks on a photo, or recall what they saw if the same pixels were parsed lately.

        Raises:
            NoPersonFound: nobody in the photo; not in parity mode.
        """
        return self._memory(image)

    def forget(self) -> None:
        """Drop everything remembered."""
        self._memory.forget()

    @torch.inference_mode()
    def _parse(self, photo: Image.Image) -> PublishedParse:
        return self._as_published(photo) if self._parity else self._of_the_person_meant(photo)

    def _as_published(self, photo: Image.Image) -> PublishedParse:
        dense, lip, atr = self._densepose(photo), self._lip(photo), self._atr(photo)
        box = box_of((dense > 0) | (lip > 0) | (atr > 0)) or (0, 0, *photo.size)
        return PublishedParse(Crop.of(photo.size), dense, lip, atr, np.zeros(dense.shape, bool), box)

    def _of_the_person_meant(self, photo: Image.Image) -> PublishedParse:
        look = Crop.of(photo.size, most=LOOK_SIDE)
        chosen, others = choose(self._densepose.instances(look.cut(photo)), width=look.size[0])
        crop = Crop.around(look.to_photo(_whole_pixels(chosen.box)), photo.size, most=WORK_SIDE)
        picture = crop.cut(photo)
        dense, lip, atr = crop.cut_map(chosen.labels), self._lip(picture), self._atr(picture)
        bodies = [crop.cut_map(one.labels) for one in others]
        elsewhere = nearer_to_others(dense, bodies)
        strangers = elsewhere & np.logical_or.reduce([lip > 0, atr > 0, *(body > 0 for body in bodies)])
        lip, atr = (np.where(elsewhere, np.uint8(0), labels) for labels in (lip, atr))
        person = (lip > 0) | (atr > 0)
        if person.sum() < MIN_PERSON * person.size:
            raise NoPersonFound()
        notes = (NOTE_SEVERAL,) if rivals(chosen, others) else ()
        box = crop.to_photo(box_of(person | (dense > 0)))
        return PublishedParse(crop, dense, lip, atr, strangers, box, notes)


def _notes_on(parse: PublishedParse, part: str) -> tuple[str, ...]:
    """Sentences on this part. Raises `PartNotVisible` where too little of it is in the photo."""

    def seen(of: str) -> bool:
        return in_view(parse.densepose, parse.lip, parse.atr, of).sum() >= MIN_PART_AREA * parse.lip.size

    if not seen(part):
        raise _not_visible(part)
    return (NOTE_CUT,) if part == "overall" and not seen("lower") else ()


def _not_visible(part: str) -> PartNotVisible:
    return PartNotVisible(part, TELL.get(part, TELL["upper"]))


def _whole_pixels(box: tuple[float, ...]) -> Box:
    return int(box[0]), int(box[1]), int(np.ceil(box[2])), int(np.ceil(box[3]))
