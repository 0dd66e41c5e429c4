"""Pieces of HTML that show pictures: the slider between before and after, the row of try-ons, the half-made picture."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from catvton.web.thumbnails import data_link

if TYPE_CHECKING:
    from catvton.web.looks import Look
    from catvton.web.studio import View
    from catvton.web.texts import Texts

START = 25  # per cent of the photo before that show at first: what there is to draw, beside what was made


def shown(texts: Texts, view: View) -> str:
    """A try-on to look at: the slider, or the comparison."""
    return _picture(texts, view) if view.before is None else _slider(texts, view)


def preview(texts: Texts, jpeg: bytes) -> str:
    return f'<figure class="studio-picture"><img src="{data_link(jpeg)}" alt="{escape(texts["run.preview"])}"></figure>'


def gallery(texts: Texts, looks: Mapping[int, Look], *, current: int) -> str:
    """The session's try-ons, the newest first, each a button; nothing while there is only one."""
    if len(looks) < 2:
        return ""
    items = "".join(_thumbnail(texts, number, looks[number], current=current) for number in reversed(looks))
    title = escape(texts["result.gallery"])
    return f'<h2 class="studio-title">{title}</h2><ul class="studio-row">{items}</ul>'


def _slider(texts: Texts, view: View) -> str:
    """A range over two pictures; resource/web/page.js moves the edge between them with it."""
    return (
        f'<figure class="studio-picture studio-compare" style="{_ratio(view)}">'
        f'{_image(view.after, texts["result.after_alt"])}'
        f'{_image(view.before, texts["result.before_alt"], kind="studio-before")}'
        f'<input type="range" min="0" max="100" value="{START}" aria-label="{escape(texts["result.compare"])}">'
        f'<span class="studio-edge" aria-hidden="true"></span>'
        f'<span class="studio-tag" aria-hidden="true">{escape(texts["result.before"])}</span>'
        f'<span class="studio-tag" aria-hidden="true">{escape(texts["result.after"])}</span>{_enlarge(texts)}</figure>'
    )


def _picture(texts: Texts, view: View) -> str:
    return (
        f'<figure class="studio-picture" style="{_ratio(view)}">'
        f'{_image(view.after, texts["result.picture_alt"])}{_enlarge(texts, whole=True)}</figure>'
    )


def _image(path: Path, alt: str, *, kind: str = "") -> str:
    return f'<img class="{kind}" src="{file_link(path)}" alt="{escape(alt)}">'


def file_link(path: Path) -> str:
    """Where gradio serves a file of ours, relative to the page."""
    return f"gradio_api/file={quote(path.as_posix())}"


def _ratio(view: View) -> str:
    width, height = view.size
    return f"--ratio:{width / height:.4f}"


def _enlarge(texts: Texts, *, whole: bool = False) -> str:
    """A button in the picture's corner, or all of it."""
    label, kind = escape(texts["result.enlarge"]), "studio-enlarge studio-whole" if whole else "studio-enlarge"
    sign = "" if whole else _CORNERS
    return f'<button type="button" class="{kind}" aria-label="{label}" title="{label}">{sign}</button>'


def _thumbnail(texts: Texts, number: int, look: Look, *, current: int) -> str:
    label = texts("result.look", number=number, part=texts[f"part.{look.part}"], seed=look.info["seed"])
    return (
        f'<li><button type="button" data-number="{number}" aria-pressed="{str(number == current).lower()}" '
        f'title="{escape(label)}"><img src="{data_link(look.thumbnail)}" alt="{escape(label)}"></button></li>'
    )


_CORNERS = (
    '<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="#fff" stroke-width="2.2" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5"/></svg>'
)
