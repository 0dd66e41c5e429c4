"""The table of figures: what was reached beside what is required and what is aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catvton.evaluation.metrics import Likeness
from catvton.evaluation.paired import FLAT, Paired
from catvton.evaluation.parsing import Parsing
from catvton.evaluation.unpaired import Unpaired

ON = "network"
OFF = "UNet off"  # placement network on
ROUGH = "placement alone"  # geometry, every network off: what the networks are required to improve on


@dataclass(frozen=True)
class Row:
    """One line of the table. `met`: whether the required figure is reached; None where only a look can tell."""

    what: str
    reached: str
    required: str = ""
    aim: str = ""
    met: bool | None = None

    def json(self) -> dict[str, Any]:
        return asdict(self)


def parser_row(found: Parsing) -> Row:
    return Row("parser mIoU, 8 classes", f"{found.mean:.3f}", "0.58", "0.68", found.mean >= 0.58)


def paired_rows(found: Paired, ways: Sequence[str], *, baseline: bool = True) -> list[Row]:
    """The mask's and the region's figures for the network (or what stands in for it), and the baselines below them."""
    rows = []
    for area, where in (("mask", "over the whole mask"), ("region", "in the garment's region")):
        figures = {way: found.mean(way, area) for way in (*ways, FLAT)}
        rows += [_paired_row(f"paired, {where}: {way}", area, figures, way) for way in ways]
        if baseline:
            rows.append(Row(f"paired, {where}: flat colour", _both(figures[FLAT])))
    return rows


def _paired_row(what: str, area: str, figures: dict[str, Likeness], way: str) -> Row:
    mine, flat = figures[way], figures[FLAT]
    if way != ON:
        return Row(what, _both(mine))
    if area == "mask":
        return Row(what, _both(mine), "11 / 0.32", "8 / 0.42", mine.colour <= 11 and mine.structure >= 0.32)
    floor = max(f.structure for name, f in figures.items() if name in (FLAT, ROUGH)) + 0.05
    met = mine.colour < flat.colour and mine.structure >= floor
    return Row(what, _both(mine), f"{flat.colour:.2f} / {floor:.3f}", "5 / 0.45", met)


def unpaired_row(found: Unpaired) -> Row:
    what = f"unpaired, {len(found.seen)} results: the right garment of 20"
    return Row(what, f"{found.share:.1%}", "85 %", "95 %", found.share >= 0.85)


def words_row(looked_at: str) -> Row:
    """`looked_at`: where the sheet lies. Readable or not is for eyes to say."""
    return Row("a printed word stays readable", f"look at {looked_at}", "7 of 10", "10")


def outside_row(changed: int, pictures: int) -> Row:
    return Row(f"pixels outside the mask changed, {pictures} results", str(changed), "0", "0", changed == 0)


def seconds_row(seconds: float, machine: str) -> Row:
    return Row(f"seconds for one 768x1024 photo ({machine})", f"{seconds:.2f}", "5", "3", seconds <= 5)


def table(rows: Sequence[Row]) -> str:
    """The rows as text for a terminal."""
    marks = {True: "yes", False: "NO", None: ""}
    lines = [("", "reached", "required", "aim", "met")]
    lines += [(row.what, row.reached, row.required, row.aim, marks[row.met]) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    figures = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join((cells[0].ljust(widths[0]), *figures)).rstrip()


def _both(figures: Likeness) -> str:
    return f"{figures.colour:.2f} / {figures.structure:.3f}"
