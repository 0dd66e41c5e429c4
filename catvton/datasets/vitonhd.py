"""VITON-HD: 11,647 training and 2,032 test people at 768x1024 (Choi et al., CVPR 2021; CC BY-NC 4.0).

    {train,test}/image/00006_00.jpg   cloth/00006_00.jpg   agnostic-mask/00006_00_mask.png
    train_pairs.txt   test_pairs.txt (or test_pairs_unpaired.txt)      lines: "00006_00.jpg 08909_00.jpg"

The released training list gives people garments of others (shadow2496/HR-VITON issue 4) and the test list is the
unpaired one; paired cases are made by equal name.
"""

from __future__ import annotations

import re
from pathlib import Path

from catvton.datasets import faults as kinds
from catvton.datasets.cases import Case
from catvton.datasets.faults import Fault
from catvton.datasets.listed import ListedSet
from catvton.datasets.lists import Line, PairList, read_list
from catvton.errors import InputError

_NAME = r"([^\s/\\]+\.(?:jpg|png))"
_LINE = re.compile(rf"{_NAME}\s+{_NAME}")
_OLD_FOLDERS = ("image-parse", "openpose-img", "openpose-json")


class VitonHD(ListedSet):
    """VITON-HD under `root`: the folder with train/ and test/, or the one above it that has zalando-hd-resized/.

    Errors: `InputError` "data.vitonhd" where neither is there.
    """

    kind = "vitonhd"

    def __init__(self, root: str | Path) -> None:
        homes = [Path(root), Path(root) / "zalando-hd-resized"]
        there = [home for home in homes if any((home / split / "image").is_dir() for split in ("test", "train"))]
        if not there:
            raise InputError(
                f"{root} is not a VITON-HD folder: it or its zalando-hd-resized/ needs test/image/ or train/image/.",
                code="data.vitonhd",
            )
        self.root = there[0]
        self._list_homes = (self.root, Path(root))

    def _list(self, split: str, category: str, *, paired: bool) -> PairList:
        names = ("train_pairs.txt",) if split == "train" else ("test_pairs_unpaired.txt", "test_pairs.txt")
        places = [home / name for name in names for home in self._list_homes]
        path = next((place for place in places if place.is_file()), self.root / names[-1])
        return read_list(path, _LINE, form="00006_00.jpg 08909_00.jpg")

    def _case(self, split: str, category: str, line: Line, *, paired: bool) -> Case:
        folder, person = self.root / split, Path(line.person)
        return Case(
            name=person.stem,
            part="upper",
            category="",
            person=folder / "image" / person,
            garment=folder / "cloth" / (line.person if paired else line.garment),
            mask=folder / "agnostic-mask" / f"{person.stem}_mask.png",
            suffix=person.suffix,
        )

    @staticmethod
    def _own(person: str) -> str:
        return person

    def _pairing(self, listed: PairList, *, paired: bool) -> list[Fault]:
        return [] if paired else super()._pairing(listed, paired=False)  # the one test list is unpaired by design

    def _layout(self, split: str) -> list[Fault]:
        message = "A folder of the 2021 layout: it is not read, and that layout has no masks; they can be made."
        folders = [self.root / split / name for name in _OLD_FOLDERS]
        return [Fault(kinds.OLD_LAYOUT, folder, message) for folder in folders if folder.is_dir()]
