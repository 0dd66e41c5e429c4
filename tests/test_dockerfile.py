"""The Dockerfile: clean to its linter, and its steps carried out in order as far as a machine without Docker can."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from dockerfile_parse import DockerfileParser

from tests.dockerfile_steps import Build, StepFailed
from tests.hub_world import registry, small_hub
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "Dockerfile"
LINTER = Path(sys.executable).parent / "hadolint"
INDEX = "https://index.example/cpu"


@pytest.fixture
def root():
    """Not pytest's own folder: the container's user must be able to enter it."""
    folder = Path(tempfile.mkdtemp(prefix="catvton-image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def lint(path: Path) -> subprocess.CompletedProcess:
    return subprocess.run([LINTER, path], capture_output=True, text=True)


def instructions() -> list[tuple[str, str]]:
    steps = DockerfileParser(str(DOCKERFILE)).structure
    return [(step["instruction"], step["value"]) for step in steps if step["instruction"] != "COMMENT"]


def test_the_linter_has_nothing_to_say_and_would_say_it(tmp_path):
    clean = lint(DOCKERFILE)
    assert (clean.returncode, clean.stdout) == (0, "")
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace("python:3.12-slim", "python:latest"))
    assert "DL3007" in lint(worse).stdout


def test_it_ends_as_nobody_special_and_leaves_no_secret_in_a_variable():
    steps = instructions()
    names = [name for name, _ in steps]
    assert [value for name, value in steps if name == "USER"] == ["1000"]
    assert names.index("USER") < names.index("CMD") == len(names) - 1
    for name, value in steps:
        assert name not in ("ARG", "ENV") or not re.search(r"token|password|secret|key", value, re.IGNORECASE), value
    assert "HEALTHCHECK" in names and names.count("FROM") == 1


def test_what_is_no_part_of_the_app_is_no_part_of_the_image(root):
    build = Build(DOCKERFILE, context=ROOT, root=root)
    app = build.inside("/home/user/app")
    tops = {path.name for path in app.iterdir()}
    assert tops == {"app.py", "catvton", "densepose", "model", "resource", "README.md", "LICENSE", "NOTICE",
                    *(f"requirements{extra}.txt" for extra in ("", "-c2pa", "-postgres", "-spaces"))}
    assert not list(app.rglob("__pycache__"))
    assert build.env["CATVTON_MODELS_DIR"] == f"{root}/data/models" and build.env["CATVTON_HOST"] == "0.0.0.0"


def test_the_steps_give_an_app_that_serves_is_healthy_and_ends(root):
    build = Build(DOCKERFILE, context=ROOT, root=root, args={"TORCH_INDEX": INDEX, "EXTRAS": "postgres spaces"})
    torch = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch"))
    assert build.pip == [["install", torch, "--index-url", INDEX], ["install", "-r", "requirements.txt"],
                         ["install", "-r", "requirements-postgres.txt"], ["install", "-r", "requirements-spaces.txt"]]
    before = {path for path in root.rglob("*") if path.is_file()}
    with running(build) as port:
        base = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{base}/healthz").json() == {"status": "alive"}
        assert "CatVTON Studio" in httpx.get(base, timeout=60).text
        ready = until(lambda: httpx.get(f"{base}/readyz", timeout=60).status_code == 200, seconds=240)
        assert ready
    grown = {path for path in root.rglob("*") if path.is_file()} - before
    assert grown and all(path.is_relative_to(build.inside("/data")) for path in grown), grown
    assert build.inside("/data").stat().st_mode & 0o777 == 0o700


@contextmanager
def running(build: Build):
    """The image's command, healthy by the image's own check; its port. Ends it by the image's own signal."""
    port = free_port()
    process = build.start(build.cmd, CATVTON_PORT=str(port), OMP_NUM_THREADS="1")
    try:
        assert build.start(build.health, CATVTON_PORT=str(port)).wait(60) != 0, "healthy before it served"
        until(lambda: build.start(build.health, CATVTON_PORT=str(port)).wait(60) == 0, process=process)
        yield port
        process.send_signal(getattr(signal, build.stop_signal))
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and "Traceback" not in said, said
    finally:
        process.kill()
        process.communicate()


def until(true, *, process=None, seconds=240) -> bool:
    limit = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(2)
    return True


# ---- baked weights ---------------------------------------------------------------------------------------------------


def test_weights_can_be_baked_in_with_a_token_that_stays_outside(root, tmp_path):
    with small_hub() as hub:
        hub.token, hub.gated = "hf_of_the_builder", {"lab/base"}
        folder = Path(shutil.copytree(_registry(tmp_path), root / "given"))
        machine = {name: value for name, value in hub.environment().items() if name in ("HF_ENDPOINT", "NO_PROXY")}
        machine["CATVTON_REGISTRY"] = str(folder / "demo.toml")
        build = Build(DOCKERFILE, context=ROOT, root=root, args={"BAKE": "demo other"}, machine=machine,
                      secrets={"hf_token": "hf_of_the_builder\n"})
        assert {request.token for request in hub.asked("unet/config.json")} == {"hf_of_the_builder"}
    assert build.env["CATVTON_MODELS_DIR"] == f"{root}/home/user/app/models"  # not where a volume would hide it
    listed = build.start(["python", "-m", "catvton", "models", "verify"], CATVTON_REGISTRY=machine["CATVTON_REGISTRY"])
    said, _ = listed.communicate(timeout=120)
    assert listed.returncode == 0 and "demo@red" in said and "other@1" in said, said
    assert "hf_of_the_builder" not in str(build.env)
    assert not build.inside("/run/secrets").exists()
    files = [path for path in root.rglob("*") if path.is_file() and path.stat().st_size < 10_000]
    assert all(b"hf_of_the_builder" not in path.read_bytes() for path in files)


def test_an_engine_that_cannot_be_had_ends_the_build(root, tmp_path):
    with small_hub() as hub:
        hub.hidden = {"lab/base"}
        folder = Path(shutil.copytree(_registry(tmp_path), root / "given"))
        machine = {name: value for name, value in hub.environment().items() if name in ("HF_ENDPOINT", "NO_PROXY")}
        with pytest.raises(StepFailed, match="lab/base"):
            Build(DOCKERFILE, context=ROOT, root=root, args={"BAKE": "demo other"},
                  machine=machine | {"CATVTON_REGISTRY": str(folder / "demo.toml")})


def _registry(folder: Path) -> Path:
    place = folder / "registry"
    place.mkdir()
    registry(place)
    os.chmod(place / "demo.toml", 0o644)
    return place
