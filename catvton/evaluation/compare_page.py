"""A comparison as one HTML file: it opens offline, asks nobody for anything, and runs no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from catvton.evaluation import plots
from catvton.evaluation.compare import Row, Table, place
from catvton.evaluation.compare_folders import Folder
from catvton.evaluation.compare_pictures import Shown, extremes, judge, shown
from catvton.evaluation.compare_text import FAIRNESS, INTERVALS, bases, facts, sources
from catvton.evaluation.conditions import METRICS, Metric
from catvton.evaluation.published import CONFIDENCES, PUBLISHED

TITLE = "Try-on results compared"
_NOTHING_LOADS = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def as_page(tables: Sequence[Table], folders: Sequence[Folder]) -> str:
    """The whole page. Pictures of the folders' best and worst results are read from disk and go into it."""
    style = (PUBLISHED / "page.css").read_text(encoding="utf-8")
    body = [f"<h1>{TITLE}</h1>", f"<p>{FAIRNESS}</p>", f"<p>{INTERVALS}</p>", _contents(tables)]
    body += [_section(table, _about(table, folders)) for table in tables]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_LOADS}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join([*body, _words(tables)])
        + "\n</main>\n</body>\n</html>\n"
    )


def _about(table: Table, folders: Sequence[Folder]) -> list[Folder]:
    return [folder for folder in folders if (folder.dataset, folder.paired) == (table.dataset, table.paired)]


def _contents(tables: Sequence[Table]) -> str:
    if len(tables) < 2:
        return ""
    items = "".join(f'<li><a href="#{_anchor(table)}">{escape(table.title)}</a></li>' for table in tables)
    return f'<nav aria-label="Tables"><ul>{items}</ul></nav>'


def _section(table: Table, folders: Sequence[Folder]) -> str:
    parts = [f'<h2 id="{_anchor(table)}">{escape(table.title)}</h2>', _warnings(table), _table(table), _charts(table)]
    scored = [folder for folder in folders if judge(folder)]
    if scored:
        parts += [_distributions(scored), *map(_grids, scored)]
    elif folders:
        parts.append('<p class="soft after">Unpaired results have no right answer: no image has its own figures.</p>')
    return f'<section aria-labelledby="{_anchor(table)}">\n' + "\n".join(filter(None, parts)) + "\n</section>"


def _anchor(table: Table) -> str:
    return escape(f"{table.dataset}-{'paired' if table.paired else 'unpaired'}".replace(" ", "-"))


# ---- the table -------------------------------------------------------------------------------------------------------


def _warnings(table: Table) -> str:
    if not table.warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in table.warnings)
    return (
        f'<div class="warning" role="note"><strong>The folders were not made or scored alike.</strong> '
        f"Figures that depend on what differs do not compare:<ul>{items}</ul></div>"
    )


def _table(table: Table) -> str:
    heads = "".join(
        f'<th scope="col">{metric.title} <span aria-hidden="true">{metric.arrow}</span>'
        f"<br><small>{metric.better}</small></th>"
        for metric in table.metrics
    )
    bodies = "\n".join(_group(table, letter, rows) for letter, rows in table.lettered())
    name = escape(f"Figures, {table.title}")
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{name}">\n<table>\n<thead><tr>'
        f'<th scope="col">System</th>{heads}<th scope="col">Confidence</th></tr></thead>\n{bodies}\n</table>\n</div>'
    )


def _group(table: Table, letter: str, rows: Sequence[Row]) -> str:
    span = len(table.metrics) + 2
    head = f'<span class="letter">{letter}</span>{"; ".join(map(_link, sources(rows)))}. {escape(facts(rows[0]))}'
    lines = "\n".join(_line(table, row, rows) for row in rows)
    return f'<tbody>\n<tr><th scope="rowgroup" colspan="{span}"><div>{head}</div></th></tr>\n{lines}\n</tbody>'


def _link(source: tuple[str, str]) -> str:
    text, url = map(escape, source)
    return f'<a href="{url}" rel="noreferrer">{text}</a>' if url else text


def _line(table: Table, row: Row, rows: Sequence[Row]) -> str:
    note = f'<small class="note">{escape(row.note)}</small>' if row.note else ""
    cells = "".join(_cell(row, rows, metric) for metric in table.metrics)
    kind = ' class="ours"' if row.ours else ""
    confidence = f"<td><small>{escape(row.confidence)}</small></td>"
    return f'<tr{kind}><th scope="row">{escape(row.name)}{note}</th>{cells}{confidence}</tr>'


def _cell(row: Row, rows: Sequence[Row], metric: Metric) -> str:
    if metric.key not in row.figures:
        return '<td class="figure"><span aria-hidden="true">–</span><span class="soft"> none found</span></td>'
    found = place(row, rows, metric)
    ends = row.intervals.get(metric.key)
    small = [f"{found[0]} of {found[1]}"] if found else []
    small += [f"95 %: {metric.text(ends[0])} to {metric.text(ends[1])}"] if ends else []
    first = ' class="first"' if found and found[0] == 1 else ""
    return f'<td class="figure"><span{first}>{row.text(metric)}</span><small>{", ".join(small)}</small></td>'


# ---- bars ------------------------------------------------------------------------------------------------------------


def _charts(table: Table) -> str:
    cards = "\n".join(filter(None, (_chart(table, metric) for metric in table.metrics)))
    return f'<h3>Side by side</h3>\n<div class="cards">\n{cards}\n</div>' if cards else ""


def _chart(table: Table, metric: Metric) -> str:
    rows = [row for row in table.rows if metric.key in row.figures]
    if not rows:
        return ""
    reach = [end for row in rows for end in (row.figures[metric.key], *row.intervals.get(metric.key, ()))]
    axis = plots.bar_axis(reach, higher=metric.higher)
    groups = "".join(_bars(letter, group, metric, axis) for letter, group in table.lettered())
    missing = [f"{row.name} ({letter})" for letter, group in table.lettered() for row in group if row not in rows]
    none = f'<p class="soft">No figure found: {escape(", ".join(missing))}.</p>' if missing else ""
    return (
        f'<figure class="card"><figcaption><h4>{metric.title} <span aria-hidden="true">{metric.arrow}</span></h4>'
        f"<small>{metric.better}; bars begin at {axis.low:g}; best first within a letter</small></figcaption>"
        f"{groups}{none}</figure>"
    )


def _bars(letter: str, group: Sequence[Row], metric: Metric, axis: plots.Axis) -> str:
    rows = [row for row in group if metric.key in row.figures]
    rows.sort(key=lambda row: row.figures[metric.key], reverse=metric.higher)
    if not rows:
        return ""
    items = "".join(_bar(row, metric, axis) for row in rows)
    size = rows[0].conditions.size
    about = escape(f"{size}, repaint {rows[0].conditions.facts()['repaint']}" if size else rows[0].source)
    return f'<p class="group"><span class="letter">{letter}</span>{about}</p><ul class="bars">{items}</ul>'


def _bar(row: Row, metric: Metric, axis: plots.Axis) -> str:
    drawn = plots.bar(row.figures[metric.key], axis, interval=row.intervals.get(metric.key))
    kind = ' class="ours"' if row.ours else ""
    name, value = escape(row.name), row.text(metric)
    return f'<li{kind}><span class="name">{name}</span>{drawn}<span class="value">{value}</span></li>'


# ---- single images ---------------------------------------------------------------------------------------------------


def _distributions(folders: Sequence[Folder]) -> str:
    cards = [card for metric in METRICS[:2] for card in _histograms(folders, metric)]
    return '<h3>Image by image</h3>\n<div class="cards">\n' + "\n".join(cards) + "\n</div>"


def _histograms(folders: Sequence[Folder], metric: Metric) -> list[str]:
    values = {
        folder.name: [figures[metric.key] for figures in folder.each.values() if metric.key in figures]
        for folder in folders
    }
    values = {name: found for name, found in values.items() if found}
    if not values:
        return []
    limits = plots.edges([value for found in values.values() for value in found])
    return [_histogram(name, found, limits, metric) for name, found in values.items()]


def _histogram(name: str, values: Sequence[float], limits: np.ndarray, metric: Metric) -> str:
    worst = float(np.quantile(values, 0.1 if metric.higher else 0.9))
    side = "below" if metric.higher else "above"
    told = f"median {np.median(values):.3f}, worst tenth {side} {worst:.3f}, {len(values)} images"
    drawn = plots.histogram(values, limits, label=f"{metric.title} of {name}: {told}")
    return (
        f'<figure class="card"><figcaption><h4>{metric.title}: {escape(name)}</h4><small>{told}; '
        f"{metric.better}; the dashed line is the median</small></figcaption>{drawn}"
        f'<div class="ends" aria-hidden="true"><span>{limits[0]:.3f}</span><span>{limits[-1]:.3f}</span></div></figure>'
    )


def _grids(folder: Folder) -> str:
    metric = judge(folder)
    best, worst = extremes(folder, metric)
    parts = [f"<h3>Best and worst by {metric.title}: {escape(folder.name)}</h3>"]
    for title, names in (("Best", best), ("Worst", worst)):
        if names:
            figures = "\n".join(map(_picture, shown(folder, names)))
            parts.append(f'<h4>{title}</h4>\n<div class="pictures">\n{figures}\n</div>')
    return "\n".join(parts)


def _picture(one: Shown) -> str:
    told = ", ".join(f"{metric.title} {one.figures[metric.key]:.3f}" for metric in METRICS if metric.key in one.figures)
    parts = ", ".join(one.parts)
    gone = "" if "result" in one.parts else " (the result's file was not found)"
    drawn = ""
    if one.jpeg:
        data = base64.b64encode(one.jpeg).decode()
        drawn = f'<img alt="{escape(f"{one.name}: {parts}")}" src="data:image/jpeg;base64,{data}">'
    return f"<figure>{drawn}<figcaption>{escape(one.name)}{gone}<br>{told}</figcaption></figure>"


# ---- what the words mean ---------------------------------------------------------------------------------------------


def _words(tables: Sequence[Table]) -> str:
    rows = [row for table in tables for row in table.rows]
    words = {"measured": "scored by this program from a folder of results", **CONFIDENCES}
    return _terms("Confidence", list(words.items())) + _terms("Sources", bases(rows))


def _terms(title: str, terms: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in terms)
    return f"<section><h2>{title}</h2><dl>{items}</dl></section>" if terms else ""
