"""The registry: versions and sources of engines, an operator's own file laid over it, and what may be offered."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from catvton.cards import MODELS, RESOURCE, find_card, read_cards, read_versions
from catvton.errors import InputError, SettingsError
from catvton.hub.download import download
from catvton.hub.lock import Install, Lock
from catvton.hub.offers import forbidden, installed_cards, offer
from catvton.hub.remote import Hub
from catvton.hub.sources import WantedFile, place
from catvton.hub.store import DEFAULT_ROOT, Store
from catvton.settings import Settings
from tests.hub_world import registry, small_hub


@pytest.fixture
def nowhere(tmp_path):
    """A store with nothing in it."""
    return tmp_path / "models"


# ---- the registry that ships -----------------------------------------------------------------------------------------


def shipped(nowhere):
    return [card for cards in read_versions(models_dir=nowhere).values() for card in cards.values()]


def test_every_published_engine_is_there(nowhere):
    assert [card.id for card in shipped(nowhere)] == [
        "compact@4", "compact@fast", "catvton@mix", "catvton@vitonhd", "catvton@dresscode", "catvton-maskfree@mix",
        "deco@vitonhd",
    ]  # fmt: skip
    assert [card.id for card in read_cards(models_dir=nowhere).values()] == [
        "compact@4", "catvton@mix", "catvton-maskfree@mix", "deco@vitonhd",
    ]  # fmt: skip


def test_only_what_ships_needs_no_source(nowhere):
    compact, fast, *others = shipped(nowhere)
    for card in (compact, fast):
        assert (card.kind, card.sources, card.missing_files()) == ("saved", (), [])
    assert all(card.sources and card.folder == nowhere for card in others)
    assert [card.kind for card in others] == ["official", "official", "official", "maskfree", "deco"]


def test_every_engine_has_the_parts_it_is_built_from(nowhere):
    masked = {"base", "vae", "densepose", "schp", "safety"}
    needed = {"official": masked | {"attention"}, "maskfree": {"attention", "base", "vae", "safety"},
              "deco": masked | {"unet"}, "saved": set()}  # fmt: skip
    for card in shipped(nowhere):
        assert {source.role for source in card.sources} == needed[card.kind], card.id


def test_an_engine_is_as_commercial_as_the_least_of_its_weights(nowhere):
    for card in shipped(nowhere):
        assert card.commercial == all(source.commercial for source in card.sources), card.id
        assert card.licence in {"Apache-2.0"} | {source.licence for source in card.sources if not source.commercial}


def test_published_figures_are_written_in_where_they_are_known(nowhere):
    every = {
        (source.repo, choice.name): choice
        for card in shipped(nowhere)
        for source in card.sources
        for wanted in source.files
        for choice in wanted.choices()
    }
    assert {name: (each.size, each.sha256 and each.sha256[:8]) for (_, name), each in every.items() if each.size} == {
        "mix-48k-1024/attention/model.safetensors": (198_303_368, "a1fc093f"),
        "unet/diffusion_pytorch_model.bin": (3_438_412_325, "af4e22ee"),
        "diffusion_pytorch_model.safetensors": (334_643_276, "a1d99348"),
        "DensePose/model_final_162be9.pkl": (255_757_821, None),
        "SCHP/exp-schp-201908301523-atr.pth": (267_445_237, "e9d7c91c"),
        "SCHP/exp-schp-201908261155-lip.pth": (267_449_349, "24fa3254"),
    }
    assert all(each.sha256 is None or len(bytes.fromhex(each.sha256)) == 32 for each in every.values())


def test_pickles_are_the_last_choice_everywhere(nowhere):
    for card in shipped(nowhere):
        for source in card.sources:
            for wanted in source.files:
                kinds = [choice.name.endswith((".bin", ".pth", ".pkl")) for choice in wanted.choices()]
                assert kinds == sorted(kinds), wanted.name


def test_the_registry_names_no_source_in_vain(nowhere):
    used = {source.name for card in shipped(nowhere) for source in card.sources}
    assert used == set(tomllib.loads(MODELS.read_text(encoding="utf-8"))["sources"])


def test_the_store_lies_beside_the_code_by_default():
    assert Store().root == DEFAULT_ROOT == RESOURCE.parent / "models"
    assert read_cards()["catvton"].folder == DEFAULT_ROOT


# ---- versions --------------------------------------------------------------------------------------------------------


def test_versions_share_their_engines_table_and_may_say_otherwise(tmp_path, nowhere):
    demo = read_versions(registry(tmp_path), models_dir=nowhere)["demo"]
    assert {card.id: card.title for card in demo.values()} == {"demo@red": "Demo", "demo@blue": "Demo in blue"}
    assert demo["red"].mend == "python -m catvton models download demo@red"
    assert demo["red"].sources[1:] == demo["blue"].sources[1:]


def test_finding_a_card(tmp_path, nowhere):
    versions = read_versions(registry(tmp_path), models_dir=nowhere)
    assert find_card("demo", versions, lock=Lock()).id == "demo@red"
    assert find_card("demo@blue", versions, lock=Lock()).id == "demo@blue"
    assert find_card("demo", versions, lock=Lock().using("demo", Install(version="blue"))).id == "demo@blue"
    with pytest.raises(InputError, match='no engine "nano": choose one of demo, other'):
        find_card("nano", versions, lock=Lock())
    with pytest.raises(InputError, match='no version "green" of demo: choose one of demo@red, demo@blue'):
        find_card("demo@green", versions, lock=Lock())


def test_an_operators_file_is_laid_over_the_registry(tmp_path, nowhere):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[sources.sd15-inpainting]\nrepo = "my/inpainting"\nmirrors = []\n'
        "[catvton.steps]\ndefault = 30\n[catvton.versions.mix]\nvram_gb = 6.0\n"
    )
    versions = read_versions(overlay=mine, models_dir=nowhere)
    mix = versions["catvton"]["mix"]
    base = next(source for source in mix.sources if source.role == "base")
    assert base.places == [("my/inpainting", "main")]
    assert (mix.steps.default, mix.steps.maximum, mix.vram_gb) == (30, 100, 6.0)
    assert list(versions) == ["compact", "catvton", "catvton-maskfree", "deco"]
    own = read_versions(overlay=registry(tmp_path), models_dir=nowhere)
    assert {"compact", "demo", "other"} <= own.keys()


@pytest.mark.parametrize(("change", "words"), [
    (('kind = "official"', 'kind = "magic"'), r"\[demo\]: kind 'magic' is none of saved"),
    (('kind = "official"', 'precision = "int4"'), r"\[demo\]: precision 'int4' is none of auto"),
    (('sources = ["red", "base", "coder"]', 'sources = ["green"]'), r"\[demo\]: there is no \[sources.green\]"),
    (('"red", "base", "coder"', '"red", "blue"'), r"\[demo\]: two of its sources have the same role"),
    (('sources = ["red", "base", "coder"]', "sources = []"), r"\[demo\]: missing or unknown: files, folder, mend"),
    (('revision = "1"\n', ""), r"\[other\]: missing or unknown: revision"),
    (('role = "vae"', 'role = "eye"'), r"\[sources.coder\]: role 'eye' is none of attention"),
    (('role = "vae"\n', ""), r"\[sources.coder\]: .*role"),
    (('role = "vae"', 'role = "vae"\nrole2 = "vae"'), r"\[sources.coder\]: .*role2"),
    (('repo = "lab/coder"', 'repo = "coder"'), r"\[sources.coder\]: 'coder' is no repository"),
    (('repo = "lab/coder"', 'repo = "../coder"'), r"\[sources.coder\]: '../coder' is no repository"),
    (('"friend/base"', '"friend"'), r"\[sources.base\]: 'friend' is no repository"),
    (('"config.json", "model.safetensors"', '"../config.json"'), r"\[sources.coder\]: '../config.json' is no path"),
    (('"config.json", "model.safetensors"', '"/etc/passwd"'), r"\[sources.coder\]: '/etc/passwd' is no path"),
    (('"unet/model.bin"', '"a\\\\b"'), r"\[sources.base\]: .* is no path"),
    (("[demo]", "[demo"), "cannot be read"),
])  # fmt: skip
def test_a_wrong_registry_is_refused_by_name(tmp_path, nowhere, change, words):
    with pytest.raises(SettingsError, match=words):
        read_cards(registry(tmp_path, change), models_dir=nowhere)


def test_a_registry_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"nothing\.toml cannot be read"):
        read_cards(overlay=tmp_path / "nothing.toml")


def test_choices_by_precision():
    others = tuple(WantedFile(name=name) for name in ("a.fp16.safetensors", "a.bin"))
    wanted = WantedFile(name="a.safetensors", alternatives=others)
    names = {asked: [each.name for each in wanted.choices(asked)] for asked in ("auto", "float16", "float32")}
    assert names == {
        "auto": ["a.safetensors", "a.fp16.safetensors", "a.bin"],
        "float16": ["a.fp16.safetensors", "a.safetensors", "a.bin"],
        "float32": ["a.safetensors", "a.bin"],
    }
    assert (place("a/b"), place("a/b@v1")) == (("a/b", "main"), ("a/b", "v1"))


# ---- what may be offered ---------------------------------------------------------------------------------------------


@pytest.fixture
def world(monkeypatch, tmp_path):
    with small_hub() as hub:
        hub.point_here(monkeypatch, token_file=tmp_path / "no token")
        yield Settings(_env_file=None, registry=registry(tmp_path), models_dir=tmp_path / "models")


def fetch(settings, name):
    cards = read_cards(overlay=settings.registry, models_dir=settings.models_dir)
    download(cards[name], Hub())


def test_what_is_not_complete_is_not_offered(world):
    assert list(installed_cards(world)) == ["compact"]
    refused = offer(world).refused
    assert list(refused) == ["catvton", "catvton-maskfree", "deco", "demo", "other"]
    assert refused["demo"] == (
        "demo@red is not downloaded. To download it: python -m catvton models download demo@red"
    )
    world.models_dir.joinpath("maker--demo", "0", "red").mkdir(parents=True)
    world.models_dir.joinpath("maker--demo", "0", "red", "model.safetensors.partial").write_bytes(b"part")
    assert offer(world).refused["demo"].startswith("demo@red is only half downloaded. To download it: ")
    fetch(world, "demo")
    assert list(installed_cards(world)) == ["compact", "demo"]
    file = installed_cards(world)["demo"].paths["attention"]
    file.write_bytes(b"cut")
    assert list(installed_cards(world)) == ["compact"]
    assert offer(world).refused["demo"] == (
        "demo@red is not complete: maker/demo: red/model.safetensors (3 bytes instead of 60000). "
        "To mend it: python -m catvton models download demo@red"
    )


def test_what_may_not_be_sold_is_not_offered_where_only_that_is_allowed(world):
    fetch(world, "demo")
    fetch(world, "other")
    assert list(installed_cards(world)) == ["compact", "demo", "other"]
    strict = offer(world.model_copy(update={"commercial_only": True}))
    assert list(strict.cards) == ["compact", "other"]
    assert strict.refused["demo"] == (
        "The licence of demo@red (CC-BY-NC-4.0) does not allow commercial use, and CATVTON_COMMERCIAL_ONLY is set."
    )
    assert forbidden(strict.cards["other"]) is None


def test_what_ships_is_offered_even_damaged(world):
    """It says itself what it lacks; an app without any engine could not even say that."""
    overlay = Path(world.registry).with_name("broken.toml")
    overlay.write_text('[compact.versions.4]\nfolder = "nowhere"\n')
    broken = world.model_copy(update={"registry": overlay})
    assert list(installed_cards(broken)) == ["compact"]
    assert installed_cards(broken)["compact"].missing_files()


def test_cards_of_before_still_make_sense(nowhere):
    """A card needs none of what is new, as an engine around a folder has none of it."""
    card = replace(read_cards(models_dir=nowhere)["compact"], folder=nowhere)
    assert (card.paths, card.variants, card.install) == ({}, {}, None)
    assert len(card.missing_files()) == 12
