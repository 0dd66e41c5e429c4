"""gradio_client for tests: quiet, and patient with a machine that has much else to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file

from tests.web_fakes import garment_picture, person_picture, saved

PATIENCE = 300.0  # seconds; gradio_client's own five are too few where the tests share two cores


def connect(url: str, *, downloads: Path | None = None, **options: Any) -> Client:
    """A client whose answers are written below `downloads`; None: they are not fetched."""
    return Client(url, verbose=False, analytics_enabled=False, download_files=str(downloads) if downloads else False,
                  httpx_kwargs={"timeout": PATIENCE}, **options)


def photos_in(folder: Path) -> dict[str, Any]:
    """A person and a garment as arguments of `/tryon`, from files in `folder`."""
    return {"person": handle_file(saved(person_picture(), folder / "person.png")),
            "garment": handle_file(saved(garment_picture(), folder / "garment.png"))}
