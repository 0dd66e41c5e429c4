"""The example pictures that ship with the app."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from catvton.cards import RESOURCE
from catvton.web.thumbnails import small_picture

EXAMPLES = RESOURCE / "examples"


@dataclass(frozen=True, kw_only=True)
class Example:
    """One picture: its file, a name for people, for a garment the part it replaces, and a small JPEG of it."""

    path: Path
    title: str
    part: str | None = None
    thumbnail: bytes = field(default=b"", repr=False)


NO_EXAMPLES: dict[str, tuple[Example, ...]] = {"person": (), "garment": ()}


def read_examples(folder: Path = EXAMPLES) -> dict[str, tuple[Example, ...]]:
    """{"person": ..., "garment": ...} from `folder/examples.json`; both empty where there is no such file."""
    index = folder / "examples.json"
    if not index.is_file():
        return NO_EXAMPLES
    entries = json.loads(index.read_text(encoding="utf-8"))
    return {kind: tuple(_example(folder, entry) for entry in entries if entry["kind"] == kind) for kind in NO_EXAMPLES}


def _example(folder: Path, entry: dict[str, str]) -> Example:
    path = folder / entry["file"]
    return Example(path=path, title=entry["title"], part=entry.get("part"), thumbnail=small_picture(path.read_bytes()))
