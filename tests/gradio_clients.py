"""gradio_client for tests: quiet, and patient with a machine that has much else to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio_client import Client

PATIENCE = 300.0  # seconds; gradio_client's own five are too few where the tests share two cores


def connect(url: str, *, downloads: Path | None = None, **options: Any) -> Client:
    """A client whose answers are written below `downloads`; None: they are not fetched."""
    return Client(url, verbose=False, analytics_enabled=False, download_files=str(downloads) if downloads else False,
                  httpx_kwargs={"timeout": PATIENCE}, **options)
