"""The button: from the press to the last picture, or to the sentence that says why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.web import fragments, fragments_result
from catvton.web.desk import Trouble
from catvton.web.events_result import of_made, result_outputs
from catvton.web.pace import Pace
from catvton.web.previews import Moment
from catvton.web.studio import Choices, Made, Studio
from catvton.web.visits import LIGHT, PRIVATE, Updates, Visit, visit
from catvton.web.wishes import Skipped

if TYPE_CHECKING:
    from catvton.web.widgets import Widgets

# On a phone the button is in reach from everywhere, and what it leads to is not.
SHOW_STATUS = "() => window.studio.reveal('#status')"
SHOW_TROUBLE = "() => window.studio.reveal('.studio-alert')"
WITH_STROKES = "(part, painted, ...others) => [part, window.studio.painted(), ...others]"


def connect(studio: Studio, widgets: Widgets) -> None:
    running, options, language = widgets.running, widgets.options, widgets.language
    controls = [widgets.choosing.part, widgets.painting.painted, options.steps, options.guidance, options.seed,
                options.engine, options.variations, widgets.result.show, language]
    outputs = [*_messages(widgets), running.go, running.stop, running.stopped, *result_outputs(widgets)]
    waiting = running.go.click(_on_press(studio, widgets), language, outputs, **LIGHT)
    waiting.then(None, None, None, js=SHOW_STATUS, **LIGHT)
    # "multiple", because the picture arrives, and the button is back, a moment before gradio counts the run as over:
    # with the default a press in that moment is dropped, and the page would wait for a run that never began.
    # Without a limit, because who is whose turn is decided for all doors together: see catvton.service.gate.
    work = waiting.then(_on_go(studio, widgets), controls, outputs, concurrency_limit=None, trigger_mode="multiple",
                        js=WITH_STROKES, **PRIVATE)
    work.failure(_on_failure(studio, widgets), [running.stopped, language], outputs, **LIGHT)
    work.then(None, None, None, js=SHOW_TROUBLE, **LIGHT)
    running.stop.click(_on_stop(studio, widgets), [widgets.result.current, widgets.result.show, language], outputs,
                       cancels=[work], **LIGHT)


def _messages(widgets: Widgets) -> list[Any]:
    choosing = widgets.choosing
    return [choosing.person.message, choosing.garment.message, choosing.below.message, widgets.painting.message,
            widgets.running.status]


def _on_press(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_press(language: str, request: gr.Request) -> Updates:
        texts = visit(studio, request, language).texts
        return dict.fromkeys(_messages(widgets), "") | {
            widgets.running.status: fragments.working(texts, None),
            widgets.running.go: gr.update(interactive=False),
            widgets.running.stop: gr.update(interactive=True),
            widgets.running.stopped: False,
        }

    return on_press


def _on_go(studio: Studio, widgets: Widgets) -> Callable[..., Iterator[Updates]]:
    def on_go(part: str, painted: str, steps: float, guidance: float, seed: float, engine: str, variations: float,
              show: str, language: str, request: gr.Request) -> Iterator[Updates]:
        here = visit(studio, request, language)
        choices = Choices(part=part, painted=painted, steps=steps, guidance=guidance, seed=seed, engine=engine,
                          variations=variations)
        try:
            studio.admit(request, "tryon", studio.wished(here.session, choices))
            yield from _work(here, widgets, choices, show=show)
        except Exception as error:
            yield _ended(widgets, here.trouble(error)) | _as_before(here, widgets, show=show)

    return on_go


def _work(here: Visit, widgets: Widgets, choices: Choices, *, show: str) -> Iterator[Updates]:
    pace, sketch, skipped = Pace(), None, []
    with closing(here.studio.dress(here.session, choices)) as items:
        for item in items:
            here = here.now()
            if isinstance(item, Made):
                yield of_made(here, widgets, item.number, show=show)
            elif isinstance(item, Skipped):
                skipped.append(_skipped(here, item))
            else:
                yield _at_work(here, widgets, item, left=pace.left(item), news=item.picture is not sketch)
                sketch = item.picture
    yield _idle(widgets) | {widgets.running.status: "".join(skipped)}


def _at_work(here: Visit, widgets: Widgets, moment: Moment, *, left: float | None, news: bool) -> Updates:
    updates: Updates = {widgets.running.status: fragments.working(here.texts, moment, left=left)}
    if news and moment.picture is not None:
        updates[widgets.result.view] = fragments_result.preview(here.texts, moment.picture)
    return updates


def _skipped(here: Visit, skipped: Skipped) -> str:
    sentence = here.trouble(skipped.error).sentence
    return fragments.alert(here.texts("run.skipped", run=skipped.run, sentence=sentence))


def _on_stop(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    def on_stop(current: int, show: str, language: str, request: gr.Request) -> Updates:
        here = visit(studio, request, language)
        stopped = Trouble(sentence=here.texts["run.stopped"], stopped=True)
        return _ended(widgets, stopped) | _as_before(here, widgets, show=show) | {widgets.running.stopped: True}

    return on_stop


def _on_failure(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    """The handler turns its own errors into words, so what failed is the queue, by being full; or it was stopped."""

    def on_failure(stopped: bool, language: str, request: gr.Request) -> Updates:
        if stopped:
            return _idle(widgets)
        return _ended(widgets, Trouble(sentence=visit(studio, request, language).texts["run.busy"]))

    return on_failure


def _ended(widgets: Widgets, trouble: Trouble) -> Updates:
    """The run ended without a picture: say why, at the place it is about."""
    choosing = widgets.choosing
    places = {"person": choosing.person.message, "garment": choosing.garment.message, "below": choosing.below.message,
              "mask": widgets.painting.message, "run": widgets.running.status}
    said = fragments.notice(trouble.sentence) if trouble.stopped else fragments.alert(trouble.sentence)
    return _idle(widgets) | {widgets.running.status: ""} | {places[trouble.place]: said}


def _as_before(here: Visit, widgets: Widgets, *, show: str) -> Updates:
    """Instead of the half-made picture the last whole one, or the three steps."""
    looks = here.studio.looks(here.session)
    if not looks:
        return {widgets.result.view: fragments.empty_result(here.texts)}
    return of_made(here, widgets, max(looks), show=show, news=False)


def _idle(widgets: Widgets) -> Updates:
    return {widgets.running.go: gr.update(interactive=True), widgets.running.stop: gr.update(interactive=False)}
