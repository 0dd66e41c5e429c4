"""The page: what lies where. What happens when something is touched is `catvton.web.events`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from catvton.result import MAX_SEED, PARTS, SHOWS, TryOnRequest
from catvton.web import fragments
from catvton.web.api import add_endpoints
from catvton.web.components import MaskPainter, OpenSlider, PictureUpload, StudioBlocks
from catvton.web.events import connect
from catvton.web.examples import Example

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.web.studio import Studio
    from catvton.web.texts import Texts

BRUSH = ("#e2466f", 0.6)  # strokes let the photo show through; only where they are matters


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """A place to put a picture: the upload, the examples under it (None without any), and where its errors appear."""

    upload: gr.Image
    examples: gr.Dataset | None
    message: gr.HTML


@dataclass(frozen=True, kw_only=True)
class Widgets:
    """Everything on the page that can change or be touched."""

    person: Chooser
    garment: Chooser
    part: gr.Radio
    painting: gr.Accordion
    painter: gr.ImageEditor
    painter_hint: gr.HTML
    mask_message: gr.HTML
    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Number
    show: gr.Radio
    engine: gr.Dropdown
    go: gr.Button
    stop: gr.Button
    stopped: gr.State  # whether the last run was
    status: gr.HTML
    empty: gr.HTML
    result: gr.Image
    download: gr.Button
    download_file: gr.DownloadButton
    licence: gr.HTML  # of the engine chosen


def build(studio: Studio, examples: Mapping[str, Sequence[Example]]) -> gr.Blocks:
    """The page and the API around one studio. `examples`: {"person": ..., "garment": ...}."""
    texts = studio.texts
    with StudioBlocks(folder=studio.folder, texts=texts, title=texts["page.title"], analytics_enabled=False) as blocks:
        gr.HTML(fragments.header(texts))
        with gr.Row(elem_classes="studio-columns"):
            with gr.Column(scale=6, min_width=320, elem_classes="studio-left"):
                left = _left(studio, examples)
            with gr.Column(scale=5, min_width=320, elem_classes="studio-right"):
                right = _right(texts, next(iter(studio.tryon.cards.values())))
        gr.HTML(fragments.paragraph(texts["page.privacy"], kind="privacy"))
        connect(blocks, studio, Widgets(**left, **right), examples)
        add_endpoints(studio)
    return blocks


def _left(studio: Studio, examples: Mapping[str, Sequence[Example]]) -> dict[str, object]:
    texts = studio.texts
    with gr.Row(elem_classes="studio-pair"):
        choosers = {slot: _chooser(texts, slot, examples[slot]) for slot in ("person", "garment")}
    part = gr.Radio([(texts[f"part.{part}"], part) for part in PARTS], value=PARTS[0], label=texts["part.title"],
                    elem_id="part")
    return choosers | {"part": part} | _painting(texts) | _advanced(studio)


def _chooser(texts: Texts, slot: str, examples: Sequence[Example]) -> Chooser:
    with gr.Column(min_width=240, elem_classes="studio-card"):
        gr.HTML(fragments.heading(texts[f"{slot}.title"], texts[f"{slot}.hint"]))
        upload = PictureUpload(
            type="filepath",
            image_mode=None,
            sources=["upload", "clipboard"],
            placeholder=texts[f"{slot}.drop"],
            alt_text=texts[f"{slot}.alt"],
            label=texts[f"{slot}.title"],
            show_label=False,
            buttons=[],
            elem_id=slot,
            elem_classes="studio-upload",
        )
        message = gr.HTML(elem_id=f"{slot}-message", elem_classes="studio-message")
        strip = None
        if examples:
            strip = gr.Dataset(
                components=[gr.Image(render=False, show_label=False)],
                samples=[[str(example.path)] for example in examples],
                label=texts[f"{slot}.examples"],
                type="index",
                layout="gallery",
                samples_per_page=len(examples),
                elem_id=f"{slot}-examples",
                elem_classes="studio-examples",
            )
    return Chooser(upload=upload, examples=strip, message=message)


def _painting(texts: Texts) -> dict[str, object]:
    with gr.Accordion(texts["mask.title"], open=False, elem_id="painting") as painting:
        hint = gr.HTML(fragments.paragraph(texts["mask.empty"]))
        painter = MaskPainter(
            sources=[],
            transforms=(),
            layers=gr.LayerOptions(disabled=True),
            brush=gr.Brush(colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
            show_label=False,
            label=texts["mask.title"],
            buttons=[],
            height=520,
            visible=False,
            elem_id="painter",
        )
        message = gr.HTML(elem_id="mask-message", elem_classes="studio-message")
    return {"painting": painting, "painter": painter, "painter_hint": hint, "mask_message": message}


def _advanced(studio: Studio) -> dict[str, object]:
    texts, cards = studio.texts, studio.tryon.cards
    card = next(iter(cards.values()))
    with gr.Accordion(texts["advanced.title"], open=False, elem_id="advanced"):
        with gr.Row():
            steps = OpenSlider(card.steps.minimum, card.steps.maximum, value=card.steps.default, step=1, precision=0,
                               label=texts["advanced.steps"], info=texts["advanced.steps_info"], elem_id="steps")
            guidance = OpenSlider(card.guidance.minimum, card.guidance.maximum, value=card.guidance.default, step=0.1,
                                  label=texts["advanced.guidance"], info=texts["advanced.guidance_info"],
                                  elem_id="guidance")
        with gr.Row():
            seed = gr.Number(TryOnRequest.seed, label=texts["advanced.seed"], step=1, elem_id="seed",
                             info=f"{texts['advanced.seed_info']} (-1 … {MAX_SEED})")
            engine = gr.Dropdown([(other.title, name) for name, other in cards.items()], value=card.name,
                                 label=texts["advanced.engine"], info=texts["advanced.engine_info"], filterable=False,
                                 elem_id="engine")
        show = gr.Radio([(texts[f"show.{show}"], show) for show in SHOWS], value=SHOWS[0],
                        label=texts["advanced.show"], elem_id="show")
    return {"steps": steps, "guidance": guidance, "seed": seed, "show": show, "engine": engine}


def _right(texts: Texts, card: ModelCard) -> dict[str, object]:
    with gr.Column(elem_classes="studio-card studio-sticky"):
        with gr.Row(elem_classes="studio-actions"):
            go = gr.Button(texts["run.go"], variant="primary", size="lg", elem_id="go", scale=3, min_width=120)
            stop = gr.Button(texts["run.stop"], variant="secondary", size="lg", elem_id="stop", scale=1, min_width=80,
                             interactive=False)
        status = gr.HTML(elem_id="status", elem_classes="studio-message")
        empty = gr.HTML(fragments.empty_result(texts), elem_id="empty")
        result = gr.Image(type="filepath", format="png", interactive=False, visible=False, show_label=False,
                          label=texts["run.title"], alt_text=texts["run.alt"], buttons=["fullscreen"], elem_id="result")
        download = gr.Button(texts["run.download"], visible=False, elem_id="download")
        download_file = gr.DownloadButton(visible="hidden", elem_id="download-file")
        licence = gr.HTML(fragments.licence(texts, card), elem_id="licence")
    return {"go": go, "stop": stop, "stopped": gr.State(False), "status": status, "empty": empty, "result": result,
            "download": download, "download_file": download_file, "licence": licence}
