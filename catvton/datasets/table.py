"""Pairs by a table: a CSV with the columns person, garment, part and, if wished, mask, paths relative to the CSV."""

from __future__ import annotations

import csv
from pathlib import Path, PurePath

from catvton.datasets.cases import Case
from catvton.errors import InputError
from catvton.result import PARTS

_PICTURES = ("person", "garment", "mask")
_NEEDED = ("person", "garment", "part")
_COLUMNS = (*_NEEDED, "mask")


class PairTable:
    """The pairs a CSV lists; the person wears the garment. An empty or absent mask is for the reader to make.

    Errors: `InputError`, saying line and column: "table.not_found", "table.unreadable", "table.column", "table.cell",
    "table.file" (a picture that does not exist) or "table.empty".
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._cases = [self._case(number, row) for number, row in self._rows()]
        if not self._cases:
            raise self._error("it has no pairs below its first line", code="table.empty")

    def cases(self) -> list[Case]:
        """The pairs in the table's order, each named by its line and its person's photo: "00002_anna"."""
        return list(self._cases)

    def _rows(self) -> list[tuple[int, dict[str, str]]]:
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, restkey="", restval="", skipinitialspace=True)
                self._check_columns(reader.fieldnames or [])
                return [(reader.line_num, row) for row in reader]
        except FileNotFoundError as error:
            raise self._error("there is no such file", code="table.not_found") from error
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise self._error("it is not a CSV file in UTF-8", code="table.unreadable") from error

    def _check_columns(self, names: list[str]) -> None:
        missing = [name for name in _NEEDED if name not in names]
        unknown = [name for name in names if name not in _COLUMNS]
        if missing or unknown or len(set(names)) != len(names):
            wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(names)}"
            raise self._error(f"line 1 {wrong}: the columns are {', '.join(_COLUMNS)}", code="table.column")

    def _case(self, number: int, row: dict[str, str]) -> Case:
        if "" in row:
            raise self._error(f"line {number} has more cells than line 1 has columns", code="table.cell")
        for column in _NEEDED:
            if not row[column].strip():
                raise self._error(f"line {number}, column {column}: it is empty", code="table.cell")
        part = row["part"].strip()
        if part not in PARTS:
            accepted = ", ".join(PARTS)
            raise self._error(f'line {number}, column part: "{part}" is none of {accepted}', code="table.cell")
        files = {column: self._file(number, column, row.get(column, "").strip()) for column in _PICTURES}
        person, garment = files["person"], files["garment"]
        return Case(
            name=f"{number:05d}_{person.stem}",
            part=part,
            category="",
            person=person,
            garment=garment,
            mask=files["mask"] or self._mask_of(row["person"].strip(), part),
        )

    def _file(self, number: int, column: str, value: str) -> Path | None:
        path = self.path.parent / value
        if value and not path.is_file():
            raise self._error(f"line {number}, column {column}: {path} does not exist", code="table.file")
        return path if value else None

    def _mask_of(self, person: str, part: str) -> Path:
        """Where a made mask would lie: it depends on the photo and the part, not on the line, which may move."""
        inside = [name for name in PurePath(person).parts if name not in (PurePath(person).anchor, "..")]
        return self.path.parent.joinpath("masks", part, *inside).with_suffix(".png")

    def _error(self, message: str, *, code: str) -> InputError:
        return InputError(f"{self.path}: {message}.", code=code)
