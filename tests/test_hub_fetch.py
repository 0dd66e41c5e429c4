"""One file from a hub over HTTP: whole, in parts, damaged, refused. Real sockets on this machine."""

from __future__ import annotations

import errno
import hashlib
import resource
from dataclasses import replace

import pytest

from catvton.hub.errors import HubError, NotServed
from catvton.hub.fetch import fetch
from catvton.hub.remote import Hub, RemoteFile
from tests.fake_hub import FakeHub
from tests.hub_world import noise

REPO, WEIGHTS, TEXT = "maker/demo", "deep/model.safetensors", "config.json"
DATA = noise(7, 2_500_000)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub({REPO: {WEIGHTS: DATA, TEXT: b"{}", "empty.json": b""}}) as running:
        running.point_here(monkeypatch, token_file=tmp_path / "no token")
        yield running


class Taken:
    """Fetches into a folder and keeps what was counted."""

    def __init__(self, folder):
        self.folder, self.counts = folder, []

    def __call__(self, hub, name=WEIGHTS, *, token=None, **known):
        remote = Hub(token=token)
        listing = remote.look(REPO, "main")
        file = replace(listing.files[name], **known)
        return fetch(
            lambda headers: remote.open(REPO, listing.commit, name, headers=headers),
            self.folder / name,
            file=file,
            count=self.counts.append,
        )

    def __getitem__(self, name):
        return (self.folder / name).read_bytes()

    @property
    def files(self):
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def take(tmp_path):
    return Taken(tmp_path / "store")


def broken_off(hub, take, after):
    hub.die_after = after
    with pytest.raises(HubError, match="kept"):
        take(hub)
    hub.die_after = None
    hub.forget()
    take.counts.clear()


# ---- what arrives ----------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_and_alone(hub, take):
    pinned = take(hub)
    assert take[WEIGHTS] == DATA
    assert (pinned.name, pinned.size, pinned.sha256) == (WEIGHTS, len(DATA), hashlib.sha256(DATA).hexdigest())
    assert take.files == [WEIGHTS]
    assert sum(take.counts) == len(DATA)


def test_small_files_and_empty_ones(hub, take):
    assert take(hub, TEXT).sha256 == hashlib.sha256(b"{}").hexdigest()
    assert take(hub, "empty.json").size == 0
    assert take["empty.json"] == b""


def test_the_token_is_shown_to_the_hub_and_to_nobody_else(hub, take):
    hub.token = "hf_secret"
    take(hub, token="hf_secret")
    assert {each.token for each in hub.requests if each.host == "hub"} == {"hf_secret"}
    assert [each.token for each in hub.requests if each.host == "cdn"] == [None]


# ---- what broke off --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 1_000_000, 1_048_576, len(DATA) - 1])
def test_only_the_rest_is_fetched(hub, take, after):
    broken_off(hub, take, after)
    assert take.files == [f"{WEIGHTS}.partial", f"{WEIGHTS}.partial.etag"]
    assert take(hub).size == len(DATA)
    assert take[WEIGHTS] == DATA
    assert [each.range for each in hub.asked(WEIGHTS)] == [f"bytes={after}-"]
    assert hub.sent[WEIGHTS] == sum(take.counts) == len(DATA) - after
    assert take.files == [WEIGHTS]


def test_it_may_break_off_any_number_of_times(hub, take):
    for _ in range(3):
        broken_off(hub, take, 600_000)
    take(hub)
    assert hub.asked(WEIGHTS)[0].range == "bytes=1800000-"
    assert take[WEIGHTS] == DATA


def test_a_server_that_ignores_ranges_sends_it_all_once(hub, take):
    broken_off(hub, take, 1_000_000)
    hub.ignore_ranges = True
    take(hub)
    assert take[WEIGHTS] == DATA
    assert hub.sent[WEIGHTS] == len(DATA)
    assert sum(take.counts) == len(DATA) - 1_000_000  # what was counted before is taken back


def test_a_part_of_another_file_is_not_gone_on_with(hub, take):
    broken_off(hub, take, 1_000_000)
    (take.folder / f"{WEIGHTS}.partial.etag").write_text("another tag")
    take(hub)
    assert take[WEIGHTS] == DATA
    assert [each.range for each in hub.asked(WEIGHTS)] == ["bytes=1000000-", None]


def test_a_part_without_a_tag_is_nobodys(hub, take):
    broken_off(hub, take, 1_000_000)
    (take.folder / f"{WEIGHTS}.partial.etag").unlink()
    take(hub)
    assert take[WEIGHTS] == DATA
    assert [each.range for each in hub.asked(WEIGHTS)] == [None]


@pytest.mark.parametrize("size", [len(DATA), None])
def test_more_than_there_can_be_is_thrown_away(hub, take, size):
    broken_off(hub, take, 1_000_000)
    partial = take.folder / f"{WEIGHTS}.partial"
    partial.write_bytes(DATA + b"more")
    take(hub, size=size)
    assert take[WEIGHTS] == DATA
    assert hub.asked(WEIGHTS)[-1].range is None


def test_when_only_the_last_move_was_missing_nothing_is_fetched(hub, take):
    broken_off(hub, take, 1_000_000)
    (take.folder / f"{WEIGHTS}.partial").write_bytes(DATA)
    take(hub)
    assert take[WEIGHTS] == DATA
    assert hub.asked(WEIGHTS) == []


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "what"), [(WEIGHTS, "sha256"), (TEXT, "git sha1")])
def test_a_wrong_byte_is_seen_and_nothing_is_kept(hub, take, name, what):
    hub.corrupt = {name}
    with pytest.raises(HubError, match=f"{name} arrived damaged.*{what}") as caught:
        take(hub, name)
    assert caught.value.code == "hub.damaged"
    assert take.files == []
    hub.corrupt = set()
    take(hub, name)
    assert take.files == [name]


def test_a_wrong_byte_in_the_first_half_is_seen_after_the_second(hub, take):
    broken_off(hub, take, 1_000_000)
    partial = take.folder / f"{WEIGHTS}.partial"
    partial.write_bytes(b"x" + partial.read_bytes()[1:])
    with pytest.raises(HubError, match="damaged"):
        take(hub)
    assert take.files == []


def test_a_file_that_ends_early_without_a_word_is_kept_and_gone_on_with(hub, take):
    file = RemoteFile(name=TEXT, size=5, sha256=hashlib.sha256(b"{}").hexdigest())
    remote = Hub()
    with pytest.raises(HubError, match="broke off at 2 bytes of 5 bytes"):
        fetch(lambda headers: remote.open(REPO, "main", TEXT, headers=headers), take.folder / TEXT, file=file,
              count=lambda number: None)  # fmt: skip
    assert f"{TEXT}.partial" in take.files


@pytest.fixture
def small_disk():
    """No file of this process may grow beyond a million bytes: the system refuses, as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_so_and_what_is_there_is_kept(hub, take, small_disk):
    with pytest.raises(HubError, match=r"Cannot write in .*CATVTON_MODELS_DIR") as caught:
        take(hub)
    assert caught.value.code == "hub.disk"
    assert DATA.startswith((take.folder / f"{WEIGHTS}.partial").read_bytes())


def test_a_disk_that_is_full_with_the_last_bytes_still_in_memory(hub, take, small_disk):
    hub.publish(REPO, {WEIGHTS: DATA[:1_003_000]})
    broken_off(hub, take, 998_000)
    with pytest.raises(HubError, match=r"Cannot write in .*CATVTON_MODELS_DIR"):
        take(hub)


def test_a_disk_that_fails_at_the_very_end(hub, take, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("catvton.hub.fetch.os.fsync", full)
    with pytest.raises(HubError, match=r"No space left on device.*CATVTON_MODELS_DIR") as caught:
        take(hub)
    assert caught.value.code == "hub.disk"


def test_a_folder_that_cannot_be_made(hub, take):
    take.folder.parent.mkdir(exist_ok=True)
    take.folder.write_text("a file where the folder should be")
    with pytest.raises(HubError, match="Cannot write in"):
        take(hub)


# ---- what is refused -------------------------------------------------------------------------------------------------


def look(repo=REPO, revision="main", token=None):
    return Hub(token=token).look(repo, revision)


def test_a_listing_has_every_figure(hub):
    found = look()
    assert found.commit == hub.commit(REPO)
    assert found.files[WEIGHTS] == RemoteFile(name=WEIGHTS, size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())
    git = hashlib.sha1(b"blob 2\0{}").hexdigest()
    assert found.files[TEXT] == RemoteFile(name=TEXT, size=2, git_sha1=git)
    assert look(revision=found.commit) == found


@pytest.mark.parametrize(
    ("token", "repo", "revision", "kind", "code", "words"),
    [
        (None, "no/body", "main", NotServed, "hub.closed", "does not exist, or if it is private, give an access token"),
        ("hf_good", "no/body", "main", NotServed, "hub.gone", "There is no no/body"),
        (None, REPO, "old", NotServed, "hub.gone", "has no revision old"),
        (None, "maker/gated", "main", NotServed, "hub.gated", "is gated: ask for access at .*/maker/gated and give"),
        (None, "maker/hidden", "main", NotServed, "hub.closed", "CATVTON_HF_TOKEN"),
        ("hf_bad", REPO, "main", HubError, "hub.token", "does not know the access token: check CATVTON_HF_TOKEN"),
        ("hf_\nbad", REPO, "main", HubError, "hub.token", "copy it again"),
        (None, "a b/c", "main", HubError, "hub.answer", "a b/c"),
    ],
)
def test_every_refusal_is_a_sentence(hub, token, repo, revision, kind, code, words):
    hub.publish("maker/gated", {"a.json": b"{}"})
    hub.publish("maker/hidden", {"a.json": b"{}"})
    hub.gated, hub.hidden, hub.token = {"maker/gated"}, {"maker/hidden"}, "hf_good"
    with pytest.raises(HubError, match=words) as caught:
        look(repo, revision, token)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_the_right_token_opens_what_is_gated_and_hidden(hub, monkeypatch):
    hub.publish("maker/closed", {"a.json": b"{}"})
    hub.gated = hub.hidden = {"maker/closed"}
    hub.token = "hf_good"
    assert look("maker/closed", token="hf_good").files
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    assert look("maker/closed").files


def test_a_file_that_went_away_meanwhile(hub, tmp_path):
    with pytest.raises(NotServed, match=r"no gone.bin of maker/demo"), Hub().open(REPO, "main", "gone.bin", headers={}):
        pass


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_out_of_order(hub, status):
    hub.answer = status
    with pytest.raises(HubError, match=f"answers {status}.*try again later") as caught:
        look()
    assert caught.value.code == "hub.answer"


def test_no_network(hub, monkeypatch):
    hub.point_here(monkeypatch, token_file="no token")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"The connection to http://127.0.0.1:9 failed") as caught:
        look()
    assert caught.value.code == "hub.connection"


def test_offline_is_obeyed(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set") as caught:
        look()
    assert caught.value.code == "hub.offline"
    assert hub.requests == []


def test_a_server_that_is_no_hub(hub, monkeypatch):
    monkeypatch.setattr("tests.fake_hub._Handler._list", lambda self, *_: self._answer(200, {}, b"<html>hello"))
    with pytest.raises(HubError, match="does not answer like a hub"):
        look()
    monkeypatch.setattr("tests.fake_hub._Handler._list", lambda self, *_: self._answer(200, {}, b'{"id": "a/b"}'))
    with pytest.raises(HubError, match="names no commit"):
        look()


def test_a_hub_that_falls_silent(hub, take, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1.0)
    hub.stall_after = 1000
    with pytest.raises(HubError, match="silent for too long") as caught:
        take(hub)
    assert caught.value.code == "hub.connection"
    assert f"{WEIGHTS}.partial" in take.files
