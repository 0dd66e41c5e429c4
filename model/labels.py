"""The eight classes every parser in this project speaks, in their fixed order."""

from enum import IntEnum


class Label(IntEnum):
    """One class of a parser's label map (uint8 HxW)."""

    BACKGROUND = 0
    HAIR = 1
    SKIN = 2
    UPPER = 3
    LOWER = 4
    DRESS = 5
    SHOES = 6
    OTHER = 7  # bags, hats, belts, glasses, scarves, gloves, jewellery


NAMES: tuple[str, ...] = tuple(label.name.lower() for label in Label)
COUNT: int = len(Label)
GARMENTS: tuple[Label, ...] = (Label.UPPER, Label.LOWER, Label.DRESS)
TOPS: tuple[Label, ...] = (Label.UPPER, Label.DRESS)


class Body(IntEnum):
    """One class of a body map: `Label` with skin split by position into face, neck, arms, hands and legs.

    Codes below 8 mean what they mean in `Label`. SKIN stays for skin that belongs to no limb, such as a bare waist.
    """

    BACKGROUND = 0
    HAIR = 1
    SKIN = 2
    UPPER = 3
    LOWER = 4
    DRESS = 5
    SHOES = 6
    OTHER = 7
    FACE = 8
    NECK = 9
    ARM = 10
    HAND = 11
    LEG = 12
    FOOT = 13


BODY_NAMES: tuple[str, ...] = tuple(code.name.lower() for code in Body)
SKIN_PARTS: tuple[Body, ...] = (Body.SKIN, Body.FACE, Body.NECK, Body.ARM, Body.HAND, Body.LEG, Body.FOOT)
