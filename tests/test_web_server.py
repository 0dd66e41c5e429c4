"""The process: it serves, survives its own death, ends when told to, and says in words why it cannot start."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.rest_client import wait_until

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "resource" / "examples"


@pytest.fixture
def port():
    return free_port()


def started(folder, **settings):
    environment = os.environ | {f"CATVTON_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen([sys.executable, str(ROOT / "app.py")], cwd=folder, env=environment,
                            stderr=subprocess.PIPE, text=True)


def answers(url, process, status):
    """Wait for it to be answered in that way."""
    limit = time.monotonic() + 600
    while True:
        assert process.poll() is None and time.monotonic() < limit, "it never served"
        try:
            if (answer := httpx.get(url, timeout=300)).status_code == status:
                return answer
        except httpx.TransportError:
            time.sleep(0.2)


def form():
    return {name: (PHOTOS / f"{name}-1.webp").read_bytes() for name in ("person", "garment")}


class Asking(threading.Thread):
    """A visitor who asks for four pictures at once and waits for them, whatever becomes of the server."""

    def __init__(self, url):
        super().__init__()
        self.url, self.answer = url, None
        self.start()
        wait_until(lambda: "catvton_jobs_in_flight 1.0" in httpx.get(url + "metrics", timeout=300).text)

    def run(self):
        with suppress(httpx.TransportError):
            self.answer = httpx.post(self.url + "v1/tryon", files=form(), data={"variations": "4"}, timeout=600,
                                     headers={"Accept": "application/json"})


def jobs(data):
    with closing(sqlite3.connect(data / "catvton.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT id, outcome FROM jobs WHERE account IS NULL").fetchall()


def test_the_app_is_killed_starts_again_serves_and_ends_cleanly(tmp_path, port):
    url, temp, data = f"http://127.0.0.1:{port}/", tmp_path / "temp", tmp_path / "data"
    settings = {"port": port, "temp_dir": temp, "data_dir": data, "shutdown_seconds": 600}

    first = started(tmp_path, **settings)
    answers(url + "readyz", first, 200)
    photo = PHOTOS / "person-1.webp"
    httpx.post(url + "gradio_api/upload", files={"files": (photo.name, photo.read_bytes())}, timeout=300)
    asking = Asking(url)
    first.kill()  # kill -9 in mid-run
    first.communicate()
    asking.join()
    assert asking.answer is None
    assert photo.read_bytes() in [path.read_bytes() for path in temp.rglob("*") if path.is_file()]
    assert jobs(data) == []  # the job that was never done is not there by half

    second = started(tmp_path, **settings)
    answers(url + "readyz", second, 200)
    assert photo.read_bytes() not in [path.read_bytes() for path in temp.rglob("*") if path.is_file()]
    page = httpx.get(url, timeout=300)
    assert page.status_code == 200 and "CatVTON Studio" in page.text

    third = started(tmp_path, **settings)
    assert f"Cannot serve on 127.0.0.1:{port}" in third.communicate()[1]
    assert third.returncode == 2

    asking = Asking(url)
    second.send_signal(signal.SIGTERM)
    _, log = second.communicate()
    asking.join()
    assert asking.answer.status_code == 200  # the running job was finished and handed over
    told = json.loads(asking.answer.text)
    assert len(set(told["pictures"])) == 4
    assert [job for job, outcome in jobs(data) if outcome == "done"] == [told["job_id"]]
    assert second.returncode == 0 and f"serving on {url}" in log and "Traceback" not in log
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize(("setting", "word"), [({"prt": 1}, "CATVTON_PRT"), ({"engine": "nope"}, "nope")])
def test_a_wrong_setting_is_refused_by_name(tmp_path, setting, word):
    process = started(tmp_path, data_dir=tmp_path, **setting)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 2 and word in said and "Traceback" not in said
