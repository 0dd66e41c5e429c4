"""Every official repository with seeded weights in the published layout: folders, file names, key names, pickles.

The networks are small where the files themselves say how large they are (UNets, autoencoder, DensePose, safety checker)
and of the true size where they do not (both SCHP parsers, 270 MB each).
"""

from __future__ import annotations

import json
import pickle
import zlib
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save

from tests import densepose_tiny, tiny_checker
from tests.conformance.conftest import DATA, attention_state, read_json, reference_vae_state
from tests.conformance.seeded import seeded_state
from tests.fake_hub import official_repos, without_figures

SIZE = (96, 128)
DENSEPOSE = "DensePose/densepose_rcnn_R_50_FPN_s1x.yaml"
PIX2PIX = "timbrooks/instruct-pix2pix"
# InstructPix2Pix names another sampler, on Stable Diffusion's noise schedule. Its file is written from memory and with
# less than it may hold: what DDIM needs beyond it must not be left to DDIM's defaults.
PIX2PIX_SCHEDULER = {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "trained_betas": None,
}


class Maker:
    """Makes the data of each official file, as `official_repos` asks for it; large ones are written to `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = read_json("pipeline_config.json")
        self._checker = tiny_checker.write(folder / "checker").parent

    def __call__(self, repo: str, name: str) -> bytes | Path | None:
        if name.endswith("model_final_162be9.pkl"):
            return pickle.dumps(densepose_tiny.as_published(densepose_tiny.weights(densepose_tiny.RESNET)), protocol=2)
        if name.endswith(".yaml"):
            return self._densepose_config(name)
        if name.endswith(".pth"):
            return self._parser("atr" if name.endswith("-atr.pth") else "lip")
        if "safety_checker" in name or "feature_extractor" in name:
            return self._of_the_checker(name)
        if name.endswith("scheduler_config.json"):
            return json.dumps(PIX2PIX_SCHEDULER if repo == PIX2PIX else self._config["scheduler"]).encode()
        if "attention" in name:
            return save(attention_state(), metadata={"format": "pt"})
        return self._network(repo, name)

    def _network(self, repo: str, name: str) -> bytes | None:
        """A UNet's or the autoencoder's configuration or weights."""
        if name.endswith(".bin") or ".fp16." in name:
            return None  # only the first choice is published
        if "vae" in repo:
            return self._file(name, self._config["vae"], reference_vae_state(self._config))
        channels = 8 if repo == PIX2PIX else 9
        shapes = dict(self._config["unet_keys"])
        shapes["conv_in.weight"] = [shapes["conv_in.weight"][0], channels, 3, 3]
        # DeCo-VTON retrained the whole network: other numbers under the same names, none for the dead cross-attention.
        whole = repo.startswith("levinna/")
        shapes = {key: shape for key, shape in shapes.items() if not (whole and ".attn2." in key)}
        return self._file(
            name,
            self._config["unet"] | {"in_channels": channels},
            seeded_state(shapes, prefix="deco." if whole else ""),
        )

    @staticmethod
    def _file(name: str, config: dict, state: dict[str, torch.Tensor]) -> bytes:
        return json.dumps(config).encode() if name.endswith(".json") else save(state, metadata={"format": "pt"})

    @staticmethod
    def _densepose_config(name: str) -> bytes:
        if name == DENSEPOSE:
            return yaml.safe_dump({"_BASE_": "Base-DensePose-RCNN-FPN.yaml", "SOLVER": {"MAX_ITER": 5}}).encode()
        return yaml.safe_dump(dict(densepose_tiny.RESNET)).encode()

    def _of_the_checker(self, name: str) -> bytes | None:
        file = self._checker / name
        return file.read_bytes() if file.is_file() else None

    def _parser(self, dataset: str) -> Path:
        path = self._folder / f"{dataset}.pth"
        if not path.exists():
            torch.save({"epoch": 150, "state_dict": _schp_state(dataset)}, path)
        return path


def _schp_state(dataset: str) -> dict[str, torch.Tensor]:
    keys = read_json("schp_keys.json")
    shapes = keys["lip"] | (keys["atr_differs"] if dataset == "atr" else {})
    state = seeded_state(shapes, gains=keys["gains"])
    for key in (key for key in shapes if "running_" in key):
        generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) & 0x7FFFFFFF)
        drawn = torch.rand(tuple(shapes[key]), generator=generator)
        state[key] = 0.5 + drawn if key.endswith("running_var") else 0.1 * drawn
    with np.load(DATA / "schp.npz") as golden:
        state["module.fushion.3.bias"] = torch.from_numpy(golden[f"{dataset}_fushion_bias"])
    return state


def repositories(folder: Path) -> dict[str, dict[str, bytes | Path]]:
    return official_repos(Maker(folder))


def overlay(path: Path) -> Path:
    """For CATVTON_REGISTRY: no published sizes and sums, pictures of the small networks' size, few steps allowed."""
    without_figures(path)
    few = "steps = { default = 3, minimum = 1, maximum = 100 }"
    with path.open("a", encoding="utf-8") as file:
        for name in ("catvton", "catvton-maskfree", "deco"):
            file.write(f"\n[{name}]\n{few}\nsizes = [[{SIZE[0]}, {SIZE[1]}]]\n")
        for version in ("mix", "vitonhd", "dresscode"):
            file.write(f"[catvton.versions.{version}]\nsizes = [[{SIZE[0]}, {SIZE[1]}]]\n")
    return path


