"""What only a Hugging Face Space has: a disk that forgets, sign-in through the hub, a borrowed card."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from catvton import hosting, zerogpu
from catvton.doctor import Finding, failed, ok, warning

if TYPE_CHECKING:
    from catvton.settings import Settings

# Of its documentation, August 2026.
PYTHONS, NEWEST_TORCH = ((3, 10), (3, 12)), (2, 11)


def look(settings: Settings) -> Iterator[Finding]:
    if not hosting.on_a_space():
        return
    yield ok("space", f"This is the Space {os.environ['SPACE_ID']}.")
    yield host(settings)
    yield disk(settings)
    if zerogpu.active():
        yield from zero(settings)


def host(settings: Settings) -> Finding:
    expected = hosting.SPACE["host"], hosting.SPACE["port"]
    if (settings.host, settings.port) != expected:
        return failed("space", f"It serves on {settings.host}:{settings.port}, where the Space's proxy does not look.",
                      "Take CATVTON_HOST and CATVTON_PORT out of the Space's variables.")
    if "huggingface.co" not in settings.frame_ancestors:
        return warning("space", "The page may not be shown in the hub's frame, which is how a Space is opened.",
                       "Take CATVTON_FRAME_ANCESTORS out of the Space's variables, or add https://huggingface.co.")
    return ok("space", "The hub's proxy reaches it and may show its page.")


def disk(settings: Settings) -> Finding:
    """A Space's own disk is thrown away with every restart; what is mounted into it stays."""
    from catvton.records.database import data_folder

    keeps = settings.auth == "password" or settings.records_days or settings.history_hours
    if not keeps or (settings.database_url is not None and not settings.history_hours):
        return ok("space disk", "Nothing is kept on it that should outlive a restart.")
    folder = data_folder(settings)
    if _mounted(folder):
        return ok("space disk", f"{folder} lies on a volume.")
    return warning("space disk", f"{folder} is thrown away with every restart, and accounts and records with it.",
                   "Set the secret CATVTON_DATABASE_URL to a PostgreSQL, or CATVTON_RECORDS_DAYS=0 without accounts.")


def _mounted(folder: Path) -> bool:
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return next(each for each in (there, *there.parents) if each.is_mount()) != Path("/")


def zero(settings: Settings) -> Iterator[Finding]:
    if importlib.util.find_spec("spaces") is None:
        yield failed("zerogpu", "The package spaces is not installed.", "Use the Gradio SDK, which brings it along.")
    if sys.version_info[:2] not in PYTHONS:
        yield warning("zerogpu", f"Python {sys.version_info[0]}.{sys.version_info[1]} is not among those it supports.",
                      'Say python_version: "3.12" in the README\'s front matter.')
    if _pair(version("torch")) > NEWEST_TORCH:
        yield warning("zerogpu", f"torch {version('torch')} is newer than those it is documented for.",
                      "If no card is lent, put torch==2.11.* into the Space's requirements.txt.")
    yield _needs_a_card(settings)


def _needs_a_card(settings: Settings) -> Finding:
    from catvton.hub.offers import installed_cards

    borrowing = [card.id for card in installed_cards(settings).values() if card.sources]
    if not borrowing:
        return warning("zerogpu", "No engine here needs a card: only the built-in one is complete.",
                       "Set the variable CATVTON_DOWNLOAD=catvton and restart, or use a Space without a card.")
    return ok("zerogpu", f"A card is borrowed for {', '.join(borrowing)}.")


def _pair(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
