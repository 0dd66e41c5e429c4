"""Fifty clients for five minutes against a real server with the built-in engine: nobody's picture is lost or swapped,
the crowd is served as quickly as a single client, and the server does not grow.

The server is a process of its own on loopback; a single client before and after the crowd says what it can do.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests import load
from tests.ports import free_port
from tests.rest_client import wait_until

pytestmark = pytest.mark.proof

ROOT = Path(__file__).resolve().parent.parent.parent
PHOTOS = ROOT / "resource" / "examples"
CLIENTS = 50
MINUTE = 60.0
SIZE = 300, 400


def make_wishes(folder: Path, *, clients: int = CLIENTS) -> list[load.Wish]:
    """People in garments, each in colours of their own."""
    return [load.Wish(number=number, person=tinted("person", number % 4 + 1, number),
                      garment=tinted("garment", number % 7 + 1, number), seed=1000 + number,
                      folder=folder / str(number))
            for number in range(clients)]  # fmt: skip


def tinted(kind: str, picture: int, number: int) -> Image.Image:
    with Image.open(PHOTOS / f"{kind}-{picture}.webp") as photo:
        pixels = np.asarray(photo.convert("RGB").resize(SIZE), np.float32)
    gains = 1 - 0.002 * np.array([number % 5, number // 5 % 5, number // 25 + number % 3])
    return Image.fromarray((pixels * gains).round().astype(np.uint8))


@contextmanager
def server(folder: Path, *, clients: int = CLIENTS) -> Iterator[tuple[str, psutil.Process]]:
    """The app as `python app.py` starts it. Unmarked, so that a result can be compared to the bit."""
    port = free_port()
    settings = {"port": port, "temp_dir": folder / "temp", "data_dir": folder / "data", "queue_size": clients,
                "trusted_proxy_hops": 1, "rate_limits": "1000/minute;100000/day", "watermark": "off"}
    environment = os.environ | {f"CATVTON_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until(lambda: ready(url, process), seconds=600)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(120)


def ready(url: str, process: subprocess.Popen) -> bool:
    assert process.poll() is None, "the server ended"
    try:
        return httpx.get(url + "readyz", timeout=MINUTE).status_code == 200
    except httpx.TransportError:
        return False


class Memory:
    """The server's resident memory, once a second: [(seconds since the start, MiB)]."""

    def __init__(self, process: psutil.Process) -> None:
        self.seen: list[tuple[float, float]] = []
        self._process, self._over = process, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def between(self, first: float, last: float) -> float:
        """The median of a stretch of time."""
        return statistics.median(size for at, size in self.seen if first <= at < last)

    def _watch(self) -> None:
        while not self._over.wait(1):
            self.seen.append((time.monotonic() - self._start, self._process.memory_info().rss / 2**20))


def alone(wishes: list[load.Wish], url: str) -> tuple[list[load.Visit], float]:
    """One client after the other, each waiting for its picture: (visits, pictures a second)."""
    start = time.monotonic()
    visits = [load.by_request(wish, url) for wish in wishes]
    return visits, len(visits) / (time.monotonic() - start)


def together(wishes: list[load.Wish], url: str, *, seconds: float) -> tuple[list[load.Visit], float]:
    """All at once for that long, and until the last is served: (visits, pictures a second within the time)."""
    start = time.monotonic()
    visits = load.crowd(wishes, url, again=lambda so_far: time.monotonic() < start + seconds)
    within = [visit for visit in visits if visit.ended < start + seconds]
    return visits, len(within) / seconds


def test_fifty_clients_for_five_minutes(tmp_path, figures):
    wishes = make_wishes(tmp_path)
    with server(tmp_path) as (url, process):
        first, before = alone(wishes, url)
        expected = {visit.number: visit.picture for visit in first}
        assert len(set(expected.values())) == CLIENTS  # a swapped one cannot pass for the right one
        with Memory(process) as memory:
            visits, crowd = together(wishes, url, seconds=5 * MINUTE)
        again, after = alone(wishes[:20], url)
        left = [path for path in (tmp_path / "temp").rglob("*") if path.is_file() and "answers" not in path.parts
                and path.suffix != ".lock"]

    single = statistics.mean((before, after))
    second, last = memory.between(MINUTE, 2 * MINUTE), memory.between(4 * MINUTE, 5 * MINUTE)
    faults = load.faults([*visits, *again], wishes, expected)
    served = Counter(visit.number for visit in visits if not visit.refused)
    told = [visit for visit in visits if visit.door == "job"]
    figures["50 clients for five minutes, built-in engine"] = {
        "requests": len(visits),
        "results lost or swapped": len(faults),
        "turned away": sum(bool(visit.refused) for visit in visits),
        "fewest pictures any client got": min(served[number] for number in range(CLIENTS)),
        "pictures per second, one client before and after": f"{before:.3f} and {after:.3f}",
        "pictures per second, 50 clients": round(crowd, 3),
        "of a single client's, %": round(100 * crowd / single),
        "memory in the second minute, MiB": round(second),
        "memory in the last minute, MiB": round(last),
        "load of the machine meanwhile (1, 5, 15 min)": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }
    assert faults == [] and left == []
    assert not [visit for visit in visits if visit.refused]  # there was room in the line for all of them
    assert set(served) == set(range(CLIENTS)) and all(visit.places for visit in told)
    assert crowd > 0.9 * single
    assert abs(last - second) < 0.05 * second
