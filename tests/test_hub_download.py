"""An engine's files through the real path: planned, fetched from a hub over HTTP, locked, looked over, switched."""

from __future__ import annotations

import hashlib
from collections import namedtuple
from dataclasses import replace

import pytest

from catvton.cards import ModelCard, find_card, read_cards, read_versions
from catvton.errors import WeightsError
from catvton.hub.download import download
from catvton.hub.errors import HubError
from catvton.hub.plan import Wish
from catvton.hub.remote import Hub
from catvton.hub.store import Store
from catvton.hub.switch import rollback, use
from catvton.hub.verify import begun, faults, human, in_words
from tests.hub_world import BASE, BLUE, CODER, DEMO_BYTES, RED, REPOS, noise, registry, small_hub


class World:
    """A hub, a registry and an empty store."""

    def __init__(self, hub, folder):
        self.hub, self.folder = hub, folder
        self.registry = registry(folder)
        self.store = Store(folder / "models")

    def card(self, wish="demo") -> ModelCard:
        versions = read_versions(self.registry, models_dir=self.store.root)
        return find_card(wish, versions, lock=self.store.read_lock())

    def download(self, wish="demo", *, token=None, **options):
        self.hub.forget()
        return download(self.card(wish), Hub(token=token), wish=Wish(**options))

    def refused(self, wish="demo", **options) -> HubError:
        before = (self.store.root / "models.lock").exists() and self.store.read_lock()
        with pytest.raises(HubError) as caught:
            self.download(wish, **options)
        assert ((self.store.root / "models.lock").exists() and self.store.read_lock()) == before
        assert "\n" not in str(caught.value)
        return caught.value

    def path(self, repo, name):
        return self.store.file(repo, self.hub.commit(repo), name)

    @property
    def fetched(self):
        return sorted(self.hub.sent)


@pytest.fixture
def world(monkeypatch, tmp_path):
    with small_hub() as hub:
        hub.point_here(monkeypatch, token_file=tmp_path / "no token")
        yield World(hub, tmp_path)


# ---- a first download ------------------------------------------------------------------------------------------------


def test_a_set_is_complete_locked_and_nothing_else_is_fetched(world):
    card = world.card()
    assert len(faults(card)) == 5
    with pytest.raises(WeightsError, match=r"lacks 5 of its files.*To bring them back: .* models download demo@red"):
        card.require_files()
    done = world.download()
    assert (done.fetched, done.active, done.mirrors) == (DEMO_BYTES, True, ())
    assert world.fetched == ["config.json", "model.safetensors", "red/model.safetensors", "unet/config.json",
                             "unet/model.safetensors"]  # fmt: skip
    card = world.card()
    assert faults(card, full=True) == card.missing_files() == []
    card.require_files()
    pins = {pin.role: pin for pin in card.install.pins}
    assert pins["attention"].commit == world.hub.commit("maker/demo")
    assert pins["attention"].files[0].sha256 == hashlib.sha256(RED).hexdigest()


def test_every_role_is_found_on_the_disk(world):
    world.download()
    paths = world.card().paths
    assert paths["attention"].read_bytes() == RED
    assert (paths["base"] / "unet/model.safetensors").read_bytes() == BASE
    assert (paths["vae"] / "model.safetensors").read_bytes() == CODER
    assert paths["vae"] == world.store.root / "lab--coder" / world.hub.commit("lab/coder")
    assert world.card().variants == {"attention": None, "base": None, "vae": None}


def test_paths_of_what_is_not_there_are_refused_with_the_command(world):
    with pytest.raises(WeightsError, match="models download demo@red"):
        _ = world.card().paths


def test_a_complete_set_needs_no_network(world, monkeypatch):
    world.download()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert world.download().fetched == 0
    assert world.hub.requests == []
    assert world.refused("demo@blue").code == "hub.offline"


def test_engines_share_what_they_have_in_common(world):
    world.download()
    world.download("other")
    assert world.fetched == ["net/config.json", "net/model.safetensors"]
    world.download("demo@blue")
    assert world.fetched == ["blue/model.safetensors"]
    assert world.card("other").paths["vae"] == world.card("demo@blue").paths["vae"]


def test_the_lock_is_used_even_when_the_hub_moves_on(world):
    world.download()
    before = world.card()
    world.hub.publish("lab/coder", {"config.json": b"{}", "model.safetensors": noise(9)})
    assert world.download().fetched == 0
    before.paths["vae"].joinpath("model.safetensors").unlink()
    assert world.download().fetched == len(CODER)  # the old file, from the old commit
    assert world.card() == before


def test_an_update_takes_the_new_commit_and_can_be_taken_back_without_the_hub(world):
    world.download()
    old = world.card()
    world.hub.publish("lab/coder", {"config.json": b"{}", "model.safetensors": noise(9)})
    done = world.download(update=True)
    assert done.fetched == 60_000 + 2
    new = world.card()
    assert new.paths["vae"] != old.paths["vae"]
    world.hub.answer = 503
    rollback(world.store, "demo")
    assert world.card() == old
    assert faults(world.card(), full=True) == []
    assert world.download().fetched == 0  # looks the old set over and leaves it in use
    assert world.card() == old
    use(world.store, new)
    assert world.card() == new


# ---- killed, damaged, missing ----------------------------------------------------------------------------------------


def test_a_download_killed_half_way_goes_on_with_the_rest(world):
    world.hub.die_after = 25_000
    error = world.refused()
    assert "red/model.safetensors of maker/demo" in str(error)
    assert str(error).endswith("what has arrived is kept. Then run: python -m catvton models download demo@red")
    card = world.card()
    assert begun(card)
    assert not begun(world.card("demo@blue"))
    assert "red/model.safetensors (half downloaded: 25.0 kB)" in in_words(faults(card))
    world.hub.die_after = None
    assert world.download().fetched == DEMO_BYTES - 25_000
    assert world.hub.sent["red/model.safetensors"] == len(RED) - 25_000
    assert faults(world.card(), full=True) == []
    assert not list(world.store.root.rglob("*.partial*"))


def test_files_that_arrived_before_it_broke_off_are_not_fetched_again(world):
    world.hub.corrupt = {"unet/model.safetensors"}
    assert world.refused().code == "hub.damaged"
    assert in_words(faults(world.card())).startswith("lab/base: unet/model.safetensors (missing); lab/coder: ")
    world.hub.corrupt = set()
    world.download()
    assert world.fetched == ["config.json", "model.safetensors", "unet/model.safetensors"]


def test_a_set_that_is_there_but_not_locked_is_not_complete(world):
    world.download()
    (world.store.root / "models.lock").unlink()
    assert in_words(faults(world.card())) == "the store: models.lock (does not list them yet)"
    assert world.download().fetched == 0
    assert faults(world.card()) == []


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_file_is_named_and_only_it_is_mended(world, harm):
    world.download()
    path = world.path("lab/base", "unet/model.safetensors")
    data = path.read_bytes()
    if harm == "flip":
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    elif harm == "cut":
        path.write_bytes(data[:100])
    else:
        path.unlink()
    (found,) = faults(world.card(), full=True)
    assert (found.path, found.repo, found.name) == (path, "lab/base", "unet/model.safetensors")
    assert {"flip": "damaged: sha256", "cut": "100 bytes instead of 60000", "remove": "missing"}[harm] in found.what
    assert [fault.path for fault in faults(world.card())] == ([] if harm == "flip" else [path])
    world.download()
    assert world.fetched == ["unet/model.safetensors"]
    assert path.read_bytes() == data


def test_a_registry_that_asks_for_more_than_the_lock_has(world):
    world.download()
    registry(world.folder, ('"config.json", "model.safetensors"', '"config.json", "model.safetensors", "more.json"'))
    assert in_words(faults(world.card())) == "lab/coder: more.json (missing)"
    assert "lab/coder has no more.json" in str(world.refused())
    commit = world.hub.publish("lab/coder", {**REPOS["lab/coder"], "more.json": b"[]"})
    world.download(update=True)
    assert world.fetched == ["config.json", "model.safetensors", "more.json"]  # of the new commit
    assert world.card().paths["vae"].name == commit


def test_a_commit_that_is_gone_is_said_so_with_the_way_out(world):
    world.download()
    world.path("lab/coder", "model.safetensors").unlink()
    world.hub.remove("lab/coder")
    world.hub.publish("lab/coder", {"config.json": b"[]", "model.safetensors": CODER})
    error = str(world.refused())
    assert "lab/coder has no revision" in error
    assert "--update takes what is published now" in error
    world.download(update=True)
    assert faults(world.card(), full=True) == []


# ---- where it comes from ---------------------------------------------------------------------------------------------


def test_mirrors_are_asked_in_turn(world):
    world.hub.remove("lab/base")
    error = world.refused()
    assert error.code == "hub.closed"
    assert "There is no lab/base" in str(error)
    assert "mirrors do not have it either: friend/base, friend/old" in str(error)
    world.hub.publish("friend/old", REPOS["lab/base"], branch="v1")
    done = world.download()
    assert done.mirrors == ("friend/old",)
    assert (world.card().paths["base"] / "unet/model.safetensors").read_bytes() == BASE


def test_a_gated_repository_is_said_so_before_anything_is_fetched(world):
    world.hub.gated, world.hub.token = {"lab/coder"}, "hf_good"
    error = world.refused()
    assert error.code == "hub.gated"
    assert str(error).startswith("lab/coder is gated: ask for access at http")
    assert world.hub.sent == {}
    world.download(token="hf_good")
    assert faults(world.card()) == []


def test_a_wrong_token_is_not_tried_at_the_mirrors(world):
    world.hub.token = "hf_good"
    assert world.refused(token="hf_bad").code == "hub.token"
    assert len(world.hub.requests) == 1


def test_another_repository_may_be_chosen(world):
    world.hub.publish("my/base", {**REPOS["lab/base"], "unet/model.safetensors": noise(8)}, branch="mine")
    world.download(repos={"base": "my/base@mine"})
    assert (world.card().paths["base"] / "unet/model.safetensors").read_bytes() == noise(8)
    assert world.download().fetched == 0


def test_a_file_other_than_the_registrys_is_not_taken(world):
    right = hashlib.sha256(CODER).hexdigest()
    files = '"config.json", "model.safetensors"'
    wrong = {f'sha256 = "{"0" * 64}"': f"sha256 {'0' * 64} and {right}", "size = 5": "size 5 and 60000"}
    for figure, words in wrong.items():
        registry(world.folder, (files, f'"config.json", {{ name = "model.safetensors", {figure} }}'))
        error = world.refused()
        assert error.code == "hub.other"
        assert "lab/coder has another model.safetensors than the one that is known" in str(error)
        assert words in str(error)
        assert world.hub.sent == {}
    known = f'size = 60000, sha256 = "{right}"'
    registry(world.folder, (files, f'"config.json", {{ name = "model.safetensors", {known} }}'))
    world.download()


def test_alternatives_and_precision(world):
    half, pickle = noise(11), noise(12)
    files = {"unet/config.json": b"{}", "unet/model.fp16.safetensors": half, "unet/model.bin": pickle}
    world.hub.publish("lab/base", files)
    world.download()
    assert world.fetched == ["config.json", "model.safetensors", "red/model.safetensors", "unet/config.json",
                             "unet/model.fp16.safetensors"]  # fmt: skip
    assert world.card().variants["base"] == "fp16"
    world.download(precision="float32")
    assert world.fetched == ["unet/model.bin"]
    assert world.card().variants["base"] is None
    assert world.download().fetched == 0  # what was chosen once is kept
    world.path("lab/base", "unet/model.bin").unlink()
    world.download()
    assert world.fetched == ["unet/model.bin"]
    world.download(precision="float16")
    assert world.fetched == []  # it is there already
    assert world.card().variants["base"] == "fp16"


def test_a_precision_nobody_has_is_refused(world):
    world.hub.publish("lab/base", {"unet/config.json": b"{}", "unet/model.fp16.safetensors": noise(11)})
    assert "lab/base has no unet/model.safetensors nor unet/model.bin" in str(world.refused(precision="float32"))


def test_an_optional_file_is_taken_where_it_is(world):
    world.hub.publish("lab/base", {**REPOS["lab/base"], "notes.txt": b"hello"})
    world.download()
    assert world.path("lab/base", "notes.txt").read_bytes() == b"hello"


def test_no_room_is_said_before_anything_is_fetched(world, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("catvton.hub.download.shutil.disk_usage", lambda path: usage(10**9, 0, DEMO_BYTES - 1))
    error = world.refused()
    assert error.code == "hub.space"
    assert "180 kB are to come and 180 kB are free" in str(error)
    assert world.hub.sent == {}
    monkeypatch.setattr("catvton.hub.download.shutil.disk_usage", lambda path: usage(10**9, 0, DEMO_BYTES))
    world.download()


def test_what_is_half_there_needs_no_second_room(world, monkeypatch):
    world.hub.die_after = 25_000
    world.refused()
    world.hub.die_after = None
    usage = namedtuple("usage", "total used free")
    free = usage(10**9, 0, DEMO_BYTES - 25_000)
    monkeypatch.setattr("catvton.hub.download.shutil.disk_usage", lambda path: free)
    world.download()


# ---- switching -------------------------------------------------------------------------------------------------------


def test_versions_are_switched_and_taken_back(world):
    world.download()
    done = world.download("demo@blue")
    assert not done.active
    assert world.card().id == "demo@red"
    use(world.store, world.card("demo@blue"))
    assert world.card().id == "demo@blue"
    assert world.card().paths["attention"].read_bytes() == BLUE
    use(world.store, world.card("demo@red"))
    assert [rollback(world.store, "demo").version for _ in range(2)] == ["blue", "red"]
    with pytest.raises(HubError, match="nothing to go back to: demo"):
        rollback(world.store, "demo")
    assert world.card().id == "demo@red"


def test_what_is_not_complete_cannot_be_put_in_use(world):
    with pytest.raises(HubError, match=r"demo@blue is not downloaded. To download it: .* models download demo@blue"):
        use(world.store, world.card("demo@blue"))
    world.download("demo@red")
    world.download("demo@blue")
    world.path("maker/demo", "blue/model.safetensors").unlink()
    with pytest.raises(HubError, match=r"maker/demo: blue/model.safetensors \(missing\). To mend it: .* demo@blue"):
        use(world.store, world.card("demo@blue"))
    assert world.card().id == "demo@red"


def test_a_version_the_registry_no_longer_has_falls_back_to_the_first(world, caplog):
    world.download("demo@red")
    world.download("demo@blue")
    use(world.store, world.card("demo@blue"))
    registry(world.folder, ("[demo.versions.blue]", "[demo.versions.green]"))
    assert read_cards(world.registry, models_dir=world.store.root)["demo"].id == "demo@red"
    assert "demo@blue, which this registry does not have" in caplog.text


def test_a_damaged_lock_stops_commands_and_not_the_reading_of_cards(world, caplog):
    world.download()
    (world.store.root / "models.lock").write_text("{")
    card = read_cards(world.registry, models_dir=world.store.root)["demo"]
    assert card.install is None
    assert "models.lock cannot be read" in caplog.text
    with pytest.raises(HubError, match="Delete it and download"):
        download(card, Hub())
    (world.store.root / "models.lock").unlink()
    assert world.download().fetched == 0  # what was there and right was kept


def test_a_card_is_a_value(world):
    world.download()
    assert world.card() == world.card()
    assert replace(world.card(), install=None) != world.card()


@pytest.mark.parametrize(("size", "words"), [
    (0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (198_303_368, "198 MB"), (3_438_412_325, "3.4 GB"),
    (None, "unknown size"),
])  # fmt: skip
def test_sizes_as_people_write_them(size, words):
    assert human(size) == words
