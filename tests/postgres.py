"""A real PostgreSQL server for the tests: of Debian's package, on loopback, with a folder of its own, never as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

NAME = "catvton"
UNPRIVILEGED = ("postgres", "nobody")  # who runs it where the tests run as root, which PostgreSQL refuses


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that can be stopped and started again.

    Attributes:
        url: SQLAlchemy's address of an empty database.
    """

    folder: Path
    port: int
    binaries: Path
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql://{NAME}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -F -c shared_buffers=16MB -c max_connections=40"
        self._run("pg_ctl", "-w", "-s", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options,
                  "start")  # fmt: skip

    def stop(self) -> None:
        """At once, as by a crash: open connections break."""
        self._run("pg_ctl", "-w", "-s", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def make(self) -> None:
        self._run("initdb", "-D", str(self.folder / "data"), "-U", NAME, "-A", "trust", "-E", "UTF8", "--locale", "C",
                  "--no-sync", "--no-instructions")  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        # Files, not pipes: the server that pg_ctl leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run([self.binaries / program, *arguments], user=self.user, cwd=self.folder, stdout=said,
                                  stderr=said, stdin=subprocess.DEVNULL, timeout=120,
                                  env={"PATH": os.environ["PATH"], "LC_ALL": "C"})  # fmt: skip
            said.seek(0)
            assert done.returncode == 0, said.read().decode(errors="replace")


@contextmanager
def postgres() -> Iterator[Server]:
    """A running server with an empty database, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="catvton-postgres-"))  # not pytest's folder: nobody else may enter that
    user = _unprivileged() if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    server = Server(folder=folder, port=free_port(), binaries=_binaries(), user=user)
    try:
        server.make()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Where initdb and pg_ctl are: Debian keeps them off the path, by version."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
              *(Path(found).resolve().parent for found in [shutil.which("pg_ctl")] if found)]  # fmt: skip
    for place in places:
        if (place / "initdb").is_file() and (place / "pg_ctl").is_file():
            return place
    raise AssertionError("PostgreSQL is not installed: apt-get install postgresql (make test does it).")


def _unprivileged() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)
