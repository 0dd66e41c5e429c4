"""Choosing pictures, what is to be replaced, and the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.web import fragments
from catvton.web.events_painting import no_painting, of_part, painting_outputs
from catvton.web.page_choosing import part_choices
from catvton.web.studio import SLOTS
from catvton.web.visits import LIGHT, PRIVATE, Updates, Visit, visit
from catvton.web.wishes import OUTFIT

if TYPE_CHECKING:
    from catvton.web.examples import Example
    from catvton.web.studio import Studio
    from catvton.web.texts import Texts
    from catvton.web.widgets import Widgets


def connect(studio: Studio, widgets: Widgets, examples: Mapping[str, Sequence[Example]]) -> None:
    for slot in SLOTS:
        _connect_slot(studio, widgets, slot, examples.get(slot, ()))
    choosing, language = widgets.choosing, widgets.language
    rail = [choosing.rail, choosing.garment.message]
    # Queued, as an upload of several phone photos takes its time, but in a queue of its own: nobody waits behind runs.
    choosing.more.upload(_on_more(studio, widgets), [choosing.more, language], rail, concurrency_limit=None, **PRIVATE)
    choosing.rail.select(_on_remove(studio, widgets), language, rail, **LIGHT)
    choosing.part.select(_on_part(studio, widgets), [choosing.part, language], part_outputs(widgets), **LIGHT)
    # Not `change` or `input`: gradio reports those when the list is merely shown or tabbed past, and the steps a
    # visitor has just chosen would go back to the default.
    widgets.options.engine.select(_on_engine(studio, widgets), [widgets.options.engine, choosing.part, language],
                                  [*engine_outputs(widgets), *part_outputs(widgets)], **LIGHT)


def _connect_slot(studio: Studio, widgets: Widgets, slot: str, examples: Sequence[Example]) -> None:
    chooser, language = widgets.choosing.chooser(slot), widgets.language
    outputs = [chooser.upload, chooser.message, *(painting_outputs(widgets) if slot == "person" else ())]
    chooser.upload.upload(_on_upload(studio, widgets, slot), [chooser.upload, language], outputs, **LIGHT)
    chooser.upload.clear(_on_clear(studio, widgets, slot), language, outputs, **LIGHT)
    if chooser.examples is not None:
        below = widgets.choosing.below
        outputs = [*outputs, below.upload, below.message, *part_outputs(widgets)]
        chooser.examples.select(_on_example(studio, widgets, slot, examples), [widgets.choosing.part, language],
                                list(dict.fromkeys(outputs)), **LIGHT)


def _on_upload(studio: Studio, widgets: Widgets, slot: str) -> Callable[..., Updates]:
    def on_upload(path: str | None, language: str, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        return _choose(here, widgets, slot, lambda: studio.choose(here.session, slot, path or ""))

    return on_upload


def _on_example(studio: Studio, widgets: Widgets, slot: str, examples: Sequence[Example]) -> Callable[..., Updates]:
    """Of an outfit, an example of trousers goes to the bottom."""

    def on_example(part: str, language: str, event: gr.EventData, request: gr.Request) -> Updates:
        here, example = visit(studio, request, language), examples[event.number]
        outfit = part == OUTFIT and example.part in ("upper", "lower")
        goal = "below" if outfit and example.part == "lower" else slot
        chosen = _choose(here, widgets, goal, lambda: studio.choose_example(here.session, goal, example.path))
        return chosen | ({} if outfit or not example.part else of_part_chosen(here, widgets, example.part))

    return on_example


def _on_clear(studio: Studio, widgets: Widgets, slot: str) -> Callable[..., Updates]:
    def on_clear(language: str, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        studio.shelf.drop(here.session, slot)
        voided = no_painting(widgets, here.texts) if slot == "person" else {}
        return {widgets.choosing.chooser(slot).message: ""} | voided

    return on_clear


def _choose(here: Visit, widgets: Widgets, slot: str, choose: Callable[[], Any]) -> Updates:
    chooser = widgets.choosing.chooser(slot)
    try:
        copy, message = str(choose()), ""
    except Exception as error:
        copy, message = None, here.alert(error)
    updates = {chooser.upload: gr.update(value=copy), chooser.message: message}
    return updates | (no_painting(widgets, here.texts) if slot == "person" else {})


def _on_more(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_more(paths: list[str], language: str, request: gr.Request) -> Updates:
        here, message = visit(studio, request, language), ""
        try:
            studio.add_garments(here.session, paths)
        except Exception as error:
            message = here.alert(error)
        return {widgets.choosing.garment.message: message} | of_rail(here, widgets)

    return on_more


def _on_remove(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_remove(language: str, event: gr.EventData, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        studio.remove_garment(here.session, event.number)
        return {widgets.choosing.garment.message: ""} | of_rail(here, widgets)

    return on_remove


def of_rail(here: Visit, widgets: Widgets) -> Updates:
    """The further garments as they are now."""
    return {widgets.choosing.rail: fragments.rail(here.texts, here.studio.more_garments(here.session))}


def _on_part(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_part(part: str, language: str, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        return {component: update for component, update in of_part_chosen(here, widgets, part).items()
                if component is not widgets.choosing.part}

    return on_part


def part_outputs(widgets: Widgets) -> list[Any]:
    """What `of_part_chosen` may change."""
    choosing = widgets.choosing
    return [choosing.part, choosing.garment.heading, choosing.below_box, choosing.more_box, widgets.painting.tools,
            widgets.painting.hint]


def of_part_chosen(here: Visit, widgets: Widgets, part: str) -> Updates:
    """The page with a part chosen: an outfit has a second garment, no further ones, and nothing to paint."""
    choosing, outfit = widgets.choosing, part == OUTFIT
    return {
        choosing.part: part,
        choosing.garment.heading: garment_heading(here.texts, part),
        choosing.below_box: gr.update(visible=outfit),
        choosing.more_box: gr.update(visible=not outfit),
    } | of_part(here, widgets, part)


def garment_heading(texts: Texts, part: str) -> str:
    return fragments.slot_heading(texts, "top" if part == OUTFIT else "garment")


def _on_engine(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_engine(engine: str, part: str, language: str, request: gr.Request) -> Updates:
        here, card = visit(studio, request, language), studio.tryon.cards[engine]
        ranges = of_engine(here, widgets, engine)
        if part in (*card.parts, OUTFIT):
            return ranges
        return of_part_chosen(here, widgets, card.parts[0]) | ranges | {
            widgets.choosing.part: gr.update(value=card.parts[0], choices=part_choices(here.texts, card)),
        }

    return on_engine


def engine_outputs(widgets: Widgets) -> list[Any]:
    """What `of_engine` changes."""
    return [widgets.options.steps, widgets.options.guidance, widgets.result.licence, widgets.choosing.part]


def of_engine(here: Visit, widgets: Widgets, engine: str) -> Updates:
    """The sliders' ranges and defaults for an engine, what it can replace, and its licence."""
    card = here.studio.tryon.cards[engine]
    ranges = {
        slider: gr.update(minimum=allowed.minimum, maximum=allowed.maximum, value=allowed.default)
        for slider, allowed in ((widgets.options.steps, card.steps), (widgets.options.guidance, card.guidance))
    }
    return ranges | {
        widgets.result.licence: fragments.licence(here.texts, card),
        widgets.choosing.part: gr.update(choices=part_choices(here.texts, card)),
    }
