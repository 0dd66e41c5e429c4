"""Training pairs from wherever they are: one word says the set and where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from catvton.datasets.cases import Case, Pictures
from catvton.errors import InputError

KINDS = {
    "vitonhd": "a VITON-HD folder",
    "dresscode": "a DressCode folder",
    "csv": "a table of pairs",
    "shards": "WebDataset tars, with braces",
}


class Source(Protocol):
    """Pairs of a person and the garment they wear, in an order that is always the same.

    name: what it was opened as. `masks_missing` counts the pairs that come without a mask.
    """

    name: str

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Pictures]: ...

    def masks_missing(self) -> int: ...


class CaseSource:
    """A `Source` of cases on disk."""

    def __init__(self, name: str, cases: Sequence[Case]) -> None:
        self.name, self._cases = name, cases

    def __len__(self) -> int:
        return len(self._cases)

    def __iter__(self) -> Iterator[Pictures]:
        return (case.pictures() for case in self._cases)

    def masks_missing(self) -> int:
        return sum(not case.mask.is_file() for case in self._cases)


def open_source(spec: str) -> Source:
    """The training pairs of "vitonhd:ROOT", "dresscode:ROOT", "csv:FILE" or "shards:PATTERN".

    Errors: `InputError` "data.spec" for another word, and those of the set.
    """
    kind, colon, place = spec.partition(":")
    if kind not in KINDS or not (colon and place):
        accepted = ", ".join(f"{name}:... ({words})" for name, words in KINDS.items())
        raise InputError(f'"{spec}" names no training set: {accepted} do.', code="data.spec")
    match kind:
        case "vitonhd":
            from catvton.datasets.vitonhd import VitonHD

            return CaseSource(spec, VitonHD(place).cases("train", paired=True))
        case "dresscode":
            from catvton.datasets.dresscode import DressCode

            return CaseSource(spec, DressCode(place).cases("train", paired=True))
        case "csv":
            from catvton.datasets.table import PairTable

            return CaseSource(spec, PairTable(place).cases())
        case _:
            from catvton.datasets.shards import Shards

            return Shards(place)
