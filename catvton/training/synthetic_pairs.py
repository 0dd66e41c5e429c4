"""Pairs for a network without a mask: a mask-based engine redresses people, and the photo as it was is the truth.

Each person wears the garment of the pair before it of the same part; the first of a part that of its last. So any
source will do, shards included, and a pair depends on its neighbour alone. What the engine changed is kept inside the
mask: outside it the redressed person is the photo. Pictures are PNGs at the engine's size, 0.3 MB each at 384x512.

    redressed.json             with what they were made
    redressed.csv              name, part, whose garment the person wears, seed; written when all are done
    pictures/NAME.png
"""

from __future__ import annotations

import csv
import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from catvton.datasets.cases import Pictures, open_photo
from catvton.errors import InputError
from catvton.evaluation.result_folder import differences, write_whole
from catvton.image_utils import repaint, resize_and_crop
from catvton.images import png_bytes

if TYPE_CHECKING:
    from catvton.datasets import Source
    from catvton.evaluation.benchmark_engine import Dresser

logger = logging.getLogger(__name__)

FACTS, TABLE, PICTURES = "redressed.json", "redressed.csv", "pictures"
COLUMNS = ("name", "part", "garment_of", "seed")

Watch = Callable[[Iterable[Any], int], Iterable[Any]]  # as `catvton.training.latent_cache`'s


@dataclass(frozen=True, kw_only=True)
class Redressed(Pictures):
    """A pair, and the same person in another garment: `shown`, RGB, the photo's middle at the engine's size."""

    shown: Image.Image


@dataclass(frozen=True)
class Wish:
    """A pair whose person is to wear another's garment."""

    pictures: Pictures
    garment: Image.Image
    garment_of: str


@dataclass(frozen=True, kw_only=True)
class SyntheticPairs:
    """Redresses a source's people into a folder.

    Args:
        dresser: loads a mask-based engine that works at `size` (W, H), once, at its first use; see
            `catvton.evaluation.benchmark_engine.dresser`.
        facts: what the pictures depend on beside the source (engine, steps, guidance): a folder holds one kind.
        masker: makes the masks that the source lacks: (photo, part) -> .mask uint8 (H, W) {0, 255}.
        together: people who are redressed at once.
        seed: with a pair's name it gives the start noise.
    """

    source: Source
    folder: Path
    dresser: Callable[[], Dresser]
    size: tuple[int, int]
    facts: dict[str, Any]
    masker: Callable[[Image.Image, str], Any] | None = None
    together: int = 8
    seed: int = 0

    def make(self, watch: Watch = lambda steps, count: steps) -> RedressedSource:
        """Redress everyone who is not yet, and give the pairs. What is there already is not made again.

        Raises:
            InputError: the folder was made with other facts, a mask is missing and there is no masker, or no part has
                two garments.
        """
        self._agree()
        if (self.folder / TABLE).is_file():
            return RedressedSource(self.source, self.folder)
        rows = []
        wishes = iter(watch(wishes_of(self.source), len(self.source)))
        while batch := list(itertools.islice(wishes, self.together)):
            self._redress([wish for wish in batch if not self._file(wish.pictures.name).is_file()])
            made = [wish for wish in batch if self._file(wish.pictures.name).is_file()]
            rows += [(wish.pictures.name, wish.pictures.part, wish.garment_of, self.seed) for wish in made]
        if not rows:
            raise InputError(f"{self.source.name} has no part with two garments to change.", code="data.empty")
        self._write(rows)
        return RedressedSource(self.source, self.folder)

    def _agree(self) -> None:
        path = self.folder / FACTS
        width, height = self.size
        about = {"source": self.source.name, "pairs": len(self.source)}
        facts = {**about, "size": [width, height], "seed": self.seed, **self.facts}
        self.folder.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            return
        if wrong := differences(json.loads(path.read_text(encoding="utf-8")), facts):
            raise InputError(
                f"{self.folder} holds people redressed otherwise: {'; '.join(wrong)}. Give another --pairs, or remove "
                "the folder.",
                code="pairs.mismatch",
            )

    def _redress(self, wishes: list[Wish]) -> None:
        from catvton.evaluation.benchmark_engine import Sized, generator_of

        masked = [(wish, mask) for wish in wishes if (mask := self._mask(wish.pictures)) is not None]
        if not masked:
            return
        cases = [
            Sized.of(
                resize_and_crop(wish.pictures.person, self.size), wish.garment, resize_and_crop(mask, self.size),
                size=self.size,
            )
            for wish, mask in masked
        ]  # fmt: skip
        results = self.dresser()(cases, [generator_of(self.seed, wish.pictures.name) for wish, _ in masked])
        for (wish, _), case, result in zip(masked, cases, results, strict=True):
            shown = repaint(result, case.person, case.seam, feather=True)
            write_whole(self._file(wish.pictures.name), png_bytes(shown))

    def _mask(self, pictures: Pictures) -> Image.Image | None:
        """The pair's mask, or the masker's; None where there can be none."""
        if pictures.mask is not None:
            return pictures.mask
        if self.masker is None:
            raise InputError(f"{pictures.name} has no mask, and there is no masker.", code="data.masks")
        from model.errors import MaskError

        try:
            return Image.fromarray(self.masker(pictures.person, pictures.part).mask)
        except MaskError as error:
            logger.warning("%s is left out: %s", pictures.name, error)
            return None

    def _file(self, name: str) -> Path:
        return self.folder / PICTURES / f"{name}.png"

    def _write(self, rows: list[tuple[str, str, str, int]]) -> None:
        partial = self.folder / f"{TABLE}.partial"
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
        partial.replace(self.folder / TABLE)


class RedressedSource:
    """A source's pairs with the people redressed that a folder has: a `Source` of `Redressed`."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.name, self._source, self._folder = f"redressed:{source.name}", source, folder
        with (folder / TABLE).open(newline="", encoding="utf-8") as file:
            self._names = {row["name"] for row in csv.DictReader(file)}

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Redressed]:
        for pictures in self._source:
            if pictures.name in self._names:
                file = self._folder / PICTURES / f"{pictures.name}.png"
                yield Redressed(**vars(pictures), shown=open_photo(file, named=str(file)))

    def masks_missing(self) -> int:
        """None: no mask is needed any more."""
        return 0


def wishes_of(source: Iterable[Pictures]) -> Iterator[Wish]:
    """What everyone is to wear. A part's first pair comes last, with the garment of its last; a lone one never."""
    first: dict[str, Pictures] = {}
    before: dict[str, Pictures] = {}
    for pictures in source:
        if pictures.part in before:
            yield Wish(pictures, before[pictures.part].garment, before[pictures.part].name)
        else:
            first[pictures.part] = pictures
        before[pictures.part] = pictures
    for part, pictures in first.items():
        if before[part] is pictures:
            logger.warning("%s is left out: it is the only one of its part, %s", pictures.name, part)
        else:
            yield Wish(pictures, before[part].garment, before[part].name)
