"""`make test` finds what the tests need of the system, installs it on a bare Debian, and else says what to install."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALL = ("chromium", "redis-server", "pg_ctl", "curl", "node")


@pytest.fixture
def make(tmp_path):
    """Run `make TARGET` on a made-up machine that has some programs: how it ended, and what apt-get was asked for."""

    def run(target: str, *have: str, root: bool = True, apt: bool = True):
        folder = tmp_path / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        log = tmp_path / "apt.log"
        log.write_text("")
        programs = dict.fromkeys(have, "exit 0") | {"id": f"echo {0 if root else 1000}"}
        programs |= {"apt-get": f'echo "$@" >> {log}'} if apt else {}
        for name, text in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        done = subprocess.run([shutil.which("make"), "--no-print-directory", target, "POSTGRES="], cwd=ROOT,
                              env={"PATH": str(folder)}, capture_output=True, text=True)
        asked = [line.split()[-1] for line in log.read_text().splitlines() if line.startswith("install")]
        return done, asked

    return run


def test_where_everything_is_nothing_is_installed(make):
    done, asked = make("system", *ALL)
    assert (done.returncode, asked, done.stdout, done.stderr) == (0, [], "", "")


def test_a_bare_debian_gets_all_of_it(make):
    done, asked = make("system")
    assert done.returncode == 0 and asked == ["fonts-dejavu-core", "redis-server", "postgresql", "curl", "nodejs"]


@pytest.mark.parametrize(("missing", "package"), [("redis-server", "redis-server"), ("pg_ctl", "postgresql"),
                                                  ("chromium", "fonts-dejavu-core"), ("node", "nodejs")])
def test_only_what_is_missing_is_installed(make, missing, package):
    done, asked = make("system", *(name for name in ALL if name != missing))
    assert done.returncode == 0 and asked == [package]


@pytest.mark.parametrize("machine", [{"root": False}, {"apt": False}])
@pytest.mark.parametrize(("missing", "named"), [("redis-server", "Redis"), ("pg_ctl", "PostgreSQL"),
                                                ("chromium", "Chromium")])
def test_who_may_not_install_is_told_what_to_install(make, machine, missing, named):
    done, asked = make("system", *(name for name in ALL if name != missing), **machine)
    assert done.returncode != 0 and asked == []
    assert done.stderr.startswith(f"The tests need {named}") and "run make test again" in done.stderr


def test_make_test_asks_for_it():
    text = (ROOT / "Makefile").read_text()
    assert "\ntest: $(VENV)/.stamp-dev system\n" in text
