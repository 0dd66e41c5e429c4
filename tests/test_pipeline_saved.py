"""A saved pipeline comes back as it was, or not at all."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file, save_file

from catvton.compact_unet import CompactUNet
from catvton.errors import WeightsError
from catvton.image_utils import prepare_image
from catvton.pipeline import CatVTONPipeline
from catvton.schedulers import make_scheduler
from catvton.vae import PatchAutoencoder
from tests.tiny_pipeline import DDIM, RecordingUNet, box_mask, inputs, noise_picture, seeded, tiny_pipe, tiny_unet

SETTINGS = {"concat_axis": "width", "use_mask": False, "uncond": "zero_garment", "garment_noise": "renoise"}


@pytest.fixture
def folder(tmp_path):
    """A saved pipeline with a built-in autoencoder, small enough to damage."""
    vae = seeded(lambda: PatchAutoencoder(spatial_factor=2, latent_channels=4))
    tiny_pipe(tiny_unet(), vae).save_pretrained(tmp_path)
    return tmp_path


def load(folder, **options):
    pipe = CatVTONPipeline.from_pretrained(folder, **options)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def weights(folder, part):
    return folder / part / "diffusion_pytorch_model.safetensors"


def test_everything_comes_back(tmp_path):
    pipe = tiny_pipe(**SETTINGS, scheduler=make_scheduler("unipc", DDIM))
    pipe.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert type(again) is CatVTONPipeline
    assert {name: again.config[name] for name in SETTINGS} == SETTINGS
    assert (again.config.height, again.config.width) == (32, 24)
    assert type(again.scheduler) is type(pipe.scheduler)
    assert again.scheduler.config.timestep_spacing == "trailing"
    assert not again.unet.training
    np.testing.assert_array_equal(again(**inputs()).images, pipe(**inputs()).images)


def test_no_dead_weights_are_saved(folder):
    assert not [key for key in load_file(weights(folder, "unet")) if "attn2" in key]


def test_components_of_this_package_are_found_though_nothing_imported_them(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, "catvton.vae")
    assert load(folder).vae.config.spatial_factor == 2


def test_half_precision_on_disk_in_shards_loads_as_asked(folder, tmp_path):
    pipe = load(folder, dtype=torch.float16)
    assert {pipe.unet.dtype, pipe.vae.dtype} == {torch.float16}
    small = tmp_path / "small"
    pipe.save_pretrained(small, max_shard_size="20KB")
    assert len(list((small / "unet").glob("*.safetensors"))) > 1
    again = load(small)
    assert {again.unet.dtype, again.vae.dtype} == {torch.float32}
    expected = load(folder)(**inputs()).images
    assert np.abs(again(**inputs()).images - expected).mean() < 0.02


def test_the_built_in_networks_come_back_and_untrained_give_the_placement(tmp_path):
    """Their kind of engine: twelve pixels a cell, clean latents predicted as a difference, no noise left at the end."""
    vae = seeded(lambda: PatchAutoencoder(spatial_factor=12, latent_channels=6))
    unet = seeded(lambda: CompactUNet(13, 6, widths=(16, 16, 16), heads=2, cells=(4, 4)))
    scheduler = DDIMScheduler(
        **{**DDIM, "set_alpha_to_one": True}, prediction_type="sample", timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )  # fmt: skip
    tiny_pipe(unet.half(), vae.half(), scheduler, garment_noise="clean", height=48, width=48).save_pretrained(tmp_path)
    pipe = load(tmp_path)
    assert (type(pipe.vae), type(pipe.unet)) == (PatchAutoencoder, CompactUNet)
    placed = noise_picture(3, (48, 48))
    found = pipe(**inputs(image=None, masked_image=placed, mask=box_mask(size=(48, 48)), output_type="latent")).images
    torch.testing.assert_close(found, pipe.encode(prepare_image(placed)), atol=1e-5, rtol=1e-5)


def test_a_setting_may_be_changed_at_load(folder):
    assert load(folder, uncond="zero_garment").layout.uncond == "zero_garment"


def test_a_component_may_be_given(folder):
    unet = seeded(RecordingUNet)
    weights(folder, "unet").unlink()
    assert load(folder, unet=unet).unet is unet


@pytest.mark.parametrize("part", ["unet", "vae"])
@pytest.mark.parametrize("fault", ["missing", "unexpected"])
def test_weights_that_do_not_fit_are_refused(folder, part, fault):
    state = load_file(weights(folder, part))
    key = sorted(state)[0] if fault == "missing" else "extra.weight"
    if fault == "missing":
        del state[key]
    else:
        state[key] = torch.zeros(1)
    save_file(state, weights(folder, part))
    with pytest.raises(WeightsError, match=f"{fault} keys .*{key}"):
        load(folder)


def test_weights_of_another_shape_are_refused(folder):
    state = load_file(weights(folder, "unet"))
    save_file({**state, "conv_in.bias": torch.zeros(3)}, weights(folder, "unet"))
    with pytest.raises(WeightsError, match=r"conv_in\.bias"):
        load(folder)


def test_missing_weights_are_named(folder):
    weights(folder, "vae").unlink()
    with pytest.raises(WeightsError, match="PatchAutoencoder cannot be loaded from"):
        load(folder)


@pytest.mark.parametrize("text", [None, "{"])
def test_a_folder_that_is_no_pipeline_is_refused(folder, text):
    index = folder / "model_index.json"
    index.unlink() if text is None else index.write_text(text)
    with pytest.raises(WeightsError, match=r"model_index\.json cannot be read"):
        load(folder)


@pytest.mark.parametrize("library", ["antigravity", "catvton.no_such_module", "catvton.vae", "diffusers"])
def test_a_class_that_is_not_known_is_named_and_nothing_foreign_imported(folder, library):
    index = folder / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "unet": [library, "NoSuchClass"]}))
    with pytest.raises(WeightsError, match=library):
        load(folder)
    assert "antigravity" not in sys.modules


def test_the_reference_scheduler_survives(folder):
    saved = load(folder).scheduler
    assert type(saved) is DDIMScheduler
    saved.set_timesteps(4)
    assert saved.timesteps.tolist() == [751, 501, 251, 1]
