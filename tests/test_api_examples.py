"""The examples of the API, run as a reader would run them, against a live server."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catvton.service.accounts import Accounts
from catvton.settings import Settings
from tests.web_fakes import FakeTryOn, garment_picture, person_picture, saved, serving

EXAMPLES = Path(__file__).resolve().parent.parent / "resource" / "clients"
COMMANDS = {
    "tryon_gradio.py": [sys.executable],
    "tryon_rest.py": [sys.executable],
    "tryon.sh": ["sh"],
    "tryon.mjs": ["node"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("visitor")
    saved(person_picture(), folder / "person.jpg")
    saved(garment_picture(), folder / "garment.jpg")
    (folder / "broken.jpg").write_bytes((folder / "person.jpg").read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of somebody with an account on a server that asks for one."""
    home = tmp_path_factory.mktemp("server")
    accounts = Accounts.of(Settings(data_dir=home))
    accounts.add("ana", "correct horse")
    _, key = accounts.new_key("ana")
    with serving(FakeTryOn(), home, examples=False, auth="password", data_dir=home) as server:
        yield {"APP": server.url.rstrip("/"), "CATVTON_KEY": key, "CATVTON_USER": "ana",
               "CATVTON_PASSWORD": "correct horse"}


def run(example, folder, environment, *arguments):
    interpreter = [shutil.which(COMMANDS[example][0]) or pytest.fail(f"{COMMANDS[example][0]} is not installed")]
    return subprocess.run([*interpreter, EXAMPLES / example, *arguments], cwd=folder, text=True, capture_output=True,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(folder)} | environment, timeout=600)


@pytest.mark.parametrize("example", COMMANDS)
def test_an_example_makes_a_picture(example, folder, environment):
    done = run(example, folder, environment, "person.jpg", "garment.jpg", f"{example}.png")
    assert done.returncode == 0, done.stdout + done.stderr
    with Image.open(folder / f"{example}.png") as picture:
        assert picture.format == "PNG" and np.asarray(picture).shape == (400, 300, 3)
    assert f"{example}.png" in done.stdout and not done.stderr
    if example != "tryon.sh":
        assert "engine plain@1, seed 42, job 000000000000" in done.stdout


@pytest.mark.parametrize("example", COMMANDS)
def test_and_says_what_is_wrong_by_its_code(example, folder, environment):
    done = run(example, folder, environment, "broken.jpg", "garment.jpg", "none.png")
    assert done.returncode == 1 and "image.broken" in done.stderr, done.stdout + done.stderr
    assert not (folder / "none.png").exists()


@pytest.mark.parametrize("example", ["tryon_rest.py", "tryon.sh", "tryon.mjs"])
def test_without_its_key_it_is_told_so(example, folder, environment):
    done = run(example, folder, environment | {"CATVTON_KEY": "wrong"}, "person.jpg", "garment.jpg", "none.png")
    assert done.returncode == 1 and "account.key" in done.stderr


def test_there_is_no_example_that_is_not_run():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(COMMANDS)
