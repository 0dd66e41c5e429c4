"""The area that changes: shown, painted, and void when its photo goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.errors import InputError
from catvton.web import fragments
from catvton.web.visits import LIGHT, PRIVATE, Updates, Visit, visit
from catvton.web.wishes import OUTFIT

if TYPE_CHECKING:
    from catvton.web.studio import Studio
    from catvton.web.texts import Texts
    from catvton.web.widgets import Widgets


def connect(studio: Studio, widgets: Widgets) -> None:
    painting, part, engine = widgets.painting, widgets.choosing.part, widgets.options.engine
    painting.accordion.expand(_on_open(studio, widgets), [part, widgets.language], [painting.painter, painting.hint],
                              **LIGHT)
    painting.painter.clear(_on_clear(studio, widgets), [part, widgets.language], [painting.painter, painting.hint],
                           **LIGHT)
    outputs = [painting.painter, painting.hint, painting.show, painting.message, widgets.choosing.person.message]
    looking = painting.show.click(_on_show(studio, widgets), widgets.language, outputs, **LIGHT)
    looking.then(_on_look(studio, widgets), [part, engine, widgets.language], outputs, concurrency_limit=None,
                 trigger_mode="multiple", **PRIVATE)


def _on_open(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    """The painter gets its photo when it is first opened: gradio's editor cannot set itself up while it is hidden."""

    def on_open(part: str, language: str, request: gr.Request) -> Updates:
        here, painting = visit(studio, request, language), widgets.painting
        return {painting.painter: gr.skip()} if part == OUTFIT else _fresh(here, widgets, part)

    return on_open


def _on_clear(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    """Gradio's bin takes the photo away with the strokes: it is given back."""

    def on_clear(part: str, language: str, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        studio.paint_anew(here.session)
        return _fresh(here, widgets, part)

    return on_clear


def _fresh(here: Visit, widgets: Widgets, part: str) -> Updates:
    """The painter with its photo and nothing painted on it, unless it has it already."""
    painting = widgets.painting
    try:
        copy = here.studio.paint_on(here.session)
    except InputError:
        return {painting.hint: fragments.paragraph(here.texts["mask.empty"])}
    if copy is None:
        return {painting.painter: gr.skip()}
    return {painting.painter: gr.update(value=str(copy), visible=True), painting.hint: _hint(here, part)}


def _on_show(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_show(language: str, request: gr.Request) -> Updates:
        painting, texts = widgets.painting, visit(studio, request, language).texts
        return {
            painting.show: gr.update(interactive=False),
            painting.hint: fragments.paragraph(texts["mask.looking"]),
            painting.message: "",
            widgets.choosing.person.message: "",
        }

    return on_show


def _on_look(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_look(part: str, engine: str, language: str, request: gr.Request) -> Updates:
        here, painting = visit(studio, request, language), widgets.painting
        done = {painting.show: gr.update(interactive=True)}
        try:
            studio.admit(request, "mask")
            copy, layer = studio.show_area(here.session, part=part, engine=engine)
        except Exception as error:
            return done | {painting.message: here.alert(error), painting.hint: _hint(here, part)}
        shown = {"background": str(copy), "layers": [str(layer)], "composite": None}
        return done | {painting.painter: gr.update(value=shown, visible=True), painting.hint: _hint(here, part)}

    return on_look


def painting_outputs(widgets: Widgets) -> list[Any]:
    """What `no_painting` changes."""
    painting = widgets.painting
    return [painting.accordion, painting.painter, painting.hint, painting.message]


def no_painting(widgets: Widgets, texts: Texts) -> Updates:
    """Another person: what was painted over the one before is void."""
    painting = widgets.painting
    return {
        painting.accordion: gr.update(open=False),
        painting.painter: gr.update(value=None, visible=False),
        painting.hint: fragments.paragraph(texts["mask.empty"]),
        painting.message: "",
    }


def of_part(here: Visit, widgets: Widgets, part: str) -> Updates:
    """The area's tools and hint for a part."""
    return {widgets.painting.tools: gr.update(visible=part != OUTFIT), widgets.painting.hint: _hint(here, part)}


def _hint(here: Visit, part: str) -> str:
    """What can be done here just now."""
    texts, found_for = here.texts, here.studio.area_part(here.session)
    if part == OUTFIT:
        return fragments.paragraph(texts["mask.outfit"])
    if not here.studio.painting(here.session):
        return fragments.paragraph(texts["mask.empty"])
    if found_for is None:
        return fragments.paragraph(texts["mask.hint"])
    if found_for != part:
        return fragments.paragraph(texts["mask.stale"])
    return fragments.paragraph(texts("mask.found", part=texts[f"part.{part}"]))
