"""The page's words in each language, kept as data in resource/web/."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from catvton.cards import RESOURCE
from catvton.errors import InputError

WEB = RESOURCE / "web"
LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}  # the first is the API's, and where nobody says anything else
WHATS = {"person": "person photo", "garment": "garment photo", "mask": "mask"}  # as the library's sentences call them

_OURS = {f"{slot}.missing": f"missing.{slot}" for slot in ("person", "garment", "below", "result")} | {
    "garment.full": "garment.more_full",
}  # the page's own errors


class Texts:
    """Sentences by dotted name: `texts["run.stopped"]`, or `texts("run.failed", number=1)` to fill in its blanks.

    Args:
        sentences: {name: sentence}.
        errors: {code: sentence} of `InputError`s; one that is not among them is told as it is.
        notes: {what a result's note says in English, with {blanks}: the same in this language}.
        language: one of `LANGUAGES`.

    Raises:
        KeyError: there is no such sentence, or a blank was left empty.
    """

    def __init__(
        self,
        sentences: Mapping[str, str],
        *,
        errors: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
        language: str = "en",
    ) -> None:
        self._sentences, self._errors = dict(sentences), dict(errors or {})
        self._notes = {_pattern(said): here for said, here in (notes or {}).items()}
        self.language = language

    @classmethod
    def read(cls, language: str = "en") -> Texts:
        sentences = _read(f"texts.{language}.toml")
        if language == next(iter(LANGUAGES)):  # the library's own
            return cls(sentences, language=language)
        notes = {note["said"]: note["here"] for note in _table(f"notes.{language}.toml")["notes"]}
        return cls(sentences, errors=_read(f"errors.{language}.toml"), notes=notes, language=language)

    def __getitem__(self, name: str) -> str:
        return self._sentences[name]

    def __call__(self, name: str, **blanks: object) -> str:
        return self._sentences[name].format(**blanks)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)

    def get(self, name: str, default: str) -> str:
        return self._sentences.get(name, default)

    def of_error(self, error: InputError) -> str:
        """What is wrong, in this language where its code is known there; of a picture, which one."""
        sentence = self._errors.get(error.code)
        if sentence is None:
            return self._sentences.get(_OURS.get(error.code, ""), str(error))
        slot = next((slot for slot, what in WHATS.items() if what in str(error)), "picture")
        return sentence.format(what=self._errors[f"what.{slot}"])

    def of_note(self, note: str) -> str:
        """A sentence that came with a result, in this language where it is known there."""
        for pattern, here in self._notes.items():
            if found := pattern.fullmatch(note):
                return here.format(**found.groupdict())
        return note


@cache
def every_language() -> Mapping[str, Texts]:
    """{language: its texts}, all of `LANGUAGES`."""
    return {language: Texts.read(language) for language in LANGUAGES}


def preferred(wanted: Iterable[str]) -> str:
    """The first of some language tags ("id-ID", "en") that is spoken here; English when none is."""
    spoken = (tag.strip().lower().partition("-")[0] for tag in wanted)
    return next((language for language in spoken if language in LANGUAGES), next(iter(LANGUAGES)))


def _pattern(said: str) -> re.Pattern[str]:
    """What a sentence with {blanks} matches, whatever stands in them."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(said)))


def _read(name: str) -> dict[str, str]:
    return _flat(_table(name))


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((WEB / name).read_text(encoding="utf-8"))


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
