"""What the long checks measure: collected while they run, written where PROOF_FIGURES says (`make proof` does)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catvton.bench import machine, machine_lines

Figures = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    """{check: {what was measured: value}}, in the order of the checks."""
    found: Figures = {}
    yield found
    folder = os.environ.get("PROOF_FIGURES")
    if folder and found:
        write(found, Path(folder))


def write(found: Figures, folder: Path) -> None:
    """proof.json for programs and proof.md for readers."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "figures": found}
    (folder / "proof.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "proof.md").write_text(as_markdown(record), encoding="utf-8")


def as_markdown(record: dict[str, Any]) -> str:
    lines = ["# Figures of the long checks", "", *(f"- {line}" for line in machine_lines(record["machine"]))]
    for check, values in record["figures"].items():
        rows = [f"| {name} | {value:,} |" if isinstance(value, (int, float)) else f"| {name} | {value} |"
                for name, value in values.items()]  # fmt: skip
        lines += ["", f"## {check}", "", "| figure | value |", "| --- | ---: |", *rows]
    return "\n".join(lines) + "\n"
