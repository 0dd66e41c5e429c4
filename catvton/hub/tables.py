"""What the command `models` says: records for programs, and the same as tables and sentences for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.cards import PROGRAM
from catvton.hub.verify import human

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.hub.download import Downloaded
    from catvton.hub.lock import Pin, PinnedFile
    from catvton.hub.sources import Source, WantedFile
    from catvton.hub.verify import Fault


# ---- for programs ----------------------------------------------------------------------------------------------------


def row(card: ModelCard, *, state: str, in_use: bool) -> dict[str, Any]:
    """One version of an engine, in short."""
    return {
        "engine": card.id,
        "title": card.title,
        "in_use": in_use,
        "state": state,
        "download_gb": card.download_gb,
        "vram_gb": card.vram_gb,
        "licence": card.licence,
        "commercial": card.commercial,
    }


def about(card: ModelCard, *, state: str, in_use: bool) -> dict[str, Any]:
    """One version of an engine with all its parts."""
    pins = {pin.role: pin for pin in (card.install.pins if card.install else ())}
    return row(card, state=state, in_use=in_use) | {
        "description": card.description,
        "sizes": [f"{width}x{height}" for width, height in card.sizes],
        "steps": card.steps.default,
        "guidance": card.guidance.default,
        "folder": str(card.folder),
        "mend": card.mend,
        "parts": [_part(source, pins.get(source.role), card) for source in card.sources],
    }


def _part(source: Source, pin: Pin | None, card: ModelCard) -> dict[str, Any]:
    return {
        "role": source.role,
        "title": source.title,
        "repo": pin.repo if pin else source.repo,
        "commit": pin.commit if pin else None,
        "path": str(card.paths[source.role]) if pin else None,
        "licence": source.licence,
        "commercial": source.commercial,
        "files": [_file(file) for file in pin.files] if pin else [_wanted(wanted) for wanted in source.files],
    }


def _file(file: WantedFile | PinnedFile) -> dict[str, Any]:
    return {"name": file.name, "size": file.size, "sha256": file.sha256}


def _wanted(wanted: WantedFile) -> dict[str, Any]:
    instead = [choice.name for choice in wanted.alternatives]
    return _file(wanted) | {"optional": wanted.optional, "instead": instead}


def licence_rows(cards: Iterable[ModelCard]) -> list[dict[str, Any]]:
    """One row per weights, with every engine that uses them."""
    rows: dict[str, dict[str, Any]] = {}
    for card in cards:
        own = [(card.title, card.licence, card.commercial, card.folder.name)]
        parts = [(each.title, each.licence, each.commercial, each.repo) for each in card.sources]
        for title, licence, commercial, place in parts or own:
            fresh = {"weights": title, "licence": licence, "commercial": commercial, "source": place, "engines": []}
            rows.setdefault(title, fresh)["engines"].append(card.id)
    return list(rows.values())


def downloaded(card: ModelCard, done: Downloaded) -> dict[str, Any]:
    return {
        "engine": card.id,
        "fetched": done.fetched,
        "in_use": done.active,
        "mirrors": list(done.mirrors),
        "paths": {role: str(path) for role, path in card.paths.items()},
        "licence": card.licence,
        "commercial": card.commercial,
    }


def in_use(card: ModelCard, found: Sequence[Fault]) -> dict[str, Any]:
    missing = [{"repo": fault.repo, "file": fault.name, "what": fault.what} for fault in found]
    commits = {pin.repo: pin.commit for pin in (card.install.pins if card.install else ())}
    return {"engine": card.id, "commits": commits, "complete": not missing, "faults": missing, "mend": card.mend}


# ---- for people ------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest entry."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in lines)  # fmt: skip


def table_of_engines(rows: list[dict[str, Any]], root: Path) -> str:
    cells = [
        ("*" if each["in_use"] else "", each["engine"], each["state"], _gigabytes(each["download_gb"]),
         _gigabytes(each["vram_gb"]), _licence(each))
        for each in rows
    ]  # fmt: skip
    drawn = table(("", "engine", "state", "to fetch", "memory", "licence"), cells)
    return (
        f"{drawn}\n\n* in use. Downloaded weights lie in {root}\n"
        f"{PROGRAM} show ENGINE says more, {PROGRAM} download ENGINE fetches it."
    )


def page_of_engine(told: dict[str, Any]) -> str:
    lines = [
        f"{told['engine']}: {told['title']}",
        told["description"],
        "",
        f"state     {told['state']}{', in use' if told['in_use'] else ''}",
        f"sizes     {', '.join(told['sizes'])} (by default {told['steps']:g} steps, guidance {told['guidance']:g})",
        f"to fetch  {_gigabytes(told['download_gb']) or 'nothing'}",
        *([f"memory    about {_gigabytes(told['vram_gb'])} of a graphics card"] if told["vram_gb"] else []),
        f"licence   {_licence(told)}",
        f"folder    {told['folder']}",
    ]
    for part in told["parts"]:
        at = f" at {part['commit'][:12]}" if part["commit"] else ""
        lines += ["", f"{part['role']}: {part['title']} ({_licence(part)})", f"  from {part['repo']}{at}"]
        lines += [f"  {_described(file)}" for file in part["files"]]
    return "\n".join([*lines, "", f"To bring its files here: {told['mend']}"])


def _described(file: dict[str, Any]) -> str:
    known = [human(file["size"])] if file["size"] is not None else []
    known += [f"sha256 {file['sha256'][:12]}…"] if file["sha256"] else []
    instead = f", or {', or '.join(file['instead'])}" if file.get("instead") else ""
    return f"{file['name']}{instead}" + (f" ({', '.join(known)})" if known else "")


def table_of_licences(rows: list[dict[str, Any]]) -> str:
    cells = [
        (each["weights"], each["licence"], "yes" if each["commercial"] else "no", each["source"],
         ", ".join(dict.fromkeys(engine.partition("@")[0] for engine in each["engines"])))
        for each in rows
    ]  # fmt: skip
    drawn = table(("weights", "licence", "commercial use", "source", "used by"), cells)
    return (
        f"{drawn}\n\nAn engine may be used commercially if all its weights may. CATVTON_COMMERCIAL_ONLY=1 refuses the "
        "others. This table is no legal advice: the licences are to be read at their sources."
    )


def verdict(told: list[dict[str, Any]]) -> str:
    lines = []
    for engine in told:
        if engine["complete"]:
            lines.append(f"{engine['engine']}: complete ({engine['looked_at']} looked at)")
            continue
        lines.append(f"{engine['engine']}: not complete")
        lines += [f"  {fault['repo']}: {fault['file']}: {fault['what']}" for fault in engine["faults"]]
        lines.append(f"  To mend it: {engine['mend']}")
    return "\n".join(lines)


def before_download(card: ModelCard) -> str:
    told = {"licence": card.licence, "commercial": card.commercial}
    size = f", {_gigabytes(card.download_gb)} in all" if card.download_gb else ""
    return f"{card.id}{size}, to {card.folder}. Licence: {_licence(told)}."


def after_download(told: dict[str, Any]) -> str:
    name = told["engine"].partition("@")[0]
    lines = [f"{told['engine']} is complete: {human(told['fetched'])} fetched, every byte checked."]
    lines += [f"Taken from a mirror: {repo}." for repo in told["mirrors"]]
    if told["in_use"]:
        lines.append(f"To generate with it: --engine {name}, or CATVTON_ENGINE={name} for everyone.")
    else:
        lines.append(f"Another version of {name} stays in use. To use this one: {PROGRAM} use {told['engine']}")
    return "\n".join(lines)


def after_switch(told: dict[str, Any]) -> str:
    line = f"In use now: {told['engine']}. A server that runs already takes it up when it is started again."
    if told["complete"]:
        return line
    faults = [f"  {fault['repo']}: {fault['file']}: {fault['what']}" for fault in told["faults"]]
    return "\n".join([line, "It is not complete:", *faults, f"  To mend it: {told['mend']}"])


def shortened(label: str, width: int) -> str:
    """The end of a long label says more than its beginning."""
    return label if len(label) <= width else "…" + label[1 - width :]


def _licence(told: dict[str, Any]) -> str:
    return told["licence"] + ("" if told["commercial"] else ", no commercial use")


def _gigabytes(number: float | None) -> str:
    return "" if number is None else f"{number:g} GB"
