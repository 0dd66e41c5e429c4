"""A real redis-server on loopback for a test: started as an unprivileged user, with a folder of its own, and killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.ports import free_port

USER = "nobody"


class RedisServer:
    """Not running until `start`; may be stopped and started again on the same port, and then remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder, self._process = folder, None

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "appendonly": "no",
                   "daemonize": "no", "logfile": ""}
        command = ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        as_nobody = {"user": USER, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL, **as_nobody)
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Without a goodbye, as when the machine it runs on dies."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait_until_it_answers(self, seconds: float = 60.0) -> None:
        limit = time.monotonic() + seconds
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert self._process.poll() is None and time.monotonic() < limit, "redis-server does not start"
                    time.sleep(0.02)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="catvton-redis-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
