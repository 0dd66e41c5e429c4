"""Who touched the page, and in which language: what every handler of an event begins with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.web import fragments

if TYPE_CHECKING:
    from catvton.web.desk import Trouble
    from catvton.web.studio import Studio
    from catvton.web.texts import Texts

Updates = dict[Any, Any]  # {component: what to change}

# Every event is private: other programs use the endpoints of `catvton.web.api`.
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
LIGHT: dict[str, Any] = {"queue": False, **PRIVATE}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One call from an open page. `session` names the page: what it chose and made is on the shelf under it."""

    studio: Studio
    session: str
    texts: Texts

    def now(self) -> Visit:
        """The same, should the page's language have been changed since."""
        return replace(self, texts=self.studio.speak(self.studio.language(self.session) or self.texts.language))

    def trouble(self, error: Exception) -> Trouble:
        return self.studio.trouble(error, self.texts)

    def alert(self, error: Exception) -> str:
        """An error as the page shows it."""
        return fragments.alert(self.trouble(error).sentence)


def visit(studio: Studio, request: gr.Request, language: str) -> Visit:
    """A call from no page gets a name of its own, so that it shares nothing."""
    return Visit(studio=studio, session=request.session_hash or secrets.token_hex(), texts=studio.speak(language))
