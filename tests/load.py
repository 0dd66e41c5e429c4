"""Many clients at once, through all three doors: what each asked for, was told and got."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.gradio_clients import connect
from tests.rest_client import png
from tests.web_fakes import saved

PATIENCE = 900.0  # seconds one answer may take
NO_TLS = False  # loopback; reading the certificates of the world takes longer than a request


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What one client asks for, all its own.

    Attributes:
        number: the client's, from 0.
        folder: of its own, for the pictures it uploads and downloads.
    """

    number: int
    person: Image.Image
    garment: Image.Image
    seed: int
    folder: Path

    @property
    def headers(self) -> dict[str, str]:
        """An address of its own, for a server that trusts one proxy."""
        return {"X-Forwarded-For": f"203.0.113.{self.number}"}

    def files(self) -> dict[str, tuple[str, bytes]]:
        return {"person": ("person.png", png(self.person)), "garment": ("garment.png", png(self.garment))}

    def options(self) -> dict[str, str]:
        return {"seed": str(self.seed)}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of one client and its end.

    Attributes:
        places: what it was told of its place, in order.
        refused: the code of the refusal; "" where it was served.
        picture: the decoded pixels' bytes.
        ended: time.monotonic() when the answer was there.
    """

    number: int
    door: str
    places: tuple[int, ...] = ()
    refused: str = ""
    picture: bytes = b""
    seed: int | None = None
    ended: float = field(default_factory=time.monotonic)


def pixels(data: bytes | Path) -> bytes:
    with Image.open(data if isinstance(data, Path) else io.BytesIO(data)) as picture:
        return picture.convert("RGB").tobytes()


# ---- the doors -------------------------------------------------------------------------------------------------------


def by_request(wish: Wish, url: str) -> Visit:
    """One request that waits for its picture."""
    answer = httpx.post(f"{url}v1/tryon", files=wish.files(), data=wish.options(), headers=wish.headers,
                        timeout=PATIENCE, verify=NO_TLS)
    if answer.status_code != 200:
        return Visit(number=wish.number, door="request", refused=_code(answer))
    return Visit(number=wish.number, door="request", picture=pixels(answer.content),
                 seed=json.loads(answer.headers["x-result-info"])["seed"])


def by_job(wish: Wish, url: str) -> Visit:
    """A job that is asked about as often as the server says."""
    with httpx.Client(base_url=url, headers=wish.headers, timeout=PATIENCE, verify=NO_TLS) as http:
        answer = http.post("v1/jobs", files=wish.files(), data=wish.options())
        if answer.status_code != 202:
            return Visit(number=wish.number, door="job", refused=_code(answer))
        places = [answer.json()["place"]]
        while (told := answer.json())["state"] in ("queued", "running"):
            time.sleep(int(answer.headers["retry-after"]))
            answer = http.get(told["url"])
            if told["state"] == "queued":
                places.append(told["place"])
        if told["state"] != "done":
            return Visit(number=wish.number, door="job", places=tuple(places), refused=told["error"]["code"])
        picture = http.get(told["result"]).raise_for_status().content
    return Visit(number=wish.number, door="job", places=tuple(places), picture=pixels(picture),
                 seed=told["info"]["seed"])


class ByGradio:
    """A client of the named endpoints, one connection for all its visits."""

    def __init__(self, wish: Wish, url: str) -> None:
        wish.folder.mkdir(exist_ok=True)
        self._files = {"person": saved(wish.person, wish.folder / "person.png"),
                       "garment": saved(wish.garment, wish.folder / "garment.png")}
        self._client = connect(url, downloads=wish.folder / "downloads", headers=wish.headers)

    def __call__(self, wish: Wish, url: str) -> Visit:
        uploads = {name: handle_file(path) for name, path in self._files.items()}
        job = self._client.submit(**uploads, seed=wish.seed, api_name="/tryon")
        try:
            path, info = job.result(timeout=PATIENCE)
        except AppError as error:
            return Visit(number=wish.number, door="gradio", refused=error.title)
        places = tuple(told["step"] for _, told in job.outputs() if told.get("stage") == "waiting")
        return Visit(number=wish.number, door="gradio", places=places, picture=pixels(Path(path)), seed=info["seed"])


def _code(answer: httpx.Response) -> str:
    told = answer.json()
    assert told["message"].endswith("."), told
    assert told["status"] == answer.status_code
    assert answer.status_code not in (429, 503) or int(answer.headers["retry-after"]) >= 1
    return told["code"]


# ---- the crowd -------------------------------------------------------------------------------------------------------


def door_of(wish: Wish, url: str) -> Callable[[Wish, str], Visit]:
    """Of ten clients one comes through gradio, five with a request that waits, four with a job."""
    if wish.number % 10 == 0:
        return ByGradio(wish, url)
    return by_request if wish.number % 2 else by_job


def crowd(wishes: list[Wish], url: str, *, again: Callable[[int], bool]) -> list[Visit]:
    """All clients at once, each coming again when it is served for as long as `again(its visits so far)` says so.

    An error that is no refusal is raised when all have ended.
    """
    ready = threading.Barrier(len(wishes))

    def stay(wish: Wish) -> list[Visit]:
        door, visits = door_of(wish, url), []
        ready.wait(PATIENCE)
        while again(len(visits)):
            visits.append(door(wish, url))
        return visits

    with ThreadPoolExecutor(len(wishes)) as pool:
        stays = list(pool.map(stay, wishes))
    return [visit for visits in stays for visit in visits]


def faults(visits: list[Visit], wishes: list[Wish], expected: dict[int, bytes]) -> list[str]:
    """Everything that was lost or swapped: a served visit must have its own client's picture, to the bit."""
    own = {picture: number for number, picture in expected.items()}
    seeds = {wish.number: wish.seed for wish in wishes}
    found: list[Any] = []
    for visit in visits:
        if visit.refused or (visit.picture == expected[visit.number] and visit.seed == seeds[visit.number]):
            continue
        whose = own.get(visit.picture, "nobody")
        found.append(f"client {visit.number} ({visit.door}) got the picture of {whose} and seed {visit.seed}")
    return found
