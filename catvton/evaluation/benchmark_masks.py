"""The masks of a benchmark: the data set's own, and for what it lacks those of the engine's masker, made once and kept.

Nothing is written into the data set. A kept mask's name holds the sha256 of its photo, so that masks may be shared
by runs, and none is taken for another photo's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from catvton.datasets.cases import open_map, open_photo
from catvton.errors import InputError
from catvton.evaluation.result_folder import write_whole
from catvton.images import png_bytes

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.datasets import Case
    from catvton.evaluation.suite import Watch
    from model import Mask

Draw: TypeAlias = "Callable[[Image.Image, str], Mask]"
"""A masker: (photo RGB, part) -> what has .mask, uint8 (H, W) {0, 255}. Raises `model.MaskError`."""


def masker_name(card: ModelCard) -> str:
    """Whose masks an engine uses, the published masker's or the built-in one's, as folders and protocols call it."""
    return "built-in" if card.role("densepose") is None else "densepose-schp"


@dataclass(frozen=True)
class Masks:
    """The masks of a set's cases.

    Attributes:
        folder: where those are kept that the set lacks.
    """

    folder: Path

    def file(self, case: Case) -> Path:
        """The case's mask: the set's, else the kept one, which may not have been made yet."""
        if case.mask.is_file():
            return case.mask
        photo = hashlib.sha256(case.person.read_bytes()).hexdigest()[:12]
        return self.folder / f"{case.name}-{photo}-{case.part}.png"

    def open(self, case: Case) -> Image.Image:
        """The case's mask as L, as stored. Errors: `InputError` "image.not_found" or "image.broken"."""
        file = self.file(case)
        return open_map(file, named=str(file))

    def make(self, cases: Sequence[Case], masker: Draw, watch: Watch) -> None:
        """Make the masks that are neither in the set nor kept, each written at once.

        Raises:
            InputError: "mask.not_made", naming every photo the masker can do nothing with, after all others are done.
        """
        missing = [case for case in cases if not self.file(case).is_file()]
        refused = [found for case in watch(missing, "masks", len(missing)) if (found := self._make(case, masker))]
        if refused:
            raise InputError(
                f"{len(refused)} of {len(cases)} masks cannot be made. Put masks of your own (white may change) where "
                f"the data set has them:\n" + "\n".join(refused),
                code="mask.not_made",
            )

    def _make(self, case: Case, masker: Draw) -> str:
        """Why there is no mask; "" if there is."""
        from model.errors import MaskError

        try:
            found = masker(open_photo(case.person, named=str(case.person)), case.part)
        except MaskError as error:
            return f"{case.mask}: {error}"
        write_whole(self.file(case), png_bytes(found.mask))
        return ""
