"""The registry of engines, loading one from its folder, and where it computes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from catvton import devices
from catvton.cards import MODELS, read_cards
from catvton.engines import PipelineEngine
from catvton.errors import Cancelled, SettingsError, WeightsError
from tests import tiny


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the tiny pipeline saved in it."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    tiny.tiny_pipeline().save_pretrained(folder)
    return folder


def generate(engine, **changes):
    options = {"steps": 2, "guidance": 2.5, "generator": torch.Generator().manual_seed(1)} | changes
    return engine.generate(tiny.person(tiny.SIZE), tiny.garment(), tiny.mask(tiny.SIZE), **options)


# ---- the registry ----------------------------------------------------------------------------------------------------


def test_the_registry_that_ships():
    cards = read_cards()
    compact = next(iter(cards.values()))
    assert compact.name == "compact"
    assert compact.commercial
    assert compact.folder == MODELS.parent / "compact"
    assert (compact.guidance.minimum, compact.guidance.maximum) == (0.0, 7.5)
    assert all(width * 4 == height * 3 for width, height in compact.sizes)


GOOD = """
[one]
revision = "2"
title = "One"
description = "First."
licence = "MIT"
commercial = false
folder = "somewhere"
files = ["a.json"]
mend = "make it"
sizes = [[768, 1024], [384, 512]]
steps = { default = 50, minimum = 10, maximum = 100 }
guidance = { default = 2.5, minimum = 0.0, maximum = 7.5 }
placement = false
"""


def test_a_card_of_another_registry(tmp_path):
    registry = tmp_path / "models.toml"
    registry.write_text(GOOD)
    card = read_cards(registry)["one"]
    assert (card.id, card.size, card.steps.default) == ("one@2", (768, 1024), 50)
    assert card.missing_files() == [tmp_path / "somewhere" / "a.json"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('licence = "MIT"\n', "", "licence"),
        ("placement", "placment", "placement, placment"),
        ("default = 50", "default = 5", "steps"),
    ],
)
def test_a_wrong_registry_is_refused_by_name(tmp_path, old, new, named):
    registry = tmp_path / "models.toml"
    registry.write_text(GOOD.replace(old, new))
    with pytest.raises(SettingsError, match=rf"\[one\].*{named}"):
        read_cards(registry)


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_missing_weights_are_all_named_with_the_command_that_mends_it(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    engine = PipelineEngine(replace(tiny.CARD, folder=tmp_path))
    with pytest.raises(WeightsError) as caught:
        engine.load()
    message = str(caught.value)
    assert "lacks 2 of its files" in message
    assert "unet/config.json, unet/diffusion_pytorch_model.safetensors" in message
    assert message.endswith(tiny.CARD.mend)


def test_weights_in_shards_are_looked_for_one_by_one(tmp_path):
    card = replace(tiny.CARD, folder=tmp_path, files=("unet/diffusion_pytorch_model.safetensors",))
    (tmp_path / "unet").mkdir()
    shards = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1], "c": shards[0]}}))
    (tmp_path / "unet" / shards[0]).touch()
    assert card.missing_files() == [tmp_path / "unet" / shards[1]]
    (tmp_path / "unet" / shards[1]).touch()
    assert card.missing_files() == []


def test_an_engine_loads_once_from_its_folder_and_matches_the_pipeline_saved_there(saved):
    engine = PipelineEngine(replace(tiny.CARD, folder=saved), device="cpu")
    pipe = engine.load()
    assert engine.load() is pipe
    assert {part.dtype for part in (pipe.vae, pipe.unet)} == {torch.float32}
    assert np.array_equal(np.asarray(generate(engine)), np.asarray(generate(tiny.tiny_engine())))


# ---- generating ------------------------------------------------------------------------------------------------------


def test_the_generator_decides():
    engine = tiny.tiny_engine()
    pictures = [np.asarray(generate(engine, generator=torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_global_randomness_is_neither_read_nor_moved():
    engine = tiny.tiny_engine()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = np.asarray(generate(engine))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert np.array_equal(np.asarray(generate(engine)), first)


def test_every_step_is_reported_and_the_last_preview_is_the_result():
    reports = []
    # Without guidance and with eta's noise gone, the last estimate of a DDIM run is what is decoded.
    engine = tiny.tiny_engine()
    engine.load().scheduler.register_to_config(set_alpha_to_one=True)
    picture = generate(engine, steps=3, on_step=reports.append)
    assert [(report.step, report.steps) for report in reports] == [(1, 3), (2, 3), (3, 3)]
    previews = [np.asarray(report.preview()) for report in reports]
    assert all(preview.shape == (64, 48, 3) for preview in previews)
    distances = [np.abs(preview.astype(int) - np.asarray(picture)).mean() for preview in previews]
    assert distances[2] == min(distances)


def test_a_stopped_run_stops_and_the_next_one_works():
    engine, seen = tiny.tiny_engine(), []

    def stop(report):
        seen.append(report.step)
        if report.step == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        generate(engine, steps=8, on_step=stop)
    assert seen == [1, 2]
    generate(engine, steps=2)


def test_the_placed_picture_is_what_it_starts_from():
    engine = tiny.tiny_engine()
    plain = np.asarray(generate(engine))
    placed = tiny.garment("navy").resize(tiny.SIZE)
    assert not np.array_equal(np.asarray(generate(engine, masked_image=placed)), plain)


# ---- devices ---------------------------------------------------------------------------------------------------------


def test_a_machine_without_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.choose() == (torch.device("cpu"), torch.float32)
    assert devices.choose("cpu", "bfloat16") == (torch.device("cpu"), torch.bfloat16)
    for wrong in ("cuda", "cuda:1", "mps"):
        with pytest.raises(SettingsError, match="this machine has none"):
            devices.choose(wrong)


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), torch.float16), ((8, 0), torch.bfloat16)])
def test_a_machine_with_a_card(monkeypatch, capability, dtype):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert devices.choose() == (torch.device("cuda"), dtype)
    assert devices.choose("cpu") == (torch.device("cpu"), torch.float32)


def test_names_that_do_not_exist():
    with pytest.raises(SettingsError, match="auto, cpu, cuda, mps"):
        devices.choose("tpu")
    with pytest.raises(SettingsError, match="float32, float16, bfloat16"):
        devices.choose("cpu", "int8")


# ---- memory ----------------------------------------------------------------------------------------------------------


def starved(engine, *, times):
    """The engine's network runs out of memory so many times; notes which preset was tried."""
    pipe, tried = engine.load(), []
    forward = pipe.unet.forward

    def fail(*args, **options):
        tried.append(engine._preset.name)
        if len(tried) <= times:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(*args, **options)

    pipe.unet.forward = fail
    return tried


def run(engine, said):
    return engine.generate(
        tiny.person((48, 64)), tiny.garment(), tiny.mask((48, 64)), steps=2, guidance=2.5,
        generator=torch.Generator().manual_seed(5), say=said.append,
    )  # fmt: skip


def test_a_run_that_does_not_fit_is_tried_once_with_less_and_gives_the_same_picture():
    said, engine = [], tiny.tiny_engine()
    expected = np.asarray(run(tiny.tiny_engine(), said))
    assert said == []
    tried = starved(engine, times=1)
    found = np.asarray(run(engine, said))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert set(tried[1:]) == {"balanced"} and len(said) == 1 and '"balanced"' in said[0]
    run(engine, said)
    assert tried[-1] == "balanced" and len(said) == 1  # it stays there, and is said once


def test_a_run_that_never_fits_ends_with_a_sentence():
    from catvton.errors import InputError

    engine, said = tiny.tiny_engine(), []
    tried = starved(engine, times=99)
    with pytest.raises(InputError, match="not enough memory on this machine for tiny@0 at 48x64") as caught:
        run(engine, said)
    assert caught.value.code == "engine.memory"
    assert tried == ["speed", "balanced"]
    with pytest.raises(InputError):
        run(engine, said)
    assert tried == ["speed", "balanced", "balanced", "low"]
    with pytest.raises(InputError):
        run(engine, said)
    assert tried[4:] == ["low"]


def test_another_garment_or_seed_encodes_only_what_is_new(monkeypatch):
    engine = tiny.tiny_engine()
    pipe, encoded = engine.load(), []
    encode = pipe.vae.encode

    def counting(pixels, *rest, **options):
        encoded.append(len(pixels))
        return encode(pixels, *rest, **options)

    monkeypatch.setattr(pipe.vae, "encode", counting)

    def picture(seed=5, clothes="crimson", who=0):
        return np.asarray(engine.generate(
            tiny.person((48, 64), seed=who), tiny.garment(clothes), tiny.mask((48, 64)), steps=1, guidance=2.5,
            generator=torch.Generator().manual_seed(seed),
        ))  # fmt: skip

    first = picture()
    assert encoded == [1, 1]
    assert (picture() == first).all() and (picture(seed=6) != first).any()
    assert encoded == [1, 1]
    assert (picture(clothes="navy") != first).any() and encoded == [1, 1, 1]
    assert (picture(who=1) != first).any() and encoded == [1, 1, 1, 1]
    fresh = np.asarray(tiny.tiny_engine().generate(
        tiny.person((48, 64)), tiny.garment("navy"), tiny.mask((48, 64)), steps=1, guidance=2.5,
        generator=torch.Generator().manual_seed(5),
    ))  # fmt: skip
    assert (picture(clothes="navy") == fresh).all()
