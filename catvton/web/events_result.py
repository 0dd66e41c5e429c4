"""What came of it: shown in one way or another, downloaded, chosen again from the row, its settings used again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.result import SHOWS
from catvton.web import fragments, fragments_result
from catvton.web.api import shown
from catvton.web.events_choosing import engine_outputs, of_engine, of_part_chosen, part_outputs
from catvton.web.visits import LIGHT, Updates, Visit, visit

if TYPE_CHECKING:
    from catvton.web.studio import Studio
    from catvton.web.widgets import Widgets

CLICK_DOWNLOAD = "() => document.querySelector('#download-file')?.click()"


def connect(studio: Studio, widgets: Widgets) -> None:
    result, language = widgets.result, widgets.language
    shown_now = [result.current, result.show, language]
    result.show.select(_on_show(studio, widgets), shown_now, result_outputs(widgets), **LIGHT)
    result.gallery.select(_on_pick(studio, widgets), [result.show, language], result_outputs(widgets), **LIGHT)
    for button, comparison in ((result.download, False), (result.download_comparison, True)):
        fresh = button.click(_on_download(studio, comparison=comparison), shown_now, result.download_file, **LIGHT)
        fresh.success(None, None, None, js=CLICK_DOWNLOAD, **LIGHT)
    result.again.click(_on_again(studio, widgets), [result.current, language], again_outputs(widgets), **LIGHT)


def result_outputs(widgets: Widgets) -> list[Any]:
    """What `of_made` changes."""
    result = widgets.result
    return [result.current, result.view, result.tools, result.facts, result.gallery]


def of_made(here: Visit, widgets: Widgets, number: int, *, show: str, news: bool = True) -> Updates:
    """The page with a try-on shown; `news`: it has just been made, and that is read out."""
    result, view = widgets.result, here.studio.view(here.session, number, show=show)
    say = here.texts["run.ready"] if news else ""
    return {
        result.current: number,
        result.view: fragments_result.shown(here.texts, view),
        result.tools: gr.update(visible=True),
        result.facts: fragments.facts(here.texts, view.made.look.info, say=say),
        result.gallery: fragments_result.gallery(here.texts, here.studio.looks(here.session), current=number),
    }


def _on_show(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_show(current: int, show: str, language: str, request: gr.Request) -> Updates:
        return _again(visit(studio, request, language), widgets, current, show=show)

    return on_show


def _on_pick(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_pick(show: str, language: str, event: gr.EventData, request: gr.Request) -> Updates:
        return _again(visit(studio, request, language), widgets, event.number, show=show)

    return on_pick


def _again(here: Visit, widgets: Widgets, number: int, *, show: str) -> Updates:
    try:
        return of_made(here, widgets, number, show=show, news=False)
    except Exception as error:
        return {widgets.result.facts: here.alert(error)}


def _on_download(studio: Studio, *, comparison: bool) -> Callable[..., str]:
    """The comparison is the one that is shown; where none is, photo, garment and result."""

    def on_download(current: int, show: str, language: str, request: gr.Request) -> str:
        here = visit(studio, request, language)
        wanted = SHOWS[0] if not comparison else show if show != SHOWS[0] else SHOWS[1]
        try:
            return str(studio.download(here.session, current, show=wanted))
        except Exception as error:
            raise shown(studio, error) from error

    return on_download


def again_outputs(widgets: Widgets) -> list[Any]:
    options = widgets.options
    outputs = [options.seed, options.variations, options.engine, widgets.running.status, *engine_outputs(widgets),
               *part_outputs(widgets)]
    return list(dict.fromkeys(outputs))


def _on_again(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_again(current: int, language: str, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        try:
            look = studio.look(here.session, current)
        except Exception as error:
            return {widgets.running.status: here.alert(error)}
        said = fragments.notice(here.texts("result.reused", number=current))
        return _of_settings(here, widgets, look.info, part=look.part) | {widgets.running.status: said}

    return on_again


def _of_settings(here: Visit, widgets: Widgets, info: Any, *, part: str) -> Updates:
    """The controls as they were; an engine that is no longer on offer stays as it is now."""
    options, cards = widgets.options, here.studio.tryon.cards
    engine = info["engine"].partition("@")[0]
    updates = of_part_chosen(here, widgets, part) | {options.seed: info["seed"], options.variations: 1}
    if engine in cards:
        ranges = of_engine(here, widgets, engine)
        choices = ranges.pop(widgets.choosing.part)
        updates |= ranges | {options.engine: engine, widgets.choosing.part: choices | {"value": part}}
    return updates | {
        options.steps: updates.get(options.steps, gr.update()) | {"value": info["steps"]},
        options.guidance: updates.get(options.guidance, gr.update()) | {"value": info["guidance"]},
    }
