"""The parts of the page that can change or be touched, by name: what `page` makes and `events` connects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

    from catvton.web.wording import Wording


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """A place to put a picture: the upload, the examples under it (None without any), and where its errors appear."""

    heading: gr.HTML
    upload: gr.Image
    examples: gr.HTML | None
    message: gr.HTML


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """The left side, where pictures are chosen.

    Attributes:
        below_box: around the chooser of an outfit's bottom; more_box: around the further garments.
        rail: the further garments chosen.
    """

    person: Chooser
    garment: Chooser
    below: Chooser
    below_box: gr.Column
    more_box: gr.Column
    more: gr.UploadButton
    rail: gr.HTML
    part: gr.Radio

    def chooser(self, slot: str) -> Chooser:
        """By one of `studio.SLOTS`."""
        return {"person": self.person, "garment": self.garment, "below": self.below}[slot]


@dataclass(frozen=True, kw_only=True)
class Painting:
    """The area that changes. `tools` holds what an outfit has no use for.

    Attributes:
        painter: the photo to paint on; brushes: what to paint with, hidden while there is no photo.
        painted: never seen; resource/web/page.js fills in what was painted when the button is pressed.
    """

    accordion: gr.Accordion
    tools: gr.Column
    show: gr.Button
    brushes: gr.HTML
    painter: gr.HTML
    painted: gr.Textbox
    hint: gr.HTML
    message: gr.HTML


@dataclass(frozen=True, kw_only=True)
class Options:
    """The advanced options."""

    steps: gr.Slider
    guidance: gr.Slider
    seed: gr.Number
    variations: gr.Slider
    engine: gr.Dropdown


@dataclass(frozen=True, kw_only=True)
class Running:
    """The button, and what the run says. `stopped`: whether the last run was."""

    go: gr.Button
    stop: gr.Button
    stopped: gr.State
    status: gr.HTML


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it. `current` is the number of the try-on shown, 0 for none; `tools` appear with the first one.

    Attributes:
        licence: what the chosen engine's allows to do with it.
    """

    current: gr.State
    view: gr.HTML
    tools: gr.Column
    show: gr.Radio
    download: gr.Button
    download_comparison: gr.Button
    download_file: gr.DownloadButton
    facts: gr.HTML
    again: gr.Button
    gallery: gr.HTML
    licence: gr.HTML


@dataclass(frozen=True, kw_only=True)
class Widgets:
    """The whole page. `language` holds one of `texts.LANGUAGES`."""

    language: gr.Radio
    wording: Wording
    choosing: Choosing
    painting: Painting
    options: Options
    running: Running
    result: Result
