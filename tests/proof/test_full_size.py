"""The published sizes for real: Stable Diffusion 1.5's inpainting UNet and its VAE, 0.9 billion seeded weights.

Nothing is downloaded. The official files' layout is written to a temporary folder (2.1 GB) with weights that depend on
their names alone, read back, and run in float32 on the CPU. About 8 GB of memory are needed.
"""

from __future__ import annotations

import gc
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from catvton.attention import MAX_SCORES, BoundedAttention
from catvton.memory import PRESETS, Networks, estimate
from catvton.official import load_official
from catvton.pipeline import CatVTONPipeline
from tests.conformance.conftest import Official, read_json, write_model
from tests.conformance.seeded import seeded_tensor
from tests.proof.memory import MEBIBYTE, Watch
from tests.tiny_pipeline import box_mask, noise_picture

pytestmark = pytest.mark.proof

ATTENTION_BYTES = 198_303_368  # of the published mix-48k-1024/attention/model.safetensors
UNET_WIDTHS, VAE_WIDTHS = [320, 640, 1280, 1280], [128, 256, 512, 512]
HEADS = 8


def seeded_halves(shapes: Mapping[str, list[int]], *, prefix: str = "") -> dict[str, torch.Tensor]:
    """float16, one tensor at a time: all of them in float32 at once would be 3.4 GB."""
    return {key: seeded_tensor(prefix + key, shape).half() for key, shape in shapes.items()}


def full_config(part: str, widths: list[int]) -> dict[str, Any]:
    config = read_json("pipeline_config.json")[part] | {
        "block_out_channels": widths, "layers_per_block": 2, "norm_num_groups": 32,
    }  # fmt: skip
    return config | ({"cross_attention_dim": 768, "sample_size": 64} if part == "unet" else {"sample_size": 256})


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Official]:
    """The published layout at its true size; the base in float16, as it is commonly kept, the attention in float32."""
    root = tmp_path_factory.mktemp("full-size")
    folders = Official(base=root / "base", vae=root / "vae", attention=root / "attn")
    keys = read_json("sd15_keys.json")
    write_model(folders.base / "unet", full_config("unet", UNET_WIDTHS), seeded_halves(keys["unet"]))
    write_model(folders.vae, full_config("vae", VAE_WIDTHS), seeded_halves(keys["vae"]))
    (folders.base / "scheduler").mkdir()
    scheduler = read_json("pipeline_config.json")["scheduler"]
    (folders.base / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    folders.attention_file.parent.mkdir(parents=True)
    shapes = {key: row["shape"] for key, row in attention_rows().items()}
    attention = {key: value.float() for key, value in seeded_halves(shapes, prefix="attn.").items()}
    save_file(attention, folders.attention_file, metadata={"format": "pt"})
    yield folders
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def pipe(official: Official) -> Iterator[CatVTONPipeline]:
    pipe = CatVTONPipeline.from_official(official.base, official.attention, vae=official.vae)
    pipe.set_progress_bar_config(disable=True)
    yield pipe
    del pipe
    gc.collect()


def attention_rows() -> dict[str, dict[str, Any]]:
    return read_json("attention_keys.json")["sd15_inpainting"]


def tensors(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """A safetensors file's tensors, one after the other."""
    with safe_open(file, framework="pt") as opened:
        for key in opened.keys():  # noqa: SIM118  it is no mapping
            yield key, opened.get_tensor(key)


def scores_mib(tokens: int, *, rows: int) -> float:
    """What the attention matrices of one layer would take in float32, if they were ever held whole."""
    return rows * HEADS * tokens**2 * 4 / MEBIBYTE


def rounded(watch: Watch) -> dict[str, int]:
    return {f"memory above the weights, {phase}, MiB": round(value) for phase, value in watch.growth.items()}


# ---- files -----------------------------------------------------------------------------------------------------------


def test_the_attention_file_has_the_published_size(official):
    assert official.attention_file.stat().st_size == ATTENTION_BYTES
    found = dict(tensors(official.attention_file))
    assert len(found) == 80
    assert sum(value.numel() for value in found.values()) == 49_574_080


def test_every_number_of_the_official_files_lands_in_its_place(official, pipe, figures):
    names = {row["unet_key"]: key for key, row in attention_rows().items()}
    published = dict(tensors(official.attention_file))
    unet = dict(pipe.unet.state_dict())
    for key, value in tensors(official.base / "unet" / "diffusion_pytorch_model.safetensors"):
        if ".attn2." not in key:
            expected = published.pop(names[key]) if key in names else value.float()
            assert torch.equal(unet.pop(key), expected), key
    assert not unet and not published
    vae = dict(pipe.vae.state_dict())
    for key, value in tensors(official.vae / "diffusion_pytorch_model.safetensors"):
        assert torch.equal(vae.pop(key), value.float()), key
    assert not vae
    figures["Full-size networks"] = {
        "UNet, million weights": round(pipe.unet.num_parameters() / 1e6, 1),
        "VAE, million weights": round(pipe.vae.num_parameters() / 1e6, 1),
        "attention file, tensors": len(names),
        "attention file, bytes": official.attention_file.stat().st_size,
    }


def test_a_saved_pipeline_comes_back_equal_without_the_dead_weights(official, tmp_path):
    """In float16, which every one of these numbers fits exactly."""
    half = torch.float16
    parts = load_official(official.base, official.attention, vae=official.vae, dtype=half)
    saved = CatVTONPipeline(**parts)
    saved.save_pretrained(tmp_path)
    files = sorted((tmp_path / "unet").glob("*.safetensors"))
    keys = [key for file in files for key, _ in tensors(file)]
    assert len(keys) == 686 - 16 * 5 and not any(".attn2." in key for key in keys)
    found = CatVTONPipeline.from_pretrained(tmp_path, dtype=half)
    try:
        for part in ("unet", "vae"):
            expected, state = getattr(saved, part).state_dict(), getattr(found, part).state_dict()
            assert set(state) == set(expected)
            assert all(torch.equal(state[key], expected[key]) for key in expected)
    finally:
        shutil.rmtree(tmp_path)


# ---- runs ------------------------------------------------------------------------------------------------------------


def test_a_guided_step_at_384x512_stays_far_below_its_attention_matrices(pipe, figures):
    size = width, height = 384, 512
    arguments = {"num_inference_steps": 1, "guidance_scale": 2.5, "width": width, "height": height}
    with Watch("encoding") as watch:
        hooks = [
            pipe.unet.register_forward_pre_hook(lambda *_: watch.phase("UNet")),
            pipe.unet.register_forward_hook(lambda *_: watch.phase("decoding")),
        ]
        start = time.perf_counter()
        picture = pipe(
            noise_picture(1, size), noise_picture(2, size), box_mask((96, 96, 288, 320), size),
            generator=torch.Generator().manual_seed(42), output_type="np", **arguments,
        ).images  # fmt: skip
        seconds = time.perf_counter() - start
    for hook in hooks:
        hook.remove()
    assert picture.shape == (1, height, width, 3)
    assert np.isfinite(picture).all() and picture.std() > 0.01
    matrices = scores_mib(2 * width * height // 64, rows=2)
    networks = Networks.of(pipe.unet, pipe.vae)
    weights = (networks.unet + networks.vae) * 4 / MEBIBYTE
    needed = estimate(networks, PRESETS["speed"], size=size, dtype=torch.float32, guided=True) / MEBIBYTE
    figures["One guided step at 384x512, float32, CPU"] = {
        "seconds": round(seconds, 1), **rounded(watch),
        "weights, MiB": round(weights), "weights and the most above them, estimated, MiB": round(needed),
        "one layer's attention matrices would take, MiB": round(matrices),
    }  # fmt: skip
    assert watch.growth["UNet"] < matrices / 3
    assert watch.most < matrices
    assert needed == pytest.approx(weights + watch.most, rel=0.25)


@torch.no_grad()
def test_the_top_attention_at_768x1024_never_holds_its_matrix(pipe, figures):
    """24,576 tokens: the fused kernel, and the slices that devices without one get, against each other."""
    attention = pipe.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    tokens = 2 * 768 * 1024 // 64
    hidden = torch.randn(1, tokens, UNET_WIDTHS[0], generator=torch.Generator().manual_seed(0))
    with Watch("fused") as watch:
        fused = BoundedAttention()(attention, hidden)
        watch.phase("sliced")
        with sdpa_kernel(SDPBackend.MATH):  # as where there is no fused kernel
            sliced = BoundedAttention(always_slice=True)(attention, hidden)
    torch.testing.assert_close(sliced, fused, rtol=1e-4, atol=1e-5)
    matrix = scores_mib(tokens, rows=1)
    figures["Top-level attention at 768x1024, one row, float32, CPU"] = {
        **rounded(watch), "its matrix would take, MiB": round(matrix),
    }  # fmt: skip
    outputs = 4 * hidden.nbytes / MEBIBYTE  # q, k, v and the result
    assert watch.growth["fused"] < 4 * outputs
    assert watch.most < 4 * outputs + 3 * MAX_SCORES * 4 / MEBIBYTE < matrix / 10


def test_a_step_at_768x1024_stays_far_below_its_attention_matrices(pipe, figures):
    """The UNet's part alone: unguided (18 GiB of matrices in float32) and from latents, for time's sake."""
    person, garment, noise = torch.randn(3, 1, 4, 128, 96, generator=torch.Generator().manual_seed(1)).unbind()
    start = time.perf_counter()
    with Watch("UNet") as watch:
        latents = pipe(
            image_latents=person, condition_latents=garment, mask=torch.ones(1, 1, 1024, 768),
            latents=torch.cat([noise, noise.flip(0)], dim=2), num_inference_steps=1, guidance_scale=1.0,
            width=768, height=1024, generator=torch.Generator().manual_seed(2), output_type="latent",
        ).images  # fmt: skip
    assert latents.shape == (1, 4, 128, 96)
    assert latents.isfinite().all() and latents.std() > 0.01
    matrices = scores_mib(2 * 768 * 1024 // 64, rows=1)
    figures["One unguided UNet step at 768x1024, float32, CPU"] = {
        "seconds": round(time.perf_counter() - start, 1), **rounded(watch),
        "one layer's attention matrices would take, MiB": round(matrices),
    }  # fmt: skip
    assert watch.most < matrices / 8
