"""The folder for strangers' pictures: private, and everything in it leaves by one of four ways."""

import os
import stat
import subprocess
import sys
import time

import pytest

from catvton.errors import InputError
from catvton.web.tempfolder import PREFIX, TempFolder

DIES = """
import os, signal, sys
from catvton.web.tempfolder import TempFolder
folder = TempFolder(sys.argv[1])
(folder.path / "photo.png").write_bytes(b"a person")
print(folder.path, flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path):
    folder = TempFolder(tmp_path)
    yield folder
    folder.close()


def upload(folder, name="photo.png", data=b"a person"):
    """What gradio does with an upload."""
    path = folder.path / "f00d" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    folder.uploads.update([str(path)])
    return path


def test_nobody_else_can_look_into_it(folder):
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_an_upload_is_gone_once_it_was_read(folder):
    path = upload(folder)
    assert folder.take(path) == b"a person"
    assert not path.exists()
    with pytest.raises(InputError, match="choose it again") as caught:
        folder.take(path, what="person photo")
    assert caught.value.code == "image.gone"


def test_two_requests_with_the_same_picture_share_a_file_and_both_can_read_it(folder):
    path = upload(folder)
    assert upload(folder) == path
    assert folder.take(path) == b"a person"
    assert folder.take(path) == b"a person"
    assert not path.exists()


def test_an_upload_that_lingers_goes_with_the_sweep_after_its_time(folder):
    path = upload(folder)
    folder.take(path, linger=20)
    folder.sweep(now=time.time() + 10)
    assert path.exists()
    folder.sweep(now=time.time() + 30)
    assert not path.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "", "answers", "."])
def test_only_uploads_are_read(folder, path):
    inside = folder.path / path if path in ("answers", ".") else path
    with pytest.raises(InputError):
        folder.take(inside)
    assert folder.path.is_dir()


def test_a_link_out_of_the_folder_is_not_followed(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s")
    (folder.path / "link").symlink_to(secret)
    with pytest.raises(InputError, match="not an uploaded file"):
        folder.take(folder.path / "link")
    assert secret.exists()


def test_answers_go_after_minutes_and_forgotten_uploads_after_an_hour(folder):
    answer, forgotten = folder.new_file("try-on.png"), upload(folder)
    answer.write_bytes(b"png")
    folder.sweep(now=time.time() + 200)
    assert answer.exists() and forgotten.exists()
    folder.sweep(now=time.time() + 400)
    assert not answer.exists() and forgotten.exists()
    folder.sweep(now=time.time() + 4000)
    folder.sweep(now=time.time() + 4000)  # folders emptied by one sweep go with the next
    assert [path.name for path in folder.path.iterdir()] == ["answers"]


def test_answers_have_names_nobody_can_guess(folder):
    first, second = folder.new_file("a.png"), folder.new_file("a.png")
    assert first != second and len(first.parent.name) == 32


def test_closing_removes_everything(tmp_path):
    folder = TempFolder(tmp_path)
    upload(folder)
    folder.close()
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_when_the_next_starts(tmp_path):
    dead = subprocess.run([sys.executable, "-c", DIES, str(tmp_path), "die"], capture_output=True, text=True)
    left = dead.stdout.strip()
    assert os.path.isfile(os.path.join(left, "photo.png"))
    folder = TempFolder(tmp_path)
    assert not os.path.exists(left)
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_keeps_its_folder(tmp_path):
    alive = subprocess.Popen([sys.executable, "-c", DIES, str(tmp_path), "wait"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    kept = alive.stdout.readline().strip()
    TempFolder(tmp_path).close()
    assert os.path.isfile(os.path.join(kept, "photo.png"))
    alive.communicate("")
    TempFolder(tmp_path).close()
    assert not os.path.exists(kept)


def test_other_folders_and_links_are_left_alone(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / (PREFIX + "link")).symlink_to(mine, target_is_directory=True)
    (mine / "keep").touch()
    TempFolder(tmp_path).close()
    assert (mine / "keep").exists()
