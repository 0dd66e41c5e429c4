"""What a run is said to need, and which preset is chosen for it; true sizes are measured in tests/proof."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch

from catvton.errors import SettingsError
from catvton.memory import GIBIBYTE, PRESETS, Networks, apply, choose_preset, estimate
from tests.conformance.conftest import read_json
from tests.tiny_pipeline import inputs, tiny_pipe, tiny_unet, tiny_vae

SD15 = Networks(unet=815_450_000, vae=83_650_000, unet_width=320, vae_width=128, factor=8, tile=256)


def needed(preset: str, **changes) -> float:
    """GiB for the published engine's networks at their own size."""
    options = {"size": (768, 1024), "dtype": torch.float16, "guided": True} | changes
    return estimate(SD15, PRESETS[preset], **options) / GIBIBYTE


def test_each_preset_needs_less_than_the_one_before():
    for guided in (True, False):
        figures = [needed(name, guided=guided) for name in PRESETS]
        assert all(more > less for more, less in pairwise(figures))
    names = [preset.lower() and preset.lower().name for preset in PRESETS.values()]
    assert names == ["balanced", "low", None]


def test_the_published_engine_fits_a_card_of_six_gigabytes():
    assert needed("low") < 3 and needed("low", dtype=torch.float32) < 5
    assert needed("speed") < 5.4  # with the reserve, below the 6 GiB of such a card


def test_weights_are_counted_in_the_precision_asked_for():
    assert needed("speed", dtype=torch.float32) == pytest.approx(2 * needed("speed"))
    assert needed("low") > SD15.unet * 2 / GIBIBYTE


def test_networks_can_be_judged_by_their_configuration_alone(tmp_path):
    full = {"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "norm_num_groups": 32}
    parts = {
        "unet": full | {"cross_attention_dim": 768, "sample_size": 64},
        "vae": full | {"block_out_channels": [128, 256, 512, 512], "sample_size": 256},
    }
    for part, config in parts.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps(read_json("pipeline_config.json")[part] | config))
    found = Networks.described(tmp_path / "unet", tmp_path / "vae")
    keys = read_json("sd15_keys.json")
    counts = {part: sum(torch.Size(shape).numel() for key, shape in keys[part].items() if ".attn2." not in key)
              for part in ("unet", "vae")}  # fmt: skip
    assert (found.unet, found.vae) == (counts["unet"], counts["vae"])
    assert (found.unet_width, found.vae_width, found.factor, found.tile) == (320, 128, 8, 256)


def test_networks_in_memory_are_judged_alike():
    found = Networks.of(tiny_unet(), tiny_vae())
    assert found.unet == tiny_unet().num_parameters() and found.factor == 2


@pytest.mark.parametrize(
    ("name", "free", "chosen", "why"),
    [
        ("low", None, "low", "asked for"),
        ("auto", None, "speed", "no limit known"),
        ("auto", 24 * GIBIBYTE, "speed", "24.0 GiB are free"),
        ("auto", 4 * GIBIBYTE, "balanced", "4.0 GiB are free"),
        ("auto", 1 * GIBIBYTE, "low", "only 1.0 GiB are free"),
    ],
)
def test_the_quickest_preset_that_fits_is_chosen(name, free, chosen, why):
    estimates = {preset: round(needed(preset) * GIBIBYTE) for preset in PRESETS}
    preset, reason = choose_preset(name, estimates, free)
    assert (preset.name, reason) == (chosen, why)


def test_an_unknown_preset_is_named():
    with pytest.raises(SettingsError, match='"huge": choose one of auto, speed, balanced, low'):
        choose_preset("huge", {}, None)


def test_a_preset_changes_what_a_run_takes_and_not_what_it_gives():
    pipe = tiny_pipe()
    plain = pipe(**inputs()).images
    for preset in PRESETS.values():
        apply(preset, pipe, torch.device("cpu"))
        assert (pipe.vae.use_slicing, pipe.vae.use_tiling) == (preset.slicing, preset.tiling)
        found = pipe(**inputs(), one_row_at_a_time=preset.one_row_at_a_time).images
        assert abs(found - plain).max() < 1e-4
    apply(PRESETS["speed"], pipe, torch.device("cpu"))
    assert not pipe.vae.use_slicing


def test_one_row_at_a_time_asks_the_network_twice_a_step_with_half_the_batch(monkeypatch):
    pipe, seen = tiny_pipe(), []
    forward = pipe.unet.forward

    def counting(sample, *rest, **options):
        seen.append(len(sample))
        return forward(sample, *rest, **options)

    monkeypatch.setattr(pipe.unet, "forward", counting)
    pipe(**inputs(num_inference_steps=2), one_row_at_a_time=True)
    pipe(**inputs(num_inference_steps=2))
    pipe(**inputs(num_inference_steps=2, guidance_scale=1.0), one_row_at_a_time=True)
    assert seen == [1, 1, 1, 1, 2, 2, 1, 1]
