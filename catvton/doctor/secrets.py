"""Secrets: files that hold some belong to one user alone, and what strangers could read is closed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from catvton.doctor import Finding, failed, ok, warning
from catvton.doctor.people import public

if TYPE_CHECKING:
    from catvton.settings import Settings


def look(settings: Settings) -> Iterator[Finding]:
    yield from files(settings)
    yield metrics(settings)


def files(settings: Settings) -> Iterator[Finding]:
    """The files with secrets in them; each may be read by its owner only."""
    if os.name == "nt":
        return
    looked = [path for path in _files(settings) if path.is_file()]
    for path in looked:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield failed("secrets", f"{path} may be read by others (mode {mode:o}).", f"chmod 600 {path}")
        else:
            yield ok("secrets", f"{path} is its owner's alone.")
    if not looked:
        yield ok("secrets", "No file of the app's holds any.")


def _files(settings: Settings) -> Iterator[Path]:
    from dotenv import dotenv_values

    from catvton.records.database import FILE, data_folder
    from catvton.settings import ENV_FILE

    if any(name.upper() in secret_names() and value for name, value in dotenv_values(ENV_FILE).items()):
        yield Path(ENV_FILE)
    if settings.c2pa_key is not None:
        yield settings.c2pa_key
    if settings.database_url is None:
        yield data_folder(settings) / FILE


def secret_names() -> set[str]:
    """The names of the settings that are secrets."""
    from pydantic import SecretStr

    from catvton.settings import Settings, names

    fields = Settings.model_fields.items()
    return {names()[name] for name, field in fields if SecretStr in get_args(field.annotation)}


def metrics(settings: Settings) -> Finding:
    if public(settings) and settings.metrics_token is None:
        return warning("metrics", "Anybody who can reach the app may read /metrics.", "Set CATVTON_METRICS_TOKEN.")
    return ok("metrics", f"/metrics is {'behind its token' if settings.metrics_token else 'for this machine only'}.")
