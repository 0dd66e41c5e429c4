"""The left side of the page: the pictures, what is to change, and the options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from catvton.options import MAX_VARIATIONS
from catvton.result import MAX_SEED, TryOnRequest
from catvton.web import fragments, fragments_painting
from catvton.web.components import GarmentUploads, OpenSlider, PictureUpload
from catvton.web.examples import Example
from catvton.web.widgets import Chooser, Choosing, Options, Painting
from catvton.web.wishes import OUTFIT
from catvton.web.wording import Wording

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.web.studio import Studio
    from catvton.web.texts import Texts

# What is pressed in a piece of our HTML is reported by the number in its attribute.
PRESSED = """element.addEventListener('click', event => {
  const pressed = event.target.closest('[data-number]');
  if (pressed) trigger('select', {number: Number(pressed.dataset.number)});
});"""


def choosing(wording: Wording, studio: Studio, examples: Mapping[str, Sequence[Example]]) -> Choosing:
    with gr.Row(elem_classes="studio-pair"):
        with gr.Column(min_width=240, elem_classes="studio-card"):
            person = _chooser(wording, "person", examples["person"])
            wording.html(lambda texts: fragments.paragraph(texts["page.consent"], kind="consent"))
        with gr.Column(min_width=240, elem_classes="studio-card"):
            garment = _chooser(wording, "garment", examples["garment"])
            more_box, more, rail = _more(wording)
            with gr.Column(visible=False, elem_classes="studio-below") as below_box:
                below = _chooser(wording, "below", ())
    first = next(iter(studio.tryon.cards.values()))
    part = wording.add(gr.Radio, lambda texts: {"label": texts["part.title"], "choices": part_choices(texts, first)},
                       value=first.parts[0], elem_id="part")
    return Choosing(person=person, garment=garment, below=below, below_box=below_box, more_box=more_box, more=more,
                    rail=rail, part=part)


def part_choices(texts: Texts, card: ModelCard) -> list[tuple[str, str]]:
    """What an engine can replace, and the outfit."""
    return [(texts[f"part.{part}"], part) for part in (*card.parts, OUTFIT)]


def _chooser(wording: Wording, slot: str, examples: Sequence[Example]) -> Chooser:
    heading = wording.html(lambda texts: fragments.slot_heading(texts, slot))
    upload = wording.add(
        PictureUpload,
        lambda texts: {"placeholder": texts[f"{slot}.drop"], "alt_text": texts[f"{slot}.alt"],
                       "label": texts[f"{slot}.title"]},
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        show_label=False,
        buttons=[],
        elem_id=slot,
        elem_classes="studio-upload",
    )  # fmt: skip
    # A phone's own camera, by way of the file chooser: a browser's camera part would need https and a permission.
    wording.html(lambda texts: fragments.camera(texts, slot), elem_classes="studio-camera-box")
    message = gr.HTML(elem_id=f"{slot}-message", elem_classes="studio-message")
    return Chooser(heading=heading, upload=upload, examples=_strip(wording, slot, examples), message=message)


def _strip(wording: Wording, slot: str, examples: Sequence[Example]) -> gr.HTML | None:
    if not examples:
        return None
    return wording.html(lambda texts: fragments.strip(texts, slot, examples), elem_id=f"{slot}-examples",
                        js_on_load=PRESSED)


def _more(wording: Wording) -> tuple[gr.Column, gr.UploadButton, gr.HTML]:
    with gr.Column(elem_classes="studio-more") as box:
        rail = gr.HTML(elem_id="rail", elem_classes="studio-message", js_on_load=PRESSED)
        more = wording.add(GarmentUploads, lambda texts: {"label": texts["garment.more"]}, file_count="multiple",
                           file_types=["image"], variant="secondary", size="sm", elem_id="more-garments")
    return box, more, rail


def painting(wording: Wording) -> Painting:
    with wording.add(gr.Accordion, lambda texts: {"label": texts["mask.title"]}, open=False,
                     elem_id="painting") as accordion:
        hint = wording.html(lambda texts: fragments.paragraph(texts["mask.empty"]), elem_id="painting-hint")
        with gr.Column() as tools:
            show = wording.add(gr.Button, lambda texts: {"value": texts["mask.show"]}, variant="secondary", size="md",
                               elem_id="show-area")
            brushes = wording.html(fragments_painting.brushes, visible=False, elem_id="brushes")
            painter = gr.HTML(elem_id="painter", elem_classes="studio-message")
            painted = gr.Textbox(visible=False)
        message = gr.HTML(elem_id="mask-message", elem_classes="studio-message")
    return Painting(accordion=accordion, tools=tools, show=show, brushes=brushes, painter=painter, painted=painted,
                    hint=hint, message=message)


def options(wording: Wording, studio: Studio) -> Options:
    cards = studio.tryon.cards
    card = next(iter(cards.values()))
    with wording.add(gr.Accordion, lambda texts: {"label": texts["advanced.title"]}, open=False, elem_id="advanced"):
        with gr.Row():
            steps = _slider(wording, "steps", card.steps.minimum, card.steps.maximum, value=card.steps.default, step=1,
                            precision=0)
            guidance = _slider(wording, "guidance", card.guidance.minimum, card.guidance.maximum,
                               value=card.guidance.default, step=0.1)
        with gr.Row():
            seed = wording.add(gr.Number, _seed_words, value=TryOnRequest.seed, step=1, elem_id="seed")
            variations = _slider(wording, "variations", 1, MAX_VARIATIONS, value=1, step=1, precision=0)
        engine = wording.add(gr.Dropdown, lambda texts: _words(texts, "engine"), value=card.name, filterable=False,
                             choices=[(other.title, name) for name, other in cards.items()], elem_id="engine")
    return Options(steps=steps, guidance=guidance, seed=seed, variations=variations, engine=engine)


def _slider(wording: Wording, name: str, minimum: float, maximum: float, **options: object) -> OpenSlider:
    return wording.add(OpenSlider, lambda texts: _words(texts, name), minimum=minimum, maximum=maximum, elem_id=name,
                       **options)


def _words(texts: Texts, name: str) -> dict[str, str]:
    return {"label": texts[f"advanced.{name}"], "info": texts[f"advanced.{name}_info"]}


def _seed_words(texts: Texts) -> dict[str, str]:
    words = _words(texts, "seed")
    return words | {"info": f"{words['info']} (-1 … {MAX_SEED})"}
