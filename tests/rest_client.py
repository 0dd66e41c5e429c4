"""The service without gradio around it: the same routes and the same middleware, called without a socket."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from catvton.service.app import Service
from catvton.settings import Settings
from tests.web_fakes import garment_picture, person_picture


@dataclass(frozen=True)
class Door:
    """A service and a client of it. `url`: where a live server answers, for tests that need one."""

    service: Service
    client: httpx.Client

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def tryon(self, path: str = "/v1/tryon", *, accept: str = "image/png", key: str | None = None,
              files: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """A try-on of the two standard pictures; `options` are the form's text fields."""
        return self.client.post(path, files=pictures() if files is None else files,
                                data={name: str(value) for name, value in options.items()},
                                headers={"Accept": accept} | bearer(key))


@contextmanager
def door(tryon: Any, **settings: Any) -> Iterator[Door]:
    service = Service(Settings(**settings), tryon)
    app = Starlette(routes=service.routes(), middleware=service.middleware())
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Door(service, client)
        service.gate.close()
        assert service.gate.drained(300), "somebody was left in the line"
    service.close()


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def pictures(**more: bytes) -> dict[str, tuple[str, bytes, str]]:
    """The files of a form: a person and a garment, and others by name."""
    files = {"person": png(person_picture()), "garment": png(garment_picture())} | more
    return {name: (f"{name}.png", data, "image/png") for name, data in files.items()}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer that must have this status."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status and said["message"].endswith(".") and said["request_id"]
    return said


def wait_until(condition: Callable[[], Any], seconds: float = 300.0) -> Any:
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.01)
    return found
