"""What can be wrong with a set on disk. A fault has a stable kind for programs and a sentence for its owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIST_MISSING = "list.missing"
LIST_EMPTY = "list.empty"
LINE_MALFORMED = "list.malformed"
LINE_DUPLICATE = "list.duplicate"
PAIRS_MISMATCHED = "list.mismatched"
NOT_UNPAIRED = "list.not_unpaired"
TRAINED_ON = "list.trained_on"
OLD_LAYOUT = "layout.old"
PERSON_MISSING = "person.missing"
GARMENT_MISSING = "garment.missing"
UNREADABLE = "picture.unreadable"
NOT_3_TO_4 = "picture.aspect"
SIZES_DIFFER = "picture.sizes_differ"
MASK_MISSING = "mask.missing"
MASK_SIZE = "mask.size"
MASK_GREY = "mask.grey"
MASK_UNIFORM = "mask.uniform"
TRUTH_MISSING = "truth.missing"
TRUTH_GARMENT = "truth.garment"
TRUTH_TRAINING = "truth.training"
TRUTH_EXTRA = "truth.extra"

# What the readers deal with themselves: missing masks are made, pairs are made by name, old folders are not read.
HARMLESS = frozenset({MASK_MISSING, PAIRS_MISMATCHED, OLD_LAYOUT})


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: one of this module's constants.
        path: the file, list or folder it is about.
        message: a sentence; it does not repeat the path.
    """

    kind: str
    path: Path
    message: str

    @property
    def harmless(self) -> bool:
        """Whether the set can be used all the same."""
        return self.kind in HARMLESS

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def fit(faults: Iterable[Fault]) -> bool:
    """Whether a set with these faults can be used: none of them, or only harmless ones."""
    return all(fault.harmless for fault in faults)


def described(faults: Iterable[Fault], *, shown: int | None = 10) -> str:
    """The faults kind by kind as lines for a terminal, those that stop first; at most `shown` of each, None for all."""
    groups: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        groups[fault.kind].append(fault)
    ordered = sorted(groups.values(), key=lambda group: group[0].harmless)
    return "\n".join(line for group in ordered for line in _group(group, shown))


def _group(faults: Sequence[Fault], shown: int | None) -> list[str]:
    lines = [f"{faults[0].kind}: {len(faults)}{' (harmless)' if faults[0].harmless else ''}"]
    lines += [f"  {fault}" for fault in faults[:shown]]
    return lines + ([f"  ... and {len(faults) - shown} more"] if shown is not None and len(faults) > shown else [])
