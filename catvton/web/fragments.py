"""The page's own pieces of HTML. Whatever comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.engines import StepReport
    from catvton.web.texts import Texts


def header(texts: Texts) -> str:
    steps = "".join(f"<li>{escape(texts[f'page.step{number}'])}</li>" for number in (1, 2, 3))
    return (
        f'<header class="studio-header"><div><h1>{escape(texts["page.title"])}</h1>'
        f'<p>{escape(texts["page.tagline"])}</p></div><ol class="studio-steps">{steps}</ol></header>'
    )


def heading(title: str, hint: str = "") -> str:
    below = f"<p>{escape(hint)}</p>" if hint else ""
    return f'<div class="studio-heading"><h2>{escape(title)}</h2>{below}</div>'


def paragraph(text: str, *, kind: str = "hint") -> str:
    return f'<p class="studio-{kind}">{escape(text)}</p>'


def empty_result(texts: Texts) -> str:
    return (
        f'<div class="studio-empty">{_HANGER}<strong>{escape(texts["run.empty_title"])}</strong>'
        f"<span>{escape(texts['run.empty'])}</span></div>"
    )


def licence(texts: Texts, card: ModelCard) -> str:
    """What the engine's licence allows to do with its pictures."""
    name = "run.licence_free" if card.commercial else "run.licence_private"
    return paragraph(texts(name, engine=card.title, licence=card.licence))


def alert(sentence: str) -> str:
    """An error, read out by screen readers as soon as it appears."""
    return f'<p class="studio-alert" role="alert">{escape(sentence)}</p>'


def notice(sentence: str) -> str:
    return f'<p class="studio-notice" role="status">{escape(sentence)}</p>'


def working(texts: Texts, report: StepReport | None) -> str:
    """A bar and a line saying where the run is; without a report it has not begun."""
    stage = "waiting" if report is None else report.stage
    step, steps = (0, 0) if report is None else (report.step, report.steps)
    if stage == "generate" and step < steps:
        line = texts("run.generate", step=step + 1, steps=steps)
    else:
        line = texts[f"run.{'paste' if stage == 'generate' else stage}"]
    share = round(100 * step / steps) if steps else 0
    return (
        f'<div class="studio-progress" role="status"><div class="studio-bar" role="progressbar" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share}" aria-label="{escape(line)}"><i style="width:{share}%"></i></div>'
        f"<span>{escape(line)}</span></div>"
    )


def summary(texts: Texts, info: Mapping[str, Any]) -> str:
    """What a finished run was: seed, time, engine, and what the app wants to tell about it."""
    seconds = f"{sum(info['seconds'].values()):.1f}"
    facts = (texts("run.seed", seed=info["seed"]), texts("run.done", seconds=seconds), info["engine"])
    line = "".join(f"<li>{escape(str(fact))}</li>" for fact in facts)
    notes = "".join(notice(note) for note in info["notes"])
    return f'<ul class="studio-facts" role="status">{line}</ul>{notes}'


_HANGER = (
    '<svg viewBox="0 0 64 48" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.5" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M27 11a5 5 0 1 1 7 4.6c-1.4.6-2 1.6-2 3V21"/>'
    '<path d="M32 21 58 37.5c2.6 1.7 1.4 5.5-1.7 5.5H7.7c-3.1 0-4.3-3.8-1.7-5.5L32 21Z"/></svg>'
)
