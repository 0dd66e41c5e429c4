"""What a run begins with and what it leaves: the official files, a saved pipeline, and the registry's bases."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file

from catvton.errors import InputError, WeightsError
from catvton.official import load_official, self_attentions
from catvton.pipeline import CatVTONPipeline
from catvton.settings import Settings
from catvton.training import start_weights
from catvton.training.latent_cache import Latents
from catvton.training.official_export import export_attention
from catvton.training.recipes import PRESETS
from catvton.training.start_weights import open_base
from catvton.training.tryon_stage import TryOnStage
from catvton.unet import TryOnUNet
from tests.conformance.conftest import attention_state, official, read_json
from tests.tiny_pipeline import inputs, tiny_pipe, tiny_unet
from tests.tiny_students import compact_teacher, shaken

__all__ = ["official"]  # the fixture: tiny networks in official folders
SIZE = {"height": 128, "width": 96}


def settings(tmp_path: Path, **options) -> Settings:
    return Settings(models_dir=tmp_path / "models", **options)


def stage_on(pipe: CatVTONPipeline, preset: str) -> TryOnStage:
    latents = Latents.blank(pipe)
    return TryOnStage(pipe, latents, PRESETS[preset], batch_size=1, held_out=0.0)


def picture(pipe: CatVTONPipeline) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    return pipe(**inputs(**SIZE, guidance_scale=2.5)).images


# -- what a run leaves -----------------------------------------------------------------------------------------------


def test_the_attention_file_is_the_published_one_again(official, tmp_path: Path) -> None:
    unet = load_official(official.base, official.attention, vae=official.vae)["unet"]
    file = export_attention(unet, tmp_path)
    assert file == tmp_path / "mix-48k-1024" / "attention" / "model.safetensors"
    found, published = load_file(file), attention_state()
    assert found.keys() == published.keys() == read_json("attention_keys.json")["tiny"].keys()
    assert all(torch.equal(found[key], published[key]) for key in found)
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert [path.name for path in file.parent.iterdir()] == ["model.safetensors"]


def test_a_trained_attention_comes_back_through_the_official_loader(official, tmp_path: Path) -> None:
    pipe = CatVTONPipeline.from_official(official.base, official.attention, vae=official.vae)
    stage = stage_on(CatVTONPipeline(pipe.vae, pipe.unet, pipe.scheduler, **SIZE), "catvton")
    before = picture(pipe)
    with torch.no_grad():
        for parameter in stage.trainable():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    stage.save(stage.module, tmp_path / "model")
    trained = picture(stage.pipe)
    again = CatVTONPipeline.from_official(official.base, tmp_path / "model" / "official", vae=official.vae)
    saved = CatVTONPipeline.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(picture(again), trained)
    np.testing.assert_array_equal(picture(saved), trained)
    assert np.abs(trained - before).max() > 0.01
    assert saved.layout == PRESETS["catvton"].layout


def test_a_whole_network_is_written_as_deco_is_published(tmp_path: Path) -> None:
    """diffusers' own class loads it: the cross-attentions alone are missing, as in the published file."""
    stage = stage_on(tiny_pipe(shaken(tiny_pipe().unet), uncond="zero_garment", garment_noise="renoise"), "deco")
    stage.save(stage.module, tmp_path)
    stock, info = UNet2DConditionModel.from_pretrained(
        tmp_path / "official" / "unet", output_loading_info=True, low_cpu_mem_usage=False
    )
    assert all(".attn2." in name for name in info["missing_keys"]) and not info["unexpected_keys"]
    own, theirs = stage.module.state_dict(), stock.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in own.items())
    config = json.loads((tmp_path / "official" / "unet" / "config.json").read_text())
    assert config["_class_name"] == "UNet2DConditionModel"
    assert CatVTONPipeline.from_pretrained(tmp_path).layout == PRESETS["deco"].layout


@pytest.mark.parametrize("preset", ["catvton", "deco"])
def test_nothing_saved_names_a_folder_of_this_machine(tmp_path: Path, preset: str) -> None:
    tiny_pipe().save_pretrained(tmp_path / "base")
    pipe = open_base(replace(PRESETS[preset], base=str(tmp_path / "base")), settings(tmp_path), size=(24, 32))
    stage_on(pipe, preset).save(pipe.unet, tmp_path / "model")
    texts = [path.read_text() for path in (tmp_path / "model").rglob("*.json")]
    assert len(texts) >= 4 and not any(str(tmp_path) in text or "_name_or_path" in text for text in texts)


def test_a_stage_begins_with_a_saved_network(tmp_path: Path) -> None:
    other = tiny_pipe(shaken(tiny_pipe().unet, 3))
    other.save_pretrained(tmp_path)
    stage = stage_on(tiny_pipe(), "catvton")
    stage.load(tmp_path)
    expected = other.unet.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in stage.module.state_dict().items())


# -- what a run begins with ------------------------------------------------------------------------------------------


def test_a_saved_pipeline_is_laid_out_as_the_recipe_wants(tmp_path: Path) -> None:
    tiny_pipe(tiny_unet().half()).save_pretrained(tmp_path / "base")
    recipe = replace(PRESETS["deco"], base=str(tmp_path / "base"))
    pipe = open_base(recipe, settings(tmp_path), size=(48, 64))
    assert pipe.layout == recipe.layout and (pipe.config.width, pipe.config.height) == (48, 64)
    assert {parameter.dtype for parameter in (*pipe.unet.parameters(), *pipe.vae.parameters())} == {torch.float32}


@pytest.mark.parametrize("name", ["sd15-inpainting", "instruct-pix2pix", "catvton", "deco"])
def test_weights_that_are_not_there_are_said_with_the_command_that_gets_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"python -m catvton models download (catvton|catvton-maskfree|deco)@\w+"):
        open_base(replace(PRESETS["catvton"], base=name), settings(tmp_path), size=(384, 512))


def test_what_no_recipe_can_begin_with_is_refused(tmp_path: Path) -> None:
    tiny_pipe(use_mask=False, concat_axis="width").save_pretrained(tmp_path / "maskfree")
    compact_teacher(tmp_path / "compact")
    recipe, size = PRESETS["catvton"], (24, 32)
    for base, kind, words in (
        ("nothing", InputError, "sd15-inpainting.*catvton"),
        (str(tmp_path / "nowhere"), InputError, "folder of a saved pipeline"),
        (str(tmp_path), WeightsError, "no saved pipeline"),
        (str(tmp_path / "maskfree"), InputError, "reads 8 channels.*reads 9, as sd15-inpainting does"),
        (str(tmp_path / "compact"), InputError, "train compact"),
    ):
        with pytest.raises(kind, match=words):
            open_base(replace(recipe, base=base), settings(tmp_path), size=size)
    tiny_pipe().save_pretrained(tmp_path / "base")
    with pytest.raises(InputError, match="multiples of 2"):
        open_base(replace(recipe, base=str(tmp_path / "base")), settings(tmp_path), size=(23, 31))


def test_a_base_of_the_registry_is_the_network_before_any_try_on(official, tmp_path: Path, monkeypatch) -> None:
    """Of an engine that is downloaded, all but its attention; the engine that is not is passed over."""
    base = SimpleNamespace(name="sd15-inpainting")

    def card(*, missing: list[Path]) -> SimpleNamespace:
        return SimpleNamespace(
            role={"base": base, "attention": base}.get,
            missing_files=lambda: missing,
            require_files=lambda: None,
            paths={"base": official.base, "vae": official.vae},
            variants={"base": None},
        )

    versions = {"catvton": {"mix": card(missing=[tmp_path]), "vitonhd": card(missing=[])}}
    monkeypatch.setattr(start_weights, "read_versions", lambda **_: versions)
    pipe = open_base(PRESETS["catvton"], settings(tmp_path), size=(96, 128))
    published = TryOnUNet.from_pretrained(official.base / "unet").state_dict()
    assert all(torch.equal(tensor, published[name]) for name, tensor in pipe.unet.state_dict().items())
    assert isinstance(pipe.scheduler, DDIMScheduler) and not pipe.scheduler.config.clip_sample


def test_the_scope_is_the_self_attentions_alone() -> None:
    stage = stage_on(tiny_pipe(), "catvton")
    chosen = {id(parameter) for parameter in stage.trainable()}
    named = dict(stage.module.named_parameters())
    assert {name for name, parameter in named.items() if id(parameter) in chosen} == {
        name for name in named if ".attn1." in name
    }
    assert len(self_attentions(stage.module)) * 5 == len(chosen)
