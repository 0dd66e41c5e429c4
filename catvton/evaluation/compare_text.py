"""A comparison for programs (JSON, CSV) and for a terminal or a README (Markdown): the same tables three times."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from catvton.evaluation.compare import Row, Table, place
from catvton.evaluation.conditions import METRICS, UNSTATED, Metric

FAIRNESS = (
    "Rows under one letter were measured alike; a place (1/9) counts within its letter only. "
    "Rows under different letters were measured differently, or it is not stated how: they are not ranked against "
    "each other, and a difference between them proves little."
)
INTERVALS = "Two ends show the 95 % confidence interval, where one was measured: a lead smaller than it is a tie."


def as_json(tables: Sequence[Table]) -> dict[str, Any]:
    """{"tables": [{"dataset", "paired", "warnings", "groups": [{"letter", "rows": [{...}]}]}], "fairness": ...}"""
    return {"fairness": FAIRNESS, "tables": [_table(table) for table in tables]}


def _table(table: Table) -> dict[str, Any]:
    groups = [
        {"letter": letter, "rows": [_row(row, rows, table.metrics) for row in rows]}
        for letter, rows in table.lettered()
    ]
    return {"dataset": table.dataset, "paired": table.paired, "warnings": list(table.warnings), "groups": groups}


def _row(row: Row, rows: Sequence[Row], metrics: Sequence[Metric]) -> dict[str, Any]:
    places = {metric.key: place(row, rows, metric) for metric in metrics}
    return {
        "name": row.name,
        "ours": row.ours,
        **{metric.key: row.figures.get(metric.key) for metric in METRICS},
        "intervals": {key: list(ends) for key, ends in row.intervals.items()},
        "places": {key: list(found) for key, found in places.items() if found},
        "conditions": row.conditions.facts(),
        "source": row.source,
        "url": row.url,
        "basis": row.basis,
        "confidence": row.confidence,
        "note": row.note,
    }


# ---- CSV -------------------------------------------------------------------------------------------------------------


def as_csv(tables: Sequence[Table]) -> str:
    """One line per row of every table; an empty cell is a figure nobody prints."""
    columns = ["dataset", "setting", "letter", "name", "ours"]
    columns += [f"{metric.key}{what}" for metric in METRICS for what in ("", "_place", "_low", "_high")]
    columns += ["source", "url", "confidence", "note"]
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for table in tables:
        for letter, rows in table.lettered():
            writer.writerows(_line(table, letter, row, rows) for row in rows)
    return file.getvalue()


def _line(table: Table, letter: str, row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    line = {"dataset": table.dataset, "setting": "paired" if table.paired else "unpaired", "letter": letter}
    line |= {key: getattr(row, key) for key in ("name", "source", "url", "confidence", "note")}
    line["ours"] = "yes" if row.ours else "no"
    for metric in table.metrics:
        found, (low, high) = place(row, rows, metric), row.intervals.get(metric.key, ("", ""))
        line[metric.key] = row.figures.get(metric.key, "")
        line |= {f"{metric.key}_place": found[0] if found else "", f"{metric.key}_low": low, f"{metric.key}_high": high}
    return line


# ---- Markdown --------------------------------------------------------------------------------------------------------


def as_markdown(tables: Sequence[Table]) -> str:
    """Every table under its title, what its letters mean, where its figures are from, and what to beware of."""
    parts = [*map(_section, tables), FAIRNESS, INTERVALS]
    if found := bases([row for table in tables for row in table.rows]):
        parts += ["Sources:", "\n".join(f"- {source}: {basis}" for source, basis in found)]
    return "\n\n".join(parts) + "\n"


def _section(table: Table) -> str:
    head = ["system", *(f"{metric.title} {metric.arrow}" for metric in table.metrics), "letter", "confidence"]
    body = [
        [_bold(row), *(cell(row, rows, metric) for metric in table.metrics), letter, row.confidence]
        for letter, rows in table.lettered()
        for row in rows
    ]
    parts = [f"## {table.title}", *(f"**Not comparable: {warning}.**" for warning in table.warnings)]
    parts += [_grid([head, *body]), "\n".join(_meaning(letter, rows) for letter, rows in table.lettered())]
    return "\n\n".join([*parts, *filter(None, ["\n".join(_notes(table))])])


def cell(row: Row, rows: Sequence[Row], metric: Metric) -> str:
    """A figure with its interval and its place, as a reader is shown it."""
    text = row.text(metric)
    if metric.key in row.intervals:
        text += " [{}, {}]".format(*(metric.text(end) for end in row.intervals[metric.key]))
    found = place(row, rows, metric)
    return f"{text} ({found[0]}/{found[1]})" if found else text


def facts(row: Row) -> str:
    """The conditions a row was measured under, in words."""
    stated = {fact: value for fact, value in row.conditions.facts().items() if value != UNSTATED}
    missing = [fact for fact, value in row.conditions.facts().items() if value == UNSTATED]
    words = ", ".join(f"{fact} {value}" for fact, value in stated.items())
    text = "; ".join(filter(None, [words, f"{UNSTATED}: {', '.join(missing)}" if missing else ""]))
    return f"{text[0].upper()}{text[1:]}."


def sources(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(source, url) of a group's rows, each once, in their order."""
    return list(dict.fromkeys((row.source, row.url) for row in rows))


def bases(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(source, who measured and where the conditions are stated) of published rows, each once, in their order."""
    return list(dict.fromkeys((row.source, row.basis) for row in rows if row.basis))


def _meaning(letter: str, rows: Sequence[Row]) -> str:
    told = "; ".join(f"{source} <{url}>" if url else source for source, url in sources(rows))
    return f"- {letter}: {told}. {facts(rows[0])}"


def _notes(table: Table) -> list[str]:
    noted: dict[tuple[str, str], list[str]] = {}
    for letter, rows in table.lettered():
        for row in rows:
            noted.setdefault((letter, row.note), []).append(row.name)
    return [f"- {', '.join(names)} ({letter}): {note}" for (letter, note), names in noted.items() if note]


def _bold(row: Row) -> str:
    name = row.name.replace("|", "\\|")
    return f"**{name}**" if row.ours else name


def _grid(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = ["-" * width for width in widths]
    rows = [lines[0], rule, *lines[1:]]
    return "\n".join(f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in rows)
