"""What happens on the page: each touch turned into a call of the studio, each answer or error put where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from catvton.web import events_choosing, events_language, events_painting, events_result, events_run
from catvton.web.visits import visit

if TYPE_CHECKING:
    from catvton.web.examples import Example
    from catvton.web.studio import Studio
    from catvton.web.widgets import Widgets


def connect(
    blocks: gr.Blocks, studio: Studio, widgets: Widgets, examples: Mapping[str, Sequence[Example]]
) -> None:
    """Connect the page's widgets; call it while `blocks` is being built."""
    events_choosing.connect(studio, widgets, examples)
    events_painting.connect(studio, widgets)
    events_run.connect(studio, widgets)
    events_result.connect(studio, widgets)
    events_language.connect(blocks, studio, widgets)
    blocks.unload(_on_leave(studio))


def _on_leave(studio: Studio) -> Callable[..., None]:
    def on_leave(request: gr.Request) -> None:
        studio.leave(visit(studio, request, "").session)

    return on_leave
