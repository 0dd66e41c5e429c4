"""The area that changes: shown, painted, and void when its photo goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.errors import InputError
from catvton.web import fragments, fragments_painting
from catvton.web.visits import LIGHT, PRIVATE, Updates, Visit, visit
from catvton.web.wishes import OUTFIT

if TYPE_CHECKING:
    from catvton.web.studio import Canvas, Studio
    from catvton.web.texts import Texts
    from catvton.web.widgets import Widgets


def connect(studio: Studio, widgets: Widgets) -> None:
    painting, part, engine = widgets.painting, widgets.choosing.part, widgets.options.engine
    painting.accordion.expand(_on_open(studio, widgets), [part, widgets.language],
                              [painting.painter, painting.brushes, painting.hint], **LIGHT)
    outputs = [painting.painter, painting.brushes, painting.hint, painting.show, painting.message,
               widgets.choosing.person.message]
    looking = painting.show.click(_on_show(studio, widgets), widgets.language, outputs, **LIGHT)
    looking.then(_on_look(studio, widgets), [part, engine, widgets.language], outputs, concurrency_limit=None,
                 trigger_mode="multiple", **PRIVATE)


def _on_open(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    """The painter gets its photo when it is first opened, unless it has it already."""

    def on_open(part: str, language: str, request: gr.Request) -> Updates:
        here, painting = visit(studio, request, language), widgets.painting
        if part == OUTFIT:
            return {painting.painter: gr.skip()}
        try:
            canvas = studio.paint_on(here.session)
        except InputError:
            return {painting.hint: fragments.paragraph(here.texts["mask.empty"])}
        laid = {painting.painter: gr.skip()} if canvas is None else _laid_out(here, widgets, canvas)
        return laid | {painting.hint: _hint(here, part)}

    return on_open


def _laid_out(here: Visit, widgets: Widgets, canvas: Canvas) -> Updates:
    painting = widgets.painting
    return {painting.painter: fragments_painting.canvas(here.texts, canvas), painting.brushes: gr.update(visible=True)}


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
            canvas = studio.show_area(here.session, part=part, engine=engine)
        except Exception as error:
            return done | {painting.message: here.alert(error), painting.hint: _hint(here, part)}
        return done | _laid_out(here, widgets, canvas) | {painting.hint: _hint(here, part)}

    return on_look


def painting_outputs(widgets: Widgets) -> list[Any]:
    """What `no_painting` changes."""
    painting = widgets.painting
    return [painting.accordion, painting.painter, painting.brushes, painting.hint, painting.message]


def no_painting(widgets: Widgets, texts: Texts) -> Updates:
    """Another person: what was painted over the one before is void."""
    painting = widgets.painting
    return {
        painting.accordion: gr.update(open=False),
        painting.painter: "",
        painting.brushes: gr.update(visible=False),
        painting.hint: fragments.paragraph(texts["mask.empty"]),
        painting.message: "",
    }


def of_part(here: Visit, widgets: Widgets, part: str) -> Updates:
    """The area's tools and hint for a part."""
    return {widgets.painting.tools: gr.update(visible=part != OUTFIT), widgets.painting.hint: _hint(here, part)}


def _hint(here: Visit, part: str) -> str:
    """What can be done here just now."""
    texts, sheet = here.texts, here.studio.sheet(here.session)
    if part == OUTFIT:
        return fragments.paragraph(texts["mask.outfit"])
    if sheet is None:
        return fragments.paragraph(texts["mask.empty"])
    if sheet.part is None:
        return fragments.paragraph(texts["mask.hint"])
    if sheet.part != part:
        return fragments.paragraph(texts["mask.stale"])
    return fragments.paragraph(texts("mask.found", part=texts[f"part.{part}"]))
