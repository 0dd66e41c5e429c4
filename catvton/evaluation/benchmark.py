"""A run over a data set: every case dressed once, kept twice (as generated, and pasted into the photo), and scored.

No more than a batch is in memory. Any number of processes may share a run: each takes every n-th batch. Batches are the
same however many processes there are and wherever a run was stopped, so the pictures are the same too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from catvton.datasets.cases import open_photo
from catvton.errors import InputError
from catvton.evaluation.benchmark_engine import Sized, generator_of
from catvton.evaluation.result_folder import ResultFolder, differences
from catvton.evaluation.scores import SUFFIXES, Scores, score_folder

if TYPE_CHECKING:
    from PIL import Image

    from catvton.datasets import Case
    from catvton.evaluation.benchmark_engine import Dresser
    from catvton.evaluation.benchmark_masks import Draw, Masks
    from catvton.evaluation.networks import Networks
    from catvton.evaluation.suite import Watch

REPAINT, PLAIN = "repaint", "plain"
"""The two ways a result is kept, and the folders' names: the photo's own pixels outside the mask; all as generated."""

Thing = TypeVar("Thing")


def ways(repaint: bool | None, *, mask_free: bool = False) -> tuple[str, ...]:
    """How results are kept: both ways for None. Raises InputError "option.repaint": nothing to paste along."""
    if mask_free and repaint:
        raise InputError("--repaint needs masks, and this engine takes none.", code="option.repaint")
    if mask_free or repaint is False:
        return (PLAIN,)
    return (REPAINT,) if repaint else (REPAINT, PLAIN)


@dataclass(frozen=True)
class Share:
    """What a process takes of a run: every `count`-th thing from the `rank`-th on."""

    rank: int = 0
    count: int = 1

    def of(self, things: Sequence[Thing]) -> list[Thing]:
        return list(things[self.rank :: self.count])


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A run over a data set's cases.

    Attributes:
        cases: all of the run's, whichever process takes them.
        folders: {way: where its results go}; ways are `REPAINT` and `PLAIN`.
        dresser: the engine.
        masks: where masks are; not asked if the engine takes none.
        size: (W, H) of the results.
        seed: of every draw, with the case's name.
        batch: cases dressed at once.
        share: this process's.
    """

    cases: Sequence[Case]
    folders: Mapping[str, ResultFolder]
    dresser: Dresser
    masks: Masks
    size: tuple[int, int]
    seed: int
    batch: int
    share: Share = Share()

    def make_masks(self, masker: Draw, watch: Watch) -> None:
        """Make what masks are missing for this process's share. Errors as for `Masks.make`."""
        if not self.dresser.mask_free:
            self.masks.make([case for batch in self._mine() for case in batch], masker, watch)

    def generate(self, watch: Watch) -> None:
        """Dress what has no result yet of this process's share.

        A batch that was begun is dressed again, whole, so that its results do not depend on where it was stopped.
        """
        todo = [batch for batch in self._mine() if not all(map(self._finished, batch))]
        done = (case for batch in todo for case in self._dress(batch))
        for _ in watch(done, "pictures", sum(map(len, todo))):
            pass

    def _mine(self) -> list[Sequence[Case]]:
        starts = range(0, len(self.cases), self.batch)
        return self.share.of([self.cases[start : start + self.batch] for start in starts])

    def _finished(self, case: Case) -> bool:
        return all(folder.file(case).is_file() for folder in self.folders.values())

    def _dress(self, batch: Sequence[Case]) -> Iterator[Case]:
        """Dress a batch and give out each case once its results are on the disk."""
        sized = [self._sized(case) for case in batch]
        pictures = self.dresser(sized, [generator_of(self.seed, case.name) for case in batch])
        for case, seen, picture in zip(batch, sized, pictures, strict=True):
            for way, folder in self.folders.items():
                folder.write(case, repainted(picture, seen) if way == REPAINT else picture)
            yield case

    def _sized(self, case: Case) -> Sized:
        person, garment = (open_photo(path, named=str(path)) for path in (case.person, case.garment))
        mask = None if self.dresser.mask_free else self.masks.open(case)
        return Sized.of(person, garment, mask, size=self.size)


def repainted(picture: Image.Image, seen: Sized) -> Image.Image:
    """The picture (RGB) with the photo's pixels outside the mask, along a seam as wide as CatVTON's evaluation has."""
    from catvton.image_utils import repaint

    return repaint(picture, seen.person, seen.seam, feather=True)


def require_empty(out: Path) -> None:
    """Raises InputError "output.not_empty" unless the folder is empty, or not there."""
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out} is not empty: go on there with --resume, or choose another --out.", code="output.not_empty"
        )


def prepare(protocols: Mapping[ResultFolder, Mapping[str, Any]]) -> None:
    """Say in every folder how its results are made: {folder: its protocol}. One that was begun before stays as it is.

    Raises:
        InputError: "results.protocol", one was begun in another way; every difference is named, and nothing written.
    """
    fresh = {folder: protocol for folder, protocol in protocols.items() if _begins(folder, protocol)}
    for folder, protocol in fresh.items():
        folder.write_protocol(protocol)


def _begins(folder: ResultFolder, protocol: Mapping[str, Any]) -> bool:
    """Whether the folder has nothing yet. Raises InputError where what it has was made otherwise."""
    there = folder.protocol()
    if there is not None and (found := differences(there, protocol)):
        raise InputError(
            f"The results in {folder.path} were made otherwise: {'; '.join(found)}. Choose another --out.",
            code="results.protocol",
        )
    if there is None and any(path.suffix.lower() in SUFFIXES for path in folder.path.rglob("*")):
        raise InputError(
            f"{folder.path} holds pictures but no protocol.json: nobody knows how they were made.",
            code="results.protocol",
        )
    return there is None


def score(folder: ResultFolder, truths: Mapping[str, Path], *, networks: Networks, watch: Watch) -> Scores:
    """Score a folder that has a protocol, and write the scores and the networks' files into it.

    Args:
        truths: {case's name: the real photo of its person}, for all the folder's results and no others.

    Raises:
        InputError, WeightsError: as for `score_folder`.
    """
    protocol = folder.protocol() or {}
    paired = bool(protocol.get("paired"))
    found = score_folder(folder.path, truths, paired=paired, networks=networks, watch=watch)
    files = networks.files(paired=paired)
    used = {name: {"file": file.path.name, "sha256": file.sha256} for name, file in files.items()}
    folder.write_protocol({**protocol, "networks": used})
    folder.write_scores(found)
    return found
