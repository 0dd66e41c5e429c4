"""The page's language: the browser's at first, another one when it is chosen; nothing else on the page changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.web import fragments
from catvton.web.events_choosing import garment_heading, of_rail, part_choices
from catvton.web.events_painting import of_part
from catvton.web.events_result import of_made, result_outputs
from catvton.web.texts import LANGUAGES, WEB, Texts
from catvton.web.visits import LIGHT, Updates, Visit, visit

if TYPE_CHECKING:
    from catvton.web.studio import Studio
    from catvton.web.widgets import Widgets

SPOKEN = "() => window.studio.spoken()"


def connect(blocks: gr.Blocks, studio: Studio, widgets: Widgets) -> None:
    now = [widgets.choosing.part, widgets.options.engine, widgets.result.current, widgets.result.show,
           widgets.language]
    outputs = list(dict.fromkeys([widgets.language, *widgets.wording.parts, *_dynamic(widgets)]))
    found = blocks.load(None, None, widgets.language, js=_script(studio), **LIGHT)
    turned = found.then(_on_language(studio, widgets, at_start=True), now, outputs, **LIGHT)
    turned.then(None, None, None, js=SPOKEN, **LIGHT)
    widgets.language.select(_on_language(studio, widgets), now, outputs, **LIGHT)


def _on_language(studio: Studio, widgets: Widgets, *, at_start: bool = False) -> Callable[..., Updates]:
    def on_language(part: str, engine: str, current: int, show: str, language: str, request: gr.Request) -> Updates:
        if at_start and language == studio.texts.language:  # what the page was built in
            return {widgets.language: gr.skip()}
        here = visit(studio, request, language)
        studio.turn_to(here.session, here.texts.language)
        choosing, card = widgets.choosing, studio.tryon.cards[engine]
        words = widgets.wording.updates(here.texts)
        words[choosing.part] = words[choosing.part] | {"choices": part_choices(here.texts, card)}
        return words | of_part(here, widgets, part) | of_rail(here, widgets) | {
            choosing.garment.heading: garment_heading(here.texts, part),
            widgets.result.licence: fragments.licence(here.texts, card),
        } | _of_result(here, widgets, current, show=show)

    return on_language


def _dynamic(widgets: Widgets) -> list[Any]:
    """What has words in it that depend on more than the language."""
    return [widgets.painting.tools, widgets.choosing.rail, widgets.result.licence, *result_outputs(widgets)]


def _of_result(here: Visit, widgets: Widgets, current: int, *, show: str) -> Updates:
    if current not in here.studio.looks(here.session):
        return {}
    return of_made(here, widgets, current, show=show, news=False)


def _script(studio: Studio) -> str:
    """resource/web/page.js with the words it needs; it answers with the browser's language."""
    data = {
        "languages": list(LANGUAGES),
        "words": {language: _labels(texts, studio) for language, texts in studio.languages.items()},
    }
    source = (WEB / "page.js").read_text(encoding="utf-8")
    head = f"const DATA = {json.dumps(data, ensure_ascii=False)};"
    return f"() => {{\n{head}\n{source}\nreturn window.studio.language();\n}}"


def _labels(texts: Texts, studio: Studio) -> dict[str, str]:
    """{what a label says that is not written anew: in any of our languages, and in this one}."""
    names = [*(name for name in texts if name.startswith("gradio.")), "paint.canvas"]
    return {other[name]: texts[name] for other in studio.languages.values() for name in names}
