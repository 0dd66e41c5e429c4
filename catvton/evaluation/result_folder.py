"""A folder of results: the pictures, how they were made (`protocol.json`) and what they score (`scores.json`).

Every file in it is written whole or not at all, so a run may be killed at any moment and taken up again.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from catvton.errors import InputError

if TYPE_CHECKING:
    from catvton.datasets import Case
    from catvton.evaluation.scores import Scores

PROTOCOL, SCORES = "protocol.json", "scores.json"
# As CatVTON's inference script saves: Pillow's defaults for the ending of the data set's own file.
FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
JPEG_QUALITY = 75
# What may differ between two runs whose pictures belong together: where the set lies, what the run was made on, how
# many pictures went through the network at once, and what the pictures are scored by afterwards.
FREE = frozenset({"root", "machine", "batch", "networks"})


@dataclass(frozen=True)
class ResultFolder:
    """Results at `path`: `path / f"{case.name}{case.suffix}"`, also in folders below."""

    path: Path

    def file(self, case: Case) -> Path:
        """Where the case's result is, or would be."""
        return self.path / f"{case.name}{case.suffix}"

    def write(self, case: Case, picture: Image.Image) -> None:
        """Save a result (RGB) in the format of its file's ending. Raises InputError "output.write"."""
        file, kind = io.BytesIO(), FORMATS[case.suffix.lower()]
        picture.save(file, kind, **({"quality": JPEG_QUALITY} if kind == "jpeg" else {}))
        write_whole(self.file(case), file.getvalue())

    def protocol(self) -> dict[str, Any] | None:
        """How the results were made; None where the folder does not say. Raises InputError "results.damaged"."""
        return _read(self.path / PROTOCOL)

    def write_protocol(self, protocol: Mapping[str, Any]) -> None:
        """Say how the results are made. Raises InputError "output.write"."""
        write_whole(self.path / PROTOCOL, _json(protocol))

    def scores(self) -> dict[str, Any] | None:
        """The fields of `Scores`, KID times 1000; None before the results were scored. Errors as for `protocol`."""
        return _read(self.path / SCORES)

    def write_scores(self, scores: Scores) -> None:
        """Keep what the results score. Raises InputError "output.write"."""
        write_whole(self.path / SCORES, _json(asdict(scores)))


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """A phrase for everything two protocols do not share, e.g. "steps (50 there, 30 now)"; empty if runs may be joined.

    What JSON cannot tell apart, as tuples and lists, is equal.
    """
    there, asked = (_facts({key: said for key, said in table.items() if key not in FREE}) for table in (there, asked))
    keys = [key for key in {**asked, **there} if there.get(key) != asked.get(key)]
    return [f"{key} ({there.get(key, 'not stated')} there, {asked.get(key, 'not stated')} now)" for key in keys]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all, and its folder. Raises InputError "output.write"."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"Cannot write {path}: {error.strerror or error}.", code="output.write") from error


def _facts(table: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """{fact: its value as JSON}; a fact of a table in the table is called "table: fact"."""
    facts: dict[str, str] = {}
    for key, said in table.items():
        nested = isinstance(said, Mapping)
        facts |= _facts(said, f"{within}{key}: ") if nested else {f"{within}{key}": json.dumps(said)}
    return facts


def _json(table: Mapping[str, Any]) -> bytes:
    return (json.dumps(table, indent=1) + "\n").encode()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).", code="results.damaged") from error
