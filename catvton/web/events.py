"""What happens on the page: each touch turned into a call of the studio, each answer or error put where it belongs.

Every event is private: other programs use the endpoints of `catvton.web.api`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from catvton.errors import InputError
from catvton.web import fragments
from catvton.web.api import GENERATION, shown
from catvton.web.painting import Painted
from catvton.web.studio import Choices, Done, Studio, Trouble

if TYPE_CHECKING:
    from catvton.engines import StepReport
    from catvton.web.examples import Example
    from catvton.web.page import Chooser, Widgets

Updates = dict[Any, Any]  # {component: what to change}

LIGHT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# gradio's example pictures are buttons without a name, for a screen reader and for a pointer alike.
NAME_EXAMPLES = """() => {
  for (const [strip, names] of Object.entries(%s))
    document.querySelectorAll(strip + " button.gallery-item").forEach((button, index) => {
      button.title = names[index];
      button.setAttribute("aria-label", names[index]);
    });
}"""
CLICK_DOWNLOAD = "() => document.querySelector('#download-file')?.click()"


def connect(
    blocks: gr.Blocks, studio: Studio, widgets: Widgets, examples: Mapping[str, Sequence[Example]]
) -> None:
    """Connect the page's widgets; call it while `blocks` is being built."""
    _connect_choosers(studio, widgets, examples)
    _connect_run(studio, widgets)
    names = {f"#{slot}-examples": [example.title for example in group] for slot, group in examples.items()}
    blocks.load(None, None, None, js=NAME_EXAMPLES % json.dumps(names), **LIGHT)
    widgets.painting.expand(_on_painting(studio, widgets), None, [widgets.painter, widgets.painter_hint], **LIGHT)
    # Not `change` or `input`: gradio reports those when the list is merely shown or tabbed past, and the steps a
    # visitor has just chosen would go back to the default.
    widgets.engine.select(lambda name: _of_engine(studio, name), widgets.engine,
                          [widgets.steps, widgets.guidance, widgets.licence], **LIGHT)
    blocks.unload(_on_leave(studio))


def _connect_choosers(studio: Studio, widgets: Widgets, examples: Mapping[str, Sequence[Example]]) -> None:
    for slot in ("person", "garment"):
        chooser: Chooser = getattr(widgets, slot)
        outputs = [chooser.upload, chooser.message, widgets.painting, widgets.painter, widgets.painter_hint,
                   widgets.mask_message, widgets.part]
        chooser.upload.upload(_on_upload(studio, widgets, slot), chooser.upload, outputs, **LIGHT)
        chooser.upload.clear(_on_clear(studio, widgets, slot), None, outputs, **LIGHT)
        if chooser.examples is not None:
            on_example = _on_example(studio, widgets, slot, examples[slot])
            chooser.examples.click(on_example, chooser.examples, outputs, **LIGHT)


def _on_upload(studio: Studio, widgets: Widgets, slot: str) -> Callable[..., Updates]:
    def on_upload(path: str | None, request: gr.Request) -> Updates:
        return _choose(studio, widgets, slot, lambda: studio.choose(_session(request), slot, path or ""))

    return on_upload


def _on_example(studio: Studio, widgets: Widgets, slot: str, examples: Sequence[Example]) -> Callable[..., Updates]:
    def on_example(index: int, request: gr.Request) -> Updates:
        example = examples[index]
        updates = _choose(studio, widgets, slot,
                          lambda: studio.choose_example(_session(request), slot, example.path))
        return updates | ({widgets.part: example.part} if example.part else {})

    return on_example


def _on_clear(studio: Studio, widgets: Widgets, slot: str) -> Callable[..., Updates]:
    def on_clear(request: gr.Request) -> Updates:
        studio.shelf.drop(_session(request), slot)
        return {getattr(widgets, slot).message: ""} | (_no_painting(studio, widgets) if slot == "person" else {})

    return on_clear


def _choose(studio: Studio, widgets: Widgets, slot: str, choose: Callable[[], Any]) -> Updates:
    chooser: Chooser = getattr(widgets, slot)
    try:
        copy, message = str(choose()), ""
    except Exception as error:
        copy, message = None, fragments.alert(studio.trouble(error).sentence)
    updates = {chooser.upload: gr.update(value=copy), chooser.message: message}
    return updates | (_no_painting(studio, widgets) if slot == "person" else {})


def _no_painting(studio: Studio, widgets: Widgets) -> Updates:
    """Another person: what was painted over the one before is void."""
    return {
        widgets.painting: gr.update(open=False),
        widgets.painter: gr.update(value=None, visible=False),
        widgets.painter_hint: fragments.paragraph(studio.texts["mask.empty"]),
        widgets.mask_message: "",
    }


def _on_painting(studio: Studio, widgets: Widgets) -> Callable[..., Updates]:
    """The painter gets its photo when it is first opened: gradio's editor cannot set itself up while it is hidden."""

    def on_painting(request: gr.Request) -> Updates:
        try:
            copy = studio.paint_on(_session(request))
        except InputError as error:
            return {widgets.painter_hint: fragments.paragraph(str(error))}
        if copy is None:
            return {widgets.painter: gr.skip()}
        return {
            widgets.painter: gr.update(value=str(copy), visible=True),
            widgets.painter_hint: fragments.paragraph(studio.texts["mask.hint"]),
        }

    return on_painting


def _connect_run(studio: Studio, widgets: Widgets) -> None:
    controls = [widgets.part, widgets.painter, widgets.steps, widgets.guidance, widgets.seed, widgets.show,
                widgets.engine]
    messages = [widgets.person.message, widgets.garment.message, widgets.mask_message, widgets.status]
    outputs = [*messages, widgets.go, widgets.stop, widgets.empty, widgets.result, widgets.download, widgets.stopped]
    waiting = widgets.go.click(lambda: _started(studio, widgets), None, outputs, **LIGHT)
    # "multiple", because the picture arrives, and the button is back, a moment before gradio counts the run as over:
    # with the default a press in that moment is dropped, and the page would wait for a run that never began.
    running = waiting.then(_on_go(studio, widgets), controls, outputs, concurrency_id=GENERATION, concurrency_limit=1,
                           trigger_mode="multiple", show_progress="hidden", api_visibility="private")
    running.failure(lambda stopped: _failed(studio, widgets, stopped), widgets.stopped, outputs, **LIGHT)
    stopped = Trouble(sentence=studio.texts["run.stopped"], stopped=True)
    widgets.stop.click(lambda: _ended(widgets, stopped) | {widgets.stopped: True}, None, outputs, cancels=[running],
                       **LIGHT)
    fresh = widgets.download.click(_on_download(studio), None, widgets.download_file, **LIGHT)
    fresh.success(None, None, None, js=CLICK_DOWNLOAD, **LIGHT)


def _on_go(studio: Studio, widgets: Widgets) -> Callable[..., Iterator[Updates]]:
    def on_go(part: str, painted: Painted, steps: float, guidance: float, seed: float, show: str, engine: str,
              request: gr.Request) -> Iterator[Updates]:
        choices = Choices(part=part, painted=painted, steps=steps, guidance=guidance, seed=seed, show=show,
                          engine=engine)
        try:
            for item in studio.dress(_session(request), choices):
                yield _finished(studio, widgets, item) if isinstance(item, Done) else _at_work(studio, widgets, item)
        except Exception as error:
            yield _ended(widgets, studio.trouble(error))

    return on_go


def _started(studio: Studio, widgets: Widgets) -> Updates:
    return {
        widgets.person.message: "",
        widgets.garment.message: "",
        widgets.mask_message: "",
        widgets.status: fragments.working(studio.texts, None),
        widgets.go: gr.update(interactive=False),
        widgets.stop: gr.update(interactive=True),
        widgets.stopped: False,
    }


def _at_work(studio: Studio, widgets: Widgets, report: StepReport) -> Updates:
    return {widgets.status: fragments.working(studio.texts, report)}


def _finished(studio: Studio, widgets: Widgets, done: Done) -> Updates:
    return _idle(widgets) | {
        widgets.status: fragments.summary(studio.texts, done.info),
        widgets.empty: gr.update(visible=False),
        widgets.result: gr.update(value=str(done.path), visible=True),
        widgets.download: gr.update(visible=True),
    }


def _ended(widgets: Widgets, trouble: Trouble) -> Updates:
    """The run ended without a picture: say why, at the place it is about. An earlier picture stays."""
    places = {"person": widgets.person.message, "garment": widgets.garment.message, "mask": widgets.mask_message,
              "run": widgets.status}
    said = fragments.notice(trouble.sentence) if trouble.stopped else fragments.alert(trouble.sentence)
    return _idle(widgets) | {widgets.status: ""} | {places[trouble.place]: said}


def _failed(studio: Studio, widgets: Widgets, stopped: bool) -> Updates:
    """The handler turns its own errors into words, so what failed is the queue, by being full; or it was stopped."""
    if stopped:
        return _idle(widgets)
    return _ended(widgets, Trouble(sentence=studio.texts["run.busy"]))


def _idle(widgets: Widgets) -> Updates:
    return {widgets.go: gr.update(interactive=True), widgets.stop: gr.update(interactive=False)}


def _on_download(studio: Studio) -> Callable[..., str]:
    def on_download(request: gr.Request) -> str:
        try:
            return str(studio.download(_session(request)))
        except Exception as error:
            raise shown(studio, error) from error

    return on_download


def _on_leave(studio: Studio) -> Callable[..., None]:
    def on_leave(request: gr.Request) -> None:
        studio.leave(_session(request))

    return on_leave


def _session(request: gr.Request) -> str:
    """The open page a call comes from; a call from none gets a name of its own, so that it shares nothing."""
    return request.session_hash or secrets.token_hex()


def _of_engine(studio: Studio, engine: str) -> list[Any]:
    """The sliders' ranges and defaults for an engine, and its licence."""
    card = studio.tryon.cards[engine]
    ranges = [gr.update(minimum=allowed.minimum, maximum=allowed.maximum, value=allowed.default)
              for allowed in (card.steps, card.guidance)]
    return [*ranges, fragments.licence(studio.texts, card)]
