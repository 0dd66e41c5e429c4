"""The published engines end to end: downloaded from a hub on this machine by the real command, used like any other.

What no test here can show is that the published weights give the published pictures; that the code computes what the
published code computes is shown by tests/conformance. The mask-free and the DeCo engine have no recorded numbers: each
step of theirs is held to a plain computation below.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from catvton import TryOn, TryOnRequest, cli
from catvton.builders import build
from catvton.cards import read_cards
from catvton.errors import InputError, SettingsError, WeightsError
from catvton.settings import Settings
from catvton.startup import default_engine, parts
from tests.conformance.conftest import DATA
from tests.fake_hub import FakeHub
from tests.official_hub import SIZE, overlay, repositories
from tests.tiny import garment

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("catvton", "catvton-maskfree", "deco")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with FakeHub(repositories(tmp_path_factory.mktemp("official"))) as running:
        yield running


@pytest.fixture(scope="module")
def world(hub, tmp_path_factory):
    """Settings under which every official engine has been downloaded, by the command, in a process of its own."""
    root = tmp_path_factory.mktemp("world")
    where = {"CATVTON_MODELS_DIR": root / "models", "CATVTON_REGISTRY": overlay(root / "small.toml")}
    environment = hub.environment(HF_HOME=root / "home", **where)
    for engine in ENGINES:
        command = [sys.executable, "-m", "catvton", "models", "download", engine, "--quiet"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return {"models_dir": where["CATVTON_MODELS_DIR"], "registry": where["CATVTON_REGISTRY"]}


@pytest.fixture(scope="module")
def cards(world):
    return read_cards(overlay=world["registry"], models_dir=world["models_dir"])


@pytest.fixture(scope="module")
def tryon(world):
    return TryOn.from_settings(Settings(**world, device="cpu", safety_adjustment=-0.5))


@pytest.fixture(scope="module")
def photo():
    return Image.open(DATA / "schp_300x400.png").convert("RGB")


def request(photo, engine, **options):
    return TryOnRequest(person=photo, garment=garment(), engine=engine, steps=2, **options)


# ---- from the hub to a picture ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_an_official_engine_dresses_a_person(tryon, photo, engine):
    seen = []
    result = tryon.run(request(photo, engine, part="overall", seed=3), on_step=seen.append)
    before, after = np.asarray(photo), np.asarray(result.image)
    assert result.engine == f"{engine}@{'vitonhd' if engine == 'deco' else 'mix'}" and result.size == SIZE
    assert after.shape == before.shape
    assert (after[result.mask == 0] == before[result.mask == 0]).all()
    changed = (after != before).any(-1)
    assert changed[result.mask > 0].mean() > 0.5
    assert "check" in result.seconds and seen[-1].stage == "check"
    assert all((np.asarray(report.preview()) == before).all() for report in seen)  # nothing unchecked is shown
    again = tryon.run(request(photo, engine, part="overall", seed=3))
    other = tryon.run(request(photo, engine, part="overall", seed=4))
    assert (np.asarray(again.image) == after).all() and (np.asarray(other.image) != after).any()


def test_the_masks_are_the_published_ones_and_the_layers_can_be_asked_for(tryon, photo):
    found = tryon.mask(photo, "overall", engine="catvton")
    assert {"densepose", "lip", "atr"} <= set(vars(found))
    result = tryon.run(request(photo, "catvton", part="overall"))
    assert np.array_equal(result.mask, found.mask)
    for layer in ("inner", "outer"):
        try:
            assert tryon.mask(photo, layer, engine="catvton").mask.any()
        except InputError as error:
            assert error.code == "part.not_visible"
    with pytest.raises(InputError, match=r'Part .inner. is not possible: choose one of "upper", "lower", "overall"'):
        tryon.mask(photo, "inner", engine="compact")


def test_a_drawn_mask_wins_for_a_mask_free_engine_too(tryon, photo):
    drawn = Image.new("L", photo.size, 0)
    drawn.paste(255, (100, 150, 200, 260))
    result = tryon.run(request(photo, "catvton-maskfree", mask=drawn))
    changed = (np.asarray(result.image) != np.asarray(photo)).any(-1)
    assert changed.any() and not changed[np.asarray(drawn) == 0].any()


def test_a_mask_free_engine_sees_what_the_mask_covers(tryon, photo):
    """And an engine with a mask does not."""
    drawn = Image.new("L", photo.size, 0)
    drawn.paste(255, (100, 150, 200, 260))
    noisy = np.asarray(photo).copy()
    noisy[150:260, 100:200] = np.random.default_rng(0).integers(0, 256, (110, 100, 3))
    for engine, same in (("catvton", True), ("catvton-maskfree", False)):
        results = [tryon.run(request(Image.fromarray(p), engine, mask=drawn)) for p in (np.asarray(photo), noisy)]
        inside = [np.asarray(result.image)[160:250, 110:190] for result in results]
        assert (inside[0] == inside[1]).all() == same, engine


def test_a_strict_checker_withholds_the_picture(world, photo):
    from catvton.errors import ResultWithheld

    strict = TryOn.from_settings(Settings(**world, device="cpu", safety_adjustment=0.5))
    with pytest.raises(ResultWithheld):
        strict.run(request(photo, "catvton", part="overall"))
    assert strict.run(TryOnRequest(person=photo, garment=garment(), engine="compact", mask=_box(photo))).image


def _box(photo):
    drawn = Image.new("L", photo.size, 0)
    drawn.paste(255, (100, 150, 200, 260))
    return drawn


def test_the_command_line_uses_it(world, photo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, value in world.items():
        monkeypatch.setenv(f"CATVTON_{name.upper()}", str(value))
    monkeypatch.setenv("CATVTON_SAFETY_ADJUSTMENT", "-0.5")
    photo.save("me.png")
    garment().save("shirt.png")
    pictures = ["--person", "me.png", "--garment", "shirt.png", "--out", "result.png"]
    assert cli.main(["tryon", *pictures, "--engine", "deco", "--steps", "1", "--part", "overall", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "deco@vitonhd"
    assert Image.open("result.png").size == photo.size


# ---- versions --------------------------------------------------------------------------------------------------------


def test_versions_are_switched_and_rolled_back(hub, world, tmp_path, monkeypatch, capsys):
    """On a store of its own, its files being links to the other's: half a gigabyte need not travel twice."""
    hub.point_here(monkeypatch, token_file=tmp_path / "no token")
    monkeypatch.setenv("CATVTON_MODELS_DIR", str(world["models_dir"]))
    monkeypatch.setenv("CATVTON_REGISTRY", str(world["registry"]))
    hub.forget()
    assert cli.main(["models", "download", "catvton@vitonhd", "--quiet"]) == 0
    assert list(hub.sent) == ["vitonhd-16k-512/attention/model.safetensors"]  # the rest is shared

    def engine():
        return TryOn.from_settings(Settings(**world, device="cpu")).cards["catvton"].id

    assert engine() == "catvton@mix"
    assert cli.main(["models", "use", "catvton@vitonhd"]) == 0
    assert engine() == "catvton@vitonhd"
    assert cli.main(["models", "rollback", "catvton"]) == 0
    assert engine() == "catvton@mix"
    capsys.readouterr()


# ---- which engine, and why -------------------------------------------------------------------------------------------


def test_nothing_is_offered_that_is_not_there(tmp_path):
    empty = Settings(models_dir=tmp_path / "none", device="cpu")
    assert list(TryOn.from_settings(empty).cards) == ["compact"]


def test_an_engine_asked_for_and_not_there_is_named_and_the_built_in_one_serves(tmp_path, caplog):
    settings = Settings(models_dir=tmp_path / "none", engine="catvton", device="cpu")
    with caplog.at_level(logging.INFO, logger="catvton.startup"):
        assert parts(settings)["default"] == "compact"
    assert "catvton@mix is not downloaded. To download it: python -m catvton models download catvton@mix" in caplog.text
    assert "the engine is compact@4 (catvton was asked for and is not ready)" in caplog.text


def test_an_engine_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(SettingsError, match='there is no engine "nano": choose one of auto, compact, catvton, '):
        parts(Settings(models_dir=tmp_path / "none", engine="nano"))


def test_the_licence_is_said_and_can_be_demanded(world, caplog):
    with caplog.at_level(logging.WARNING, logger="catvton.startup"):
        parts(Settings(**world, device="cpu"))
    assert "catvton@mix may not be used commercially: its licence is CC-BY-NC-SA-4.0" in caplog.text
    assert [engine.card.name for engine in parts(Settings(**world, commercial_only=True))["engines"]] == ["compact"]
    with pytest.raises(SettingsError, match="does not allow commercial use, and CATVTON_COMMERCIAL_ONLY is set"):
        parts(Settings(**world, commercial_only=True, engine="deco"))


@pytest.mark.parametrize(("cuda", "chosen"), [(True, "catvton"), (False, "compact")])
def test_the_published_engine_is_the_default_where_there_is_a_graphics_card(world, monkeypatch, cuda, chosen):
    from catvton import devices
    from catvton.hub.offers import offer

    device = torch.device("cuda" if cuda else "cpu")
    monkeypatch.setattr(devices, "choose", lambda *_: (device, torch.float32))
    settings = Settings(**world)
    name, why = default_engine(settings, offer(settings))
    assert name == chosen and "graphics card" in why


def test_what_a_run_will_need_is_said_before_loading(world, photo, caplog):
    own = TryOn.from_settings(Settings(**world, device="cpu", memory="balanced", safety_adjustment=-0.5))
    with caplog.at_level(logging.INFO, logger="catvton.engines"):
        own.load("catvton")
    said = [line for line in caplog.messages if "needs about (computed)" in line]
    assert len(said) == 1 and "taking balanced (asked for)" in said[0]
    assert caplog.messages.index(said[0]) < caplog.messages.index("engine catvton@mix loaded")


# ---- damage ----------------------------------------------------------------------------------------------------------


def test_damaged_parser_weights_are_named_with_what_mends_them(cards, tmp_path):
    from catvton.masking import Maskers

    (tmp_path / "exp-schp-201908261155-lip.pth").write_bytes(b"no weights")
    maskers = Maskers(device="cpu")
    with pytest.raises(WeightsError, match="To mend it: python -m catvton models download catvton@mix"):
        maskers.read(cards["catvton"].paths["densepose"], tmp_path, mend=cards["catvton"].mend)


# ---- every step, against a plain computation -------------------------------------------------------------------------

STEPS, GUIDANCE, SEED = 3, 2.5, 11
BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
KEPT = torch.cumprod(1 - BETAS, 0)


class Recorded:
    """One run of an engine's pipeline, with what its UNet was given and gave, and the latents after each step."""

    def __init__(self, card, photo, *, mask):
        self.pipe = build(card, dtype=torch.float32)
        self.pipe.set_progress_bar_config(disable=True)
        self.inputs, self.outputs, self.latents, self.steps = [], [], [], []
        self.pipe.unet.register_forward_hook(self._note, with_kwargs=True)
        self.final = self.pipe(
            photo, garment(), mask, num_inference_steps=STEPS, guidance_scale=GUIDANCE, output_type="latent",
            generator=torch.Generator().manual_seed(SEED), callback_on_step_end=self._step,
        ).images  # fmt: skip

    def _note(self, _module, args, _kwargs, output):
        self.inputs.append(args[0].clone())
        self.outputs.append(output[0].clone())

    def _step(self, _pipe, _index, timestep, tensors):
        self.steps.append(int(timestep))
        self.latents.append(tensors["latents"].clone())

    def encoded(self, person, clothes, *, hidden=False):
        """Scaled latents of both pictures, by the autoencoder alone; what is hidden is 0, the middle of -1..1."""
        pair = [torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 127.5 - 1 for pixels in (person, clothes)]
        pair[0] = torch.where(torch.as_tensor(hidden), torch.zeros(()), pair[0])
        return (self.pipe.vae.encode(torch.stack(pair)).latent_dist.mean * 0.18215).chunk(2)


def near(found, expected):
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=1e-5)


def fitted(picture):
    """The garment on white, at the working size, as the published code pads it."""
    from catvton.image_utils import resize_and_padding

    return resize_and_padding(picture, SIZE)


def plain_step(noisy, prediction, timestep, noise):
    """DDIM at eta 1, from its paper's formula."""
    before = timestep - 1000 // STEPS
    kept, earlier = KEPT[timestep], KEPT[before] if before >= 0 else KEPT[0]
    clean = (noisy - (1 - kept).sqrt() * prediction) / kept.sqrt()
    spread = ((1 - earlier) / (1 - kept) * (1 - kept / earlier)).sqrt()
    return earlier.sqrt() * clean + (1 - earlier - spread**2).sqrt() * prediction + spread * noise


def guided(rows):
    without, full = rows.double().chunk(2)
    return without + GUIDANCE * (full - without)


@torch.no_grad()
def test_every_step_of_the_mask_free_engine(cards, photo):
    """Eight channels: the noisy pair beside the whole person and the garment, joined along the width."""
    small = photo.resize(SIZE)
    run = Recorded(cards["catvton-maskfree"], small, mask=None)
    person, clothes = run.encoded(small, fitted(garment()))
    full, empty = torch.cat([person, clothes], 3), torch.cat([person, torch.zeros_like(clothes)], 3)
    draws = torch.Generator().manual_seed(SEED)
    latents = torch.randn(full.shape, generator=draws)
    assert run.inputs[0].shape == (2, 8, SIZE[1] // 8, 2 * SIZE[0] // 8)
    for timestep, rows, output, after in zip(run.steps, run.inputs, run.outputs, run.latents, strict=True):
        near(rows, torch.cat([latents.repeat(2, 1, 1, 1), torch.cat([empty, full])], 1))
        noise = torch.randn(full.shape, generator=draws)
        latents = plain_step(latents.double(), guided(output), timestep, noise.double()).float()
        near(after, latents)
    near(run.final, latents.chunk(2, 3)[0])


@torch.no_grad()
def test_every_step_of_the_deco_engine(cards, photo):
    """The garment's noisy half is the clean garment noised anew; the unconditional row sees no garment at all."""
    small, hole = photo.resize(SIZE), Image.new("L", SIZE, 0)
    hole.paste(255, (20, 30, 70, 100))
    run = Recorded(cards["deco"], small, mask=hole)
    covered = torch.from_numpy(np.asarray(hole) > 127)
    person, clothes = run.encoded(small, fitted(garment()), hidden=covered)
    mask = torch.nn.functional.interpolate(covered[None, None].float(), size=person.shape[-2:], mode="nearest")
    mask = torch.cat([mask, torch.zeros_like(mask)], 2)
    full, empty = torch.cat([person, clothes], 2), torch.cat([person, torch.zeros_like(clothes)], 2)
    draws = torch.Generator().manual_seed(SEED)
    start = torch.randn(full.shape, generator=draws)
    latents = start
    for timestep, rows, output, after in zip(run.steps, run.inputs, run.outputs, run.latents, strict=True):
        kept = KEPT[timestep].float()
        worn = kept.sqrt() * clothes + (1 - kept).sqrt() * start.chunk(2, 2)[1]
        latents = torch.cat([latents.chunk(2, 2)[0], worn], 2)
        blind = torch.cat([latents.chunk(2, 2)[0], torch.zeros_like(worn)], 2)
        fixed = torch.cat([torch.cat([mask, empty], 1), torch.cat([mask, full], 1)])
        near(rows, torch.cat([torch.cat([blind, latents]), fixed], 1))
        noise = torch.randn(full.shape, generator=draws)
        latents = plain_step(latents.double(), guided(output), timestep, noise.double()).float()
        near(after, latents)
    near(run.final, latents.chunk(2, 2)[0])


def test_the_masks_of_several_networks_are_compared_by_one_command(
    world, cards, photo, tmp_path, monkeypatch, capsys
):
    from tests.small_sets import DRESS, SHIRT, write_ccp

    data = write_ccp(tmp_path / "data", labelled=(11,), bare=())
    photo.save(data / "ccp" / "photos" / "0011.jpg", quality=95)  # the seeded networks see a whole person in it
    with Image.open(data / "ccp" / "labels" / "0011.png") as drawn:
        labels = np.asarray(drawn.resize(photo.size, Image.Resampling.NEAREST))
    Image.fromarray(np.where(labels == SHIRT, np.uint8(DRESS), labels)).save(data / "ccp" / "labels" / "0011.png")
    for name, value in world.items():
        monkeypatch.setenv(f"CATVTON_{name.upper()}", str(value))
    monkeypatch.chdir(tmp_path)
    other = f"again={cards['catvton'].paths['densepose']}"
    assert cli.main(["evaluate", "masks", "--data", str(data), "--densepose", other]) == 0
    lines = capsys.readouterr().out.splitlines()
    first, second = ([line.split("|")[2:7] for line in lines if line.startswith(f"| {name} ")]
                     for name in ("R_50_FPN_s1x", "again"))  # fmt: skip
    assert first and first == second
