"""What VITON-HD and DressCode have in common: lists of file names, and the files in folders of fixed names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.datasets.cases import Case
from catvton.datasets.check import check_files, check_truth_folder, unwatched
from catvton.datasets.faults import Fault
from catvton.datasets.lists import Line, PairList, mismatched, not_unpaired, trained_on
from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.evaluation.suite import Watch

SPLITS = ("test", "train")


class ListedSet(ABC):
    """A set on disk. A paired case is a person and the garment they wear; training cases are always that.

    Attributes:
        kind: the set's name, as in "vitonhd:ROOT".
        root: the folder that holds the lists or the categories.
    """

    kind: str
    root: Path

    def cases(self, split: str = "test", *, paired: bool) -> list[Case]:
        """The split's cases in its list's order. Errors: `InputError` "data.list" (missing, unsound), "data.split"."""
        return [
            self._case(split, category, line, paired=paired)
            for category, listed in self._lists(split, paired=paired)
            for line in listed.sound()
        ]

    def readable(self, split: str, *, paired: bool) -> list[Case]:
        """The cases of every line that can be read, whatever is wrong with the others."""
        return [
            self._case(split, category, line, paired=paired)
            for category, listed in self._lists(split, paired=paired)
            for line in listed.lines
        ]

    def truth(self, case: Case) -> Path:
        """The real photo a result is compared with: the person's."""
        return case.person

    def check(
        self, split: str = "test", *, paired: bool, thorough: bool = False, watch: Watch = unwatched
    ) -> list[Fault]:
        """Everything that is wrong with the split; empty when all is well. Arguments as for `check_files`."""
        found = self._layout(split)
        for category, listed in self._lists(split, paired=paired):
            found += [*listed.faults, *self._list_faults(split, category, listed, paired=paired)]
        found += check_files(self.readable(split, paired=paired), thorough=thorough, watch=watch)
        return list(dict.fromkeys(found))  # categories may share a list, and people a garment

    def check_truth(self, folder: Path) -> list[Fault]:
        """Whether `folder` holds the test people's photos and nothing else: see `check_truth_folder`."""
        people, training = (self.readable(split, paired=True) for split in SPLITS)
        return check_truth_folder(folder, people, training=training)

    def _lists(self, split: str, *, paired: bool) -> list[tuple[str, PairList]]:
        if split not in SPLITS:
            raise InputError(f'There is no split "{split}": test and train are.', code="data.split")
        if split == "train" and not paired:
            raise InputError("Training cases are paired: only the test split has an unpaired list.", code="data.split")
        return [(category, self._list(split, category, paired=paired)) for category in self._categories()]

    def _list_faults(self, split: str, category: str, listed: PairList, *, paired: bool) -> list[Fault]:
        if split == "train":
            return mismatched(listed, self._own)
        training = {line.person for line in self._list("train", category, paired=True).lines}
        return [*self._pairing(listed, paired=paired), *trained_on(listed, training)]

    def _pairing(self, listed: PairList, *, paired: bool) -> list[Fault]:
        return mismatched(listed, self._own) if paired else not_unpaired(listed, self._own)

    def _categories(self) -> tuple[str, ...]:
        return ("",)

    def _layout(self, split: str) -> list[Fault]:
        return []

    @abstractmethod
    def _list(self, split: str, category: str, *, paired: bool) -> PairList: ...

    @abstractmethod
    def _case(self, split: str, category: str, line: Line, *, paired: bool) -> Case: ...

    @staticmethod
    @abstractmethod
    def _own(person: str) -> str:
        """File name of the garment a person wears, from the person's file name."""
