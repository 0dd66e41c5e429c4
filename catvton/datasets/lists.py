"""The lists of pairs that come with a set: reading one, and what can be wrong with it as a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from catvton.datasets import faults as kinds
from catvton.datasets.faults import Fault
from catvton.errors import InputError


@dataclass(frozen=True)
class Line:
    """One line: its number in the file from 1, two file names, and the third column if it has one."""

    number: int
    person: str
    garment: str
    third: str = ""


@dataclass(frozen=True)
class PairList:
    """A list as read.

    Attributes:
        path: its file.
        lines: the lines that could be read, the first one of each person.
        faults: what is wrong with the others.
    """

    path: Path
    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]

    def sound(self) -> tuple[Line, ...]:
        """The lines. Errors: `InputError` "data.list" with the first fault, if there is one."""
        if self.faults:
            raise InputError(str(self.faults[0]), code="data.list")
        return self.lines

    def with_third(self, value: str) -> PairList:
        """The same list with only the lines whose third column says `value`."""
        lines = tuple(line for line in self.lines if line.third == value)
        faults = self.faults if lines else (*self.faults, _empty(self.path))
        return replace(self, lines=lines, faults=faults)


def read_list(path: Path, pattern: re.Pattern[str], *, form: str) -> PairList:
    """Read a list of pairs; blank lines are skipped.

    Args:
        pattern: matches a whole line; its groups are the person, the garment and, if there is one, the third column.
        form: how a line should look, for the sentence about one that does not.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return PairList(path, (), (Fault(kinds.LIST_MISSING, path, "This list is missing."),))
    lines, found = {}, []
    for number, words in enumerate(text.splitlines(), 1):
        match = pattern.fullmatch(words.strip())
        if match is None and words.strip():
            message = f'Line {number} is "{words.strip()[:80]}": a line reads "{form}".'
            found.append(Fault(kinds.LINE_MALFORMED, path, message))
        elif match is not None:
            line = Line(number, *(group or "" for group in match.groups()))
            if lines.setdefault(line.person, line) is not line:
                message = f"Line {number} lists {line.person} again, after line {lines[line.person].number}."
                found.append(Fault(kinds.LINE_DUPLICATE, path, message))
    if not lines:
        found.append(_empty(path))
    return PairList(path, tuple(lines.values()), tuple(found))


def mismatched(listed: PairList, own: Callable[[str], str]) -> list[Fault]:
    """One fault for a list of people in their own clothes that gives some of them another's.

    own: the file name of the garment a person wears, from the person's.
    """
    wrong = [line for line in listed.lines if line.garment != own(line.person)]
    if not wrong:
        return []
    first = wrong[0]
    message = (
        f"{len(wrong)} of {len(listed.lines)} lines give a person a garment they do not wear, the first is line "
        f"{first.number} ({first.person} {first.garment}). Pairs are made by equal name instead."
    )
    return [Fault(kinds.PAIRS_MISMATCHED, listed.path, message)]


def not_unpaired(listed: PairList, own: Callable[[str], str]) -> list[Fault]:
    """One fault for a list of other people's garments that is the paired list in truth.

    A random pairing gives a person their own garment now and then: it takes two lines, and half of them, for a fault.
    """
    same = sum(line.garment == own(line.person) for line in listed.lines)
    if same < 2 or 2 * same < len(listed.lines):
        return []
    message = f"{same} of {len(listed.lines)} lines give a person their own garment: this is not an unpaired list."
    return [Fault(kinds.NOT_UNPAIRED, listed.path, message)]


def trained_on(listed: PairList, training: Collection[str]) -> list[Fault]:
    """A fault for every person of a test list who is in the training list too."""
    return [
        Fault(kinds.TRAINED_ON, listed.path, f"Line {line.number} lists {line.person}, who is in the training list.")
        for line in listed.lines
        if line.person in training
    ]


def _empty(path: Path) -> Fault:
    return Fault(kinds.LIST_EMPTY, path, "This list has no pairs.")
