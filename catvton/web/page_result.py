"""The right side of the page: the button, what the run says, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from catvton.result import SHOWS
from catvton.web import fragments
from catvton.web.page_choosing import PRESSED
from catvton.web.widgets import Result, Running
from catvton.web.wording import Wording

if TYPE_CHECKING:
    from catvton.web.studio import Studio
    from catvton.web.texts import Texts


def running(wording: Wording) -> Running:
    with gr.Row(elem_classes="studio-actions studio-bottom"):
        go = wording.add(gr.Button, lambda texts: {"value": texts["run.go"]}, variant="primary", size="lg",
                         elem_id="go", scale=3, min_width=120)
        stop = wording.add(gr.Button, lambda texts: {"value": texts["run.stop"]}, variant="secondary", size="lg",
                           elem_id="stop", scale=1, min_width=80, interactive=False)
    status = gr.HTML(elem_id="status", elem_classes="studio-message")
    return Running(go=go, stop=stop, stopped=gr.State(False), status=status)


def result(wording: Wording, studio: Studio) -> Result:
    view = wording.html(fragments.empty_result, elem_id="result")
    with gr.Column(visible=False, elem_classes="studio-tools") as tools:
        show = wording.add(gr.Radio, lambda texts: {"label": texts["show.title"], "choices": show_choices(texts)},
                           value=SHOWS[0], show_label=False, container=False, elem_id="show")
        with gr.Row(elem_classes="studio-actions"):
            download = _button(wording, "download")
            comparison = _button(wording, "download_comparison")
        facts = gr.HTML(elem_id="facts", elem_classes="studio-message")
        gallery = gr.HTML(elem_id="gallery", elem_classes="studio-message", js_on_load=PRESSED)
        again = _button(wording, "again")
    file = gr.DownloadButton(visible="hidden", elem_id="download-file")
    card = next(iter(studio.tryon.cards.values()))
    licence = gr.HTML(fragments.licence(wording.texts, card), elem_id="licence")
    return Result(current=gr.State(0), view=view, tools=tools, show=show, download=download,
                  download_comparison=comparison, download_file=file, facts=facts, again=again, gallery=gallery,
                  licence=licence)


def show_choices(texts: Texts) -> list[tuple[str, str]]:
    return [(texts[f"show.{show}"], show) for show in SHOWS]


def _button(wording: Wording, name: str) -> gr.Button:
    return wording.add(gr.Button, lambda texts: {"value": texts[f"result.{name}"]}, variant="secondary", size="md",
                       elem_id=name.replace("_", "-"), min_width=120)
