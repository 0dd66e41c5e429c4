"""The page: what lies where. What happens when something is touched is `catvton.web.events`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from catvton.web import fragments
from catvton.web.api import add_endpoints
from catvton.web.components import StudioBlocks
from catvton.web.events import connect
from catvton.web.examples import Example
from catvton.web.page_choosing import choosing, options, painting
from catvton.web.page_result import result, running
from catvton.web.texts import LANGUAGES
from catvton.web.widgets import Widgets
from catvton.web.wording import Wording

if TYPE_CHECKING:
    from catvton.web.studio import Studio


def build(studio: Studio, examples: Mapping[str, Sequence[Example]]) -> gr.Blocks:
    """The page and the API around one studio. `examples`: {"person": ..., "garment": ...}."""
    texts = studio.texts
    with StudioBlocks(folder=studio.folder, texts=texts, title=texts["page.title"], analytics_enabled=False) as blocks:
        connect(blocks, studio, _page(studio, examples), examples)
        add_endpoints(studio)
    return blocks


def _page(studio: Studio, examples: Mapping[str, Sequence[Example]]) -> Widgets:
    wording = Wording(studio.texts)
    with gr.Row(elem_classes="studio-top"):
        wording.html(fragments.header, elem_classes="studio-grow")
        language = wording.add(
            gr.Radio, lambda texts: {"label": texts["page.language"]}, value=studio.texts.language,
            choices=[(name, code) for code, name in LANGUAGES.items()], elem_id="language", scale=0, min_width=260,
        )  # fmt: skip
    with gr.Row(elem_classes="studio-columns"):
        with gr.Column(scale=6, min_width=320, elem_classes="studio-left"):
            left = {"choosing": choosing(wording, studio, examples), "painting": painting(wording),
                    "options": options(wording, studio)}
        with gr.Column(scale=5, min_width=320, elem_classes="studio-right"), \
                gr.Column(elem_classes="studio-card studio-sticky"):
            right = {"running": running(wording), "result": result(wording, studio)}
    wording.html(lambda texts: fragments.photos(texts, studio.promises), elem_classes="studio-foot")
    return Widgets(language=language, wording=wording, **left, **right)
