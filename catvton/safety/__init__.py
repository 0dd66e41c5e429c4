"""Whether a finished picture may be shown: what a checker is. Light: the checkers themselves live in modules below.

An engine whose pictures need no check has no checker; `catvton.tryon` withholds what a checker flags, and shows nothing
of it before. Pictures are never changed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a checker thinks of one picture.

    Attributes:
        flagged: it must not be shown.
        scores: {concept: how far above its threshold}; above 0 is a hit. For the log, not for a person.
        hits: the concepts that were hit. Not every hit alone flags a picture; the checker says which do.
    """

    flagged: bool
    scores: Mapping[str, float]
    hits: tuple[str, ...] = ()


class Checker(Protocol):
    """What `TryOn` asks of a safety checker. One object serves any number of threads."""

    def check(self, images: Sequence[Image.Image]) -> list[Verdict]:
        """One verdict per picture (PIL RGB, any size), in order, each independent of the other pictures.

        Raises:
            WeightsError: the checker is not able to judge; that is never a pass.
        """
