"""models.lock: what is in use, what was before, and what is on the disk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catvton.hub.errors import HubError, LockError
from catvton.hub.lock import Install, Lock, Pin, PinnedFile, as_data, from_data
from catvton.hub.store import Store


def install(version, commit="c1"):
    file = PinnedFile(name="a/model.safetensors", size=3, sha256=f"{version}{commit}")
    return Install(version=version, pins=(Pin(role="base", repo="lab/base", commit=commit, files=(file,)),))


def test_the_first_set_is_used_at_once_and_another_version_waits():
    lock = Lock().with_install("demo", install("red")).with_install("demo", install("blue"))
    assert lock.engine("demo").active == install("red")
    assert lock.install("demo", "blue") == install("blue")
    assert lock.install("demo", "green") is None
    assert lock.rolled_back("demo") is None


def test_a_newer_set_of_the_version_in_use_takes_its_place_and_can_be_taken_back():
    lock = Lock().with_install("demo", install("red")).with_install("demo", install("red", "c2"))
    assert lock.install("demo", "red") == install("red", "c2")
    back = lock.rolled_back("demo")
    assert back.install("demo", "red") == install("red")
    assert back.engine("demo").installed["red"] == install("red", "c2")


def test_using_what_is_used_is_no_step():
    lock = Lock().with_install("demo", install("red"))
    assert lock.using("demo", install("red")) == lock


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
def test_going_back_walks_the_way_one_came(versions):
    lock, way = Lock(), []
    for version in versions:
        if not way or way[-1] != version:
            way.append(version)
        lock = lock.using("demo", install(version)).using("other", install("x"))
    for expected in reversed(way):
        assert lock.engine("demo").active == install(expected)
        assert lock.engine("other").active == install("x")
        lock = lock.rolled_back("demo") or lock
    assert lock.rolled_back("demo") is None


def test_a_file_is_known_wherever_a_set_names_it():
    lock = Lock().using("demo", install("red")).using("demo", install("blue", "c2"))
    assert lock.known("lab/base", "c1", "a/model.safetensors").sha256 == "redc1"
    assert lock.known("lab/base", "c2", "a/model.safetensors").sha256 == "bluec2"
    assert lock.known("lab/base", "c2", "b") is None
    assert lock.known("lab/other", "c1", "a/model.safetensors") is None


def test_what_is_written_is_read_back(tmp_path):
    store = Store(tmp_path / "deep" / "models")
    assert store.read_lock() == Lock()
    lock = Lock().with_install("demo", install("red")).using("demo", install("blue"))
    lock = lock.using("other", Install(version="1"))
    store.write_lock(lock)
    assert store.read_lock() == lock
    assert [path.name for path in store.root.iterdir()] == ["models.lock"]
    assert from_data(json.loads(json.dumps(as_data(lock)))) == lock


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"format": 1}', '{"format": 2, "engines": {}}', '{"format": 1, "engines": []}',
    '{"format": 1, "engines": {"a": {"active": {"version": "1"}, "history": [], "installed": {}}}}',
    '{"format": 1, "engines": {"a": {"active": {"version": "1", "pins": [{}]}, "history": [], "installed": {}}}}',
])  # fmt: skip
def test_a_damaged_lock_is_named_with_what_mends_it(tmp_path, text):
    (tmp_path / "models.lock").write_text(text)
    with pytest.raises(LockError, match=r"models\.lock cannot be read .* Delete it and download your engines again"):
        Store(tmp_path).read_lock()


def test_a_disk_that_cannot_be_written_to_leaves_the_lock_as_it_was(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write_lock(Lock().using("demo", install("red")))

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("catvton.hub.store.os.fsync", full)
    with pytest.raises(HubError, match=r"No space left on device.*CATVTON_MODELS_DIR"):
        store.write_lock(Lock())
    assert store.read_lock().engine("demo").active == install("red")


def test_two_cannot_change_the_folder_at_once(tmp_path):
    store = Store(tmp_path)
    with store.alone(), pytest.raises(HubError, match="Another download is at work"), Store(tmp_path).alone():
        pass
    with store.alone():
        pass


def test_a_home_folder_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Store("~/models").root == tmp_path / "models"
