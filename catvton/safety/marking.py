"""The last touch before a picture is handed out: the invisible watermark, and over it the visible label."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from catvton.safety.sieve import Sifted

if TYPE_CHECKING:
    from PIL import Image

    from catvton.safety.watermark import Watermark

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Which marks pictures get. Without any it is false, and does nothing.

    Attributes:
        watermark: None for no invisible mark; label: whether the visible one is drawn.
    """

    watermark: Watermark | None = None
    label: bool = False

    def __bool__(self) -> bool:
        return self.watermark is not None or self.label

    def picture(self, image: Image.Image, number: int) -> Image.Image:
        """A marked copy (PIL RGB); one that cannot carry the watermark stays without.

        Args:
            number: the job's, below 2**48.
        """
        return self._marked(image, number)[0]

    def all(self, shown: Sifted, number: int) -> Sifted:
        """The same for every picture of a run, with the flag "unmarked:N" where N could not carry the watermark."""
        marked = {seed: self._marked(image, number) for seed, image in shown.pictures.items()}
        unmarked = sum(not carries for _, carries in marked.values())
        if unmarked and self.watermark is not None:
            log.warning("job %012x: %d of %d pictures cannot carry the watermark", number, unmarked, len(marked))
        return Sifted(
            pictures={seed: image for seed, (image, _) in marked.items()},
            flags=(*shown.flags, *([f"unmarked:{unmarked}"] if unmarked and self.watermark is not None else [])),
            notes=shown.notes,
        )

    def _marked(self, image: Image.Image, number: int) -> tuple[Image.Image, bool]:
        """(the marked copy, whether it carries the watermark)."""
        carries = False
        if self.watermark is not None:
            from catvton.safety.watermark import CannotMark

            try:
                image, carries = self.watermark.embed(image, number), True
            except CannotMark as error:
                log.debug("%s", error)
        if self.label:
            from catvton.safety.label import labelled

            image = labelled(image)
        return image, carries
