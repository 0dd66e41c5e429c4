"""Many clients at once against a live server: everyone gets their own picture, and nothing is left behind."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from catvton.result import PARTS, SHOWS, TryOnRequest
from tests import hostile, tiny
from tests.gradio_clients import connect
from tests.proof.memory import resident
from tests.web_fakes import saved, serving

pytestmark = pytest.mark.proof

CLIENTS, REQUESTS = 8, 25
COLOURS = ("crimson", "navy", "teal", "gold", "black", "orchid", "olive", "tan")
KINDS = 5  # different wishes of one client; the last is a broken upload


@dataclass(frozen=True)
class Wish:
    """One request of one client, all its own: photo, garment, seed and options."""

    person: Path
    garment: Path
    mask: Path | None
    options: dict[str, Any]

    def request(self) -> TryOnRequest:
        return TryOnRequest(person=self.person, garment=self.garment, mask=self.mask, **self.options)

    def send(self, client: Client) -> tuple[str, dict[str, Any]]:
        files = {"person": self.person, "garment": self.garment, "mask": self.mask}
        uploads = {name: path and handle_file(path) for name, path in files.items()}
        return client.predict(**uploads, **self.options, api_name="/tryon")


@dataclass
class Ledger:
    """What became of every request, written by all clients."""

    served: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, *, served: bool, seconds: float, fault: str | None) -> None:
        with self._guard:
            self.served += served
            self.refused += not served
            self.seconds.append(seconds)
            self.memory.append(resident())
            if fault:
                self.wrong.append(fault)


def make_wishes(number: int, folder: Path) -> list[Wish]:
    """One client's wishes; no two clients share a photo, a garment or a seed."""
    folder.mkdir()
    size = 90 + 4 * number, 150 + 3 * number
    garment = saved(tiny.garment(COLOURS[number]), folder / "garment.png")
    mask = saved(Image.fromarray(tiny.mask(size)), folder / "mask.png")
    broken = folder / "broken.png"
    broken.write_bytes(hostile.good("PNG")[:-500])
    wishes = []
    for kind in range(KINDS):
        person = saved(tiny.person(size, seed=10 * number + kind), folder / f"person-{kind}.png")
        part = (PARTS[0], PARTS[2])[kind % 2]
        options = {"part": part, "seed": 1000 * number + kind, "steps": 1 + kind % 3, "show": SHOWS[kind % 3]}
        last = kind == KINDS - 1
        wishes.append(Wish(broken if last else person, garment, mask if kind % 2 else None, options))
    return wishes


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def visit(url: str, wishes: list[Wish], expected: list[np.ndarray | None], *, folder: Path, ledger: Ledger) -> None:
    """One client's whole stay."""
    client = connect(url, downloads=folder / "downloads")
    for turn in range(REQUESTS):
        wish, right = wishes[turn % KINDS], expected[turn % KINDS]
        start = time.perf_counter()
        served, fault = True, None
        try:
            path, info = wish.send(client)
            if right is None or info["seed"] != wish.options["seed"] or not np.array_equal(pixels(path), right):
                fault = f"another result for {wish}"
        except AppError as error:
            served = False
            if right is not None or "damaged or incomplete PNG" not in str(error):
                fault = f"{wish}: {error}"
        ledger.enter(served=served, seconds=time.perf_counter() - start, fault=fault)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_two_hundred_requests_of_eight_clients(tmp_path, figures):
    tryon, ledger, home = tiny.tiny_tryon(), Ledger(), tmp_path / "server"
    wishes = [make_wishes(number, tmp_path / f"client-{number}") for number in range(CLIENTS)]
    expected = [
        [None if "broken" in wish.person.name else np.asarray(tryon.run(wish.request()).show(wish.options["show"]))
         for wish in own]
        for own in wishes
    ]  # fmt: skip
    different = {picture.tobytes() for own in expected for picture in own if picture is not None}
    assert len(different) == CLIENTS * (KINDS - 1)  # a swapped result cannot pass for the right one

    start = time.perf_counter()
    with serving(tryon, home, examples=False) as server, ThreadPoolExecutor(CLIENTS) as pool:
        stays = [
            pool.submit(visit, server.url, *own, folder=tmp_path / f"client-{number}", ledger=ledger)
            for number, own in enumerate(zip(wishes, expected, strict=True))
        ]
        for stay in stays:
            stay.result()
        seconds = time.perf_counter() - start
        left = files_in(server.studio.folder.path)
        assert left and all("answers" in path.parts for path in left)  # every upload is gone, broken ones too
        server.studio.folder.sweep(now=time.time() + 301)
        assert files_in(server.studio.folder.path) == []

    assert ledger.wrong == []
    assert (ledger.served, ledger.refused) == (CLIENTS * REQUESTS * 4 // 5, CLIENTS * REQUESTS // 5)
    assert files_in(home) == []
    assert not [thread.name for thread in threading.enumerate() if thread.name == "catvton-run"]

    quarter = len(ledger.memory) // 4
    settled, last = (statistics.median(ledger.memory[at : at + quarter]) for at in (quarter, 3 * quarter))
    figures["200 requests of 8 clients, tiny random engine"] = {
        "requests": len(ledger.seconds),
        "results lost or swapped": len(ledger.wrong),
        "requests per second": round(len(ledger.seconds) / seconds, 1),
        "seconds per request, median": round(statistics.median(ledger.seconds), 2),
        "seconds per request, longest": round(max(ledger.seconds), 2),
        "memory in the second quarter, MiB": round(settled),
        "memory in the last quarter, MiB": round(last),
    }
    assert last < 1.1 * settled
