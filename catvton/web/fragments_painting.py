"""Pieces of HTML to paint with; resource/web/page.js gives them their meaning."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from catvton.web.thumbnails import data_link

if TYPE_CHECKING:
    from catvton.web.studio import Canvas
    from catvton.web.texts import Texts

TOOLS = {"brush": True, "eraser": False}  # what the pointer does, and which of it at first
DEEDS = ("undo", "clear")
WIDTHS = (2, 16, 6)  # per cent of the photo's longer side: the narrowest brush, the widest, the one at first


def brushes(texts: Texts) -> str:
    """What to paint with: brush or eraser, how wide, and ways back."""
    tools = "".join(f'<button type="button" class="studio-button" data-paint="{name}" '
                    f'aria-pressed="{str(chosen).lower()}">{escape(texts[f"paint.{name}"])}</button>'
                    for name, chosen in TOOLS.items())
    deeds = "".join(f'<button type="button" class="studio-button" data-paint="{name}">'
                    f"{escape(texts[f'paint.{name}'])}</button>" for name in DEEDS)
    narrow, wide, first = WIDTHS
    width = (f'<label class="studio-width"><span>{escape(texts["paint.width"])}</span>'
             f'<input type="range" min="{narrow}" max="{wide}" value="{first}" data-paint="width"></label>')
    title = escape(texts["mask.title"])
    return f'<div class="studio-brushes" role="group" aria-label="{title}">{tools}{deeds}{width}</div>'


def canvas(texts: Texts, canvas: Canvas) -> str:
    """The photo with a transparent sheet over it; what was found on it is drawn onto the sheet."""
    width, height = canvas.size
    found = "" if canvas.layer is None else (
        f' data-found="data:image/png;base64,{base64.b64encode(canvas.layer).decode()}"')
    label = escape(texts["paint.canvas"])
    return (
        f'<div class="studio-canvas" data-sheet="{canvas.number}" style="--ratio:{width / height:.4f}">'
        f'<img src="{data_link(canvas.photo)}" alt="">'
        f'<canvas width="{width}" height="{height}" tabindex="0" role="application" aria-label="{label}"{found}>'
        f'</canvas>'
        f'<i class="studio-spot" aria-hidden="true"></i></div>'
    )
