"""The process: it serves, ends when told to, leaves nothing behind, and says in words why it cannot start."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

APP = Path(__file__).resolve().parent.parent / "app.py"


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(folder, **settings):
    environment = os.environ | {f"CATVTON_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen([sys.executable, str(APP)], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(url, process, seconds=300):
    limit = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url, timeout=60)
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < limit, "it never served"
            time.sleep(0.2)


def test_the_app_serves_and_ends_cleanly(tmp_path, port):
    process = started(tmp_path, port=port, temp_dir=tmp_path)
    page = wait_for(f"http://127.0.0.1:{port}/", process)
    assert page.status_code == 200 and "CatVTON Studio" in page.text
    assert any(tmp_path.iterdir())

    second = started(tmp_path, port=port, temp_dir=tmp_path)
    assert f"Cannot serve on 127.0.0.1:{port}" in second.communicate()[1]
    assert second.returncode == 2

    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=120)
    assert process.returncode == 0 and f"serving on http://127.0.0.1:{port}/" in log and "Traceback" not in log
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("setting", "word"), [({"prt": 1}, "CATVTON_PRT"), ({"engine": "nope"}, "nope")])
def test_a_wrong_setting_is_refused_by_name(tmp_path, setting, word):
    process = started(tmp_path, **setting)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 2 and word in said and "Traceback" not in said
