"""The labels of the published parsers: SCHP trained on LIP (20), on ATR (18), and DensePose's body parts (24)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

Parser = TypeVar("Parser", bound=IntEnum)


class Lip(IntEnum):
    """One class of a LIP label map (uint8 HxW). Left and right are the person's own."""

    BACKGROUND = 0
    HAT = 1
    HAIR = 2
    GLOVE = 3
    SUNGLASSES = 4
    UPPER_CLOTHES = 5
    DRESS = 6
    COAT = 7
    SOCKS = 8
    PANTS = 9
    JUMPSUITS = 10
    SCARF = 11
    SKIRT = 12
    FACE = 13
    LEFT_ARM = 14
    RIGHT_ARM = 15
    LEFT_LEG = 16
    RIGHT_LEG = 17
    LEFT_SHOE = 18
    RIGHT_SHOE = 19


class Atr(IntEnum):
    """One class of an ATR label map (uint8 HxW)."""

    BACKGROUND = 0
    HAT = 1
    HAIR = 2
    SUNGLASSES = 3
    UPPER_CLOTHES = 4
    SKIRT = 5
    PANTS = 6
    DRESS = 7
    BELT = 8
    LEFT_SHOE = 9
    RIGHT_SHOE = 10
    FACE = 11
    LEFT_LEG = 12
    RIGHT_LEG = 13
    LEFT_ARM = 14
    RIGHT_ARM = 15
    BAG = 16
    SCARF = 17


class Dense:
    """The codes of a DensePose label map (uint8 HxW, 0 is background), by group."""

    TORSO = (1, 2)
    HANDS = (3, 4)
    FEET = (5, 6)
    THIGHS = (7, 8, 9, 10)
    LEGS = (11, 12, 13, 14)
    UPPER_ARMS = (15, 16, 17, 18)
    FOREARMS = (19, 20, 21, 22)
    FACE = (23, 24)
    COUNT = 25


@dataclass(frozen=True)
class Selection:
    """Classes of the two parsers, each by its own codes."""

    lip: tuple[Lip, ...] = ()
    atr: tuple[Atr, ...] = ()

    @classmethod
    def of(cls, names: str = "", *, lip: str = "", atr: str = "") -> Selection:
        """Classes by name, e.g. "HAIR COAT".

        Args:
            names: separated by spaces; a class only one parser has is selected there.
            lip: further names, of LIP's classes only.
            atr: and of ATR's.

        Raises:
            KeyError: the parser asked has no such class, or neither has.
        """
        for name in names.split():
            if name not in Lip.__members__ and name not in Atr.__members__:
                raise KeyError(f"neither LIP nor ATR has a class {name}")
        return cls(
            _named(Lip, (*(name for name in names.split() if name in Lip.__members__), *lip.split())),
            _named(Atr, (*(name for name in names.split() if name in Atr.__members__), *atr.split())),
        )


def _named(parser: type[Parser], names: tuple[str, ...]) -> tuple[Parser, ...]:
    return tuple(parser[name] for name in names)
