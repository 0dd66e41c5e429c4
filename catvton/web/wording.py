"""Parts of the page whose words can be changed to another language while the page is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from catvton.web.texts import Texts

Words = Callable[[Texts], dict[str, Any]]  # a language's words of a part, as its constructor's arguments


class Wording:
    """Makes the page's parts in one language, and knows what changes about them in another.

    Args:
        texts: the language the page is built in.
    """

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self._words: dict[Any, Words] = {}

    def add(self, make: Callable[..., Any], words: Words, **options: Any) -> Any:
        """A part: `make(**words(texts), **options)`."""
        part = make(**words(self.texts), **options)
        self._words[part] = words
        return part

    def html(self, fragment: Callable[[Texts], str], **options: Any) -> gr.HTML:
        """A piece of HTML that depends on the language alone."""
        return self.add(gr.HTML, lambda texts: {"value": fragment(texts)}, **options)

    @property
    def parts(self) -> list[Any]:
        return list(self._words)

    def updates(self, texts: Texts) -> dict[Any, Any]:
        """{part: what changes about it in a language}."""
        return {part: gr.update(**words(texts)) for part, words in self._words.items()}
