"""The page's words, kept as data in resource/web/."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catvton.cards import RESOURCE

WEB = RESOURCE / "web"


class Texts:
    """Sentences by dotted name: `texts["run.stopped"]`, or `texts("run.failed", number=1)` to fill in its blanks.

    Raises:
        KeyError: there is no such sentence, or a blank was left empty.
    """

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self._sentences = dict(sentences)

    @classmethod
    def read(cls, path: Path = WEB / "texts.en.toml") -> Texts:
        return cls(_flat(tomllib.loads(path.read_text(encoding="utf-8"))))

    def __getitem__(self, name: str) -> str:
        return self._sentences[name]

    def __call__(self, name: str, **blanks: object) -> str:
        return self._sentences[name].format(**blanks)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
