"""The page's own pieces of HTML. Whatever comes from outside is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from catvton.web.thumbnails import data_link, small_picture

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.web.examples import Example
    from catvton.web.previews import Moment
    from catvton.web.promises import Promises
    from catvton.web.shelf import Kept
    from catvton.web.texts import Texts

STEPS = (1, 2, 3)
NUMBERS = {"person": 1, "garment": 2, "top": 2}  # which step a picture belongs to


# ---- what stands still -----------------------------------------------------------------------------------------------


def header(texts: Texts) -> str:
    return (
        f'<header class="studio-header"><h1>{escape(texts["page.title"])}</h1>'
        f"<p>{escape(texts['page.tagline'])}</p>{_steps(texts, kind='studio-trail')}</header>"
    )


def slot_heading(texts: Texts, slot: str) -> str:
    """`slot`: where a picture is put, or "top" for the garment of an outfit."""
    number = f'<span class="studio-number" aria-hidden="true">{NUMBERS[slot]}</span>' if slot in NUMBERS else ""
    return (
        f'<div class="studio-heading"><h2>{number}{escape(texts[f"{slot}.title"])}</h2>'
        f"<p>{escape(texts[f'{slot}.hint'])}</p></div>"
    )


def paragraph(text: str, *, kind: str = "hint") -> str:
    return f'<p class="studio-{kind}">{escape(text)}</p>'


def camera(texts: Texts, slot: str) -> str:
    """A button that only touch screens show; resource/web/page.js gives it its meaning."""
    label = escape(texts[f"{slot}.camera"])
    return f'<button type="button" class="studio-button" data-camera="{slot}">{label}</button>'


def photos(texts: Texts, promises: Promises) -> str:
    """What happens with the photos."""
    facts = "".join(f"<li>{escape(sentence)}</li>" for sentence in promises.sentences(texts))
    return (
        f'<details class="studio-photos"><summary>{escape(texts["page.photos"])}</summary><ul>{facts}</ul></details>'
    )


def empty_result(texts: Texts) -> str:
    """What a first-timer does, in three steps."""
    return (
        f'<div class="studio-empty">{_HANGER}<strong>{escape(texts["run.empty_title"])}</strong>{_steps(texts)}</div>'
    )


def _steps(texts: Texts, *, kind: str = "") -> str:
    steps = "".join(f"<li>{escape(texts[f'page.step{number}'])}</li>" for number in STEPS)
    return f'<ol class="studio-steps {kind}" aria-label="{escape(texts["page.steps"])}">{steps}</ol>'


def licence(texts: Texts, card: ModelCard) -> str:
    """What the engine's licence allows to do with its pictures."""
    name = "run.licence_free" if card.commercial else "run.licence_private"
    return paragraph(texts(name, engine=card.title, licence=card.licence))


# ---- what is said ----------------------------------------------------------------------------------------------------


def alert(sentence: str) -> str:
    """An error, read out by screen readers as soon as it appears."""
    return f'<p class="studio-alert" role="alert">{escape(sentence)}</p>'


def notice(sentence: str) -> str:
    """A piece of news; page.js has it read out when it is not being read out already."""
    return f'<p class="studio-notice" data-say="{escape(sentence)}">{escape(sentence)}</p>'


def working(texts: Texts, moment: Moment | None, *, left: float | None = None) -> str:
    """A bar and a line saying where the run is; without a moment it has not begun. `left`: seconds to go."""
    line = " · ".join(_line(texts, moment, left))
    share = 0 if moment is None else _share(moment)
    say = f' data-say="{escape(line)}"' if moment is None or moment.stage == "waiting" else ""
    return (
        f'<div class="studio-progress"{say}><div class="studio-bar" role="progressbar" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share}" aria-label="{escape(line)}"><i style="width:{share}%"></i></div>'
        f"<span>{escape(line)}</span></div>"
    )


def _line(texts: Texts, moment: Moment | None, left: float | None) -> list[str]:
    if moment is None:
        return [texts["run.waiting"]]
    several = [texts("run.picture", run=moment.run, runs=moment.runs)] if moment.runs > 1 else []
    if moment.stage == "waiting":
        ahead = texts("run.ahead", count=moment.place) if moment.place > 1 else texts["run.next"]
        return [*several, texts["run.waiting"], ahead]
    if moment.stage == "generate" and moment.step < moment.steps:
        now = texts("run.generate", step=moment.step + 1, steps=moment.steps)
    else:
        stage = "paste" if moment.stage == "generate" else moment.stage
        now = texts[f"run.{stage}"]
    return [*several, now, *([] if left is None else [_left(texts, left)])]


def _left(texts: Texts, seconds: float) -> str:
    if seconds < 8:
        return texts["run.soon"]
    if seconds < 100:
        return texts("run.seconds_left", seconds=5 * round(seconds / 5))
    return texts("run.minutes_left", minutes=round(seconds / 60))


def _share(moment: Moment) -> int:
    """Per cent of all runs."""
    part = moment.step / moment.steps if moment.steps else 0.0
    return round(100 * (moment.run - 1 + part) / moment.runs)


def facts(texts: Texts, info: Mapping[str, Any], *, say: str = "") -> str:
    """What a finished run was: its settings, time and engine, and what the app wants to tell. `say` is read out."""
    seconds = f"{sum(info['seconds'].values()):.1f}"
    known = (texts("run.seed", seed=info["seed"]), texts("run.steps", steps=info["steps"]),
             texts("run.guidance", guidance=f"{info['guidance']:g}"), texts("run.done", seconds=seconds),
             info["engine"])
    line = "".join(f"<li>{escape(str(fact))}</li>" for fact in known)
    notes = "".join(f'<p class="studio-notice">{escape(texts.of_note(note))}</p>' for note in info["notes"])
    spoken = f' data-say="{escape(say)}"' if say else ""
    return f'<ul class="studio-facts"{spoken}>{line}</ul>{notes}'


# ---- rows of small pictures ------------------------------------------------------------------------------------------


def strip(texts: Texts, slot: str, examples: Sequence[Example]) -> str:
    """The examples, each a button."""
    items = "".join(_example(texts, number, example) for number, example in enumerate(examples))
    return f'<p class="studio-label">{escape(texts[f"{slot}.examples"])}</p><ul class="studio-examples">{items}</ul>'


def _example(texts: Texts, number: int, example: Example) -> str:
    title = escape(texts.get(f"example.{example.path.stem}", example.title))
    picture = f'<img src="{data_link(example.thumbnail)}" alt="">'
    return (
        f'<li><button type="button" data-number="{number}" aria-label="{title}" title="{title}">{picture}</button></li>'
    )


def rail(texts: Texts, garments: Mapping[int, Kept]) -> str:
    """The further garments, each with a button to remove it; `garments`: {number: picture}."""
    if not garments:
        return ""
    items = "".join(_garment(texts, number, kept, place=place + 1) for place, (number, kept) in
                    enumerate(garments.items()))
    return f'<p class="studio-hint">{escape(texts["garment.more_hint"])}</p><ul class="studio-row">{items}</ul>'


def _garment(texts: Texts, number: int, kept: Kept, *, place: int) -> str:
    remove = escape(texts("garment.remove", number=place))
    return (
        f'<li><img src="{data_link(small_picture(kept.data))}" alt="{escape(texts("garment.another", number=place))}">'
        f'<button type="button" data-number="{number}" aria-label="{remove}" title="{remove}">×</button></li>'
    )


_HANGER = (
    '<svg viewBox="0 0 64 48" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.5" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M27 11a5 5 0 1 1 7 4.6c-1.4.6-2 1.6-2 3V21"/>'
    '<path d="M32 21 58 37.5c2.6 1.7 1.4 5.5-1.7 5.5H7.7c-3.1 0-4.3-3.8-1.7-5.5L32 21Z"/></svg>'
)
