"""What the long checks measure: written as each ends, to where PROOF_FIGURES says (`make proof` does)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catvton.bench import machine, machine_lines

Figures = dict[str, dict[str, Any]]


@pytest.fixture
def figures() -> Iterator[Figures]:
    """{check: {what was measured: value}} of one test, to be filled."""
    found: Figures = {}
    yield found
    folder = os.environ.get("PROOF_FIGURES")
    if folder and found:
        write(found, Path(folder))


def write(found: Figures, folder: Path) -> None:
    """proof.json for programs and proof.md for readers. What only other checks measured, on this machine, stays."""
    folder.mkdir(parents=True, exist_ok=True)
    here = machine()
    record = {"machine": here, "figures": earlier(folder / "proof.json", here) | found}
    (folder / "proof.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "proof.md").write_text(as_markdown(record), encoding="utf-8")


def earlier(path: Path, here: dict[str, Any]) -> Figures:
    """The figures that stand in the file, if they were measured on this machine."""
    if not path.is_file():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["figures"] if machine_lines(record["machine"]) == machine_lines(here) else {}


def as_markdown(record: dict[str, Any]) -> str:
    lines = ["# Figures of the long checks", "", *(f"- {line}" for line in machine_lines(record["machine"]))]
    for check, values in record["figures"].items():
        rows = [f"| {name} | {value:,} |" if isinstance(value, (int, float)) else f"| {name} | {value} |"
                for name, value in values.items()]  # fmt: skip
        lines += ["", f"## {check}", "", "| figure | value |", "| --- | ---: |", *rows]
    return "\n".join(lines) + "\n"
