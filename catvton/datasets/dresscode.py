"""DressCode: 48,392 training and 5,400 test people in three categories (Morelli et al., ECCV 2022; by request form).

    {upper_body,lower_body,dresses}/images/048392_0.jpg (person)   048392_1.jpg (garment)
                                    agnostic_masks/048392_0.png    (made by CatVTON's preprocessing, not released)
                                    train_pairs.txt   test_pairs_paired.txt   test_pairs_unpaired.txt

A list's lines read "048392_0.jpg 048394_1.jpg". The lists beside the categories have the category's number as a third
column; they are read where a category has no list of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from catvton.datasets.cases import Case
from catvton.datasets.listed import ListedSet
from catvton.datasets.lists import Line, PairList, read_list
from catvton.errors import InputError

PARTS = {"upper_body": "upper", "lower_body": "lower", "dresses": "overall"}  # in the order of the lists' numbers
_LINE = re.compile(r"(\d+_0\.jpg)\s+(\d+_1\.jpg)(?:\s+([012]))?")


class DressCode(ListedSet):
    """DressCode under `root`: the folder with the categories, or the one above it that has DressCode/.

    categories: which of them to read.
    Errors: `InputError` "data.dresscode" where none of them is there, "data.category" where one is unknown.
    """

    kind = "dresscode"

    def __init__(self, root: str | Path, categories: Sequence[str] = tuple(PARTS)) -> None:
        unknown = [name for name in categories if name not in PARTS]
        if unknown or not categories:
            raise InputError(f"DressCode's categories are {', '.join(PARTS)}, not {unknown}.", code="data.category")
        homes = [Path(root), Path(root) / "DressCode"]
        there = [home for home in homes if any((home / name / "images").is_dir() for name in categories)]
        if not there:
            raise InputError(
                f"{root} is not a DressCode folder: it or its DressCode/ needs {categories[0]}/images/.",
                code="data.dresscode",
            )
        self.root, self.categories = there[0], tuple(categories)

    def _categories(self) -> tuple[str, ...]:
        return self.categories

    def _list(self, split: str, category: str, *, paired: bool) -> PairList:
        name = "train_pairs.txt" if split == "train" else f"test_pairs_{'paired' if paired else 'unpaired'}.txt"
        own, common = self.root / category / name, self.root / name
        form = "048392_0.jpg 048394_1.jpg"
        if own.is_file() or not common.is_file():
            return read_list(own, _LINE, form=form)
        return read_list(common, _LINE, form=f"{form} 0").with_third(str(list(PARTS).index(category)))

    def _case(self, split: str, category: str, line: Line, *, paired: bool) -> Case:
        folder, person = self.root / category, Path(line.person)
        return Case(
            name=f"{category}/{person.stem}",
            part=PARTS[category],
            category=category,
            person=folder / "images" / person,
            garment=folder / "images" / (self._own(line.person) if paired else line.garment),
            mask=folder / "agnostic_masks" / f"{person.stem}.png",
        )

    @staticmethod
    def _own(person: str) -> str:
        return person.replace("_0.", "_1.")
