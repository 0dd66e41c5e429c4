"""The reference's tiny networks, written to disk the way the official files lie there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from tests.conformance.seeded import fingerprint, seeded_state

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Official:
    """Folders as `CatVTONPipeline.from_official` takes them."""

    base: Path
    vae: Path
    attention: Path

    @property
    def attention_file(self) -> Path:
        return self.attention / "mix-48k-1024" / "attention" / "model.safetensors"


def read_json(name: str) -> dict:
    return json.loads((DATA / name).read_text())


def reference_vae_state(config: dict) -> dict:
    state = seeded_state(config["vae_keys"], gains=config["vae_gains"])
    state["quant_conv.weight"][4:] = 0
    state["quant_conv.bias"][4:] = -30  # the posterior's log-variance: its sample is its mean
    return state


def attention_state(name: str = "tiny") -> dict:
    rows = read_json("attention_keys.json")[name]
    return seeded_state({key: row["shape"] for key, row in rows.items()}, prefix="attn.")


def write_model(folder: Path, config: dict, state: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(state, folder / "diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="session")
def official(tmp_path_factory) -> Official:
    root = tmp_path_factory.mktemp("official")
    folders = Official(base=root / "base", vae=root / "vae", attention=root / "attn")
    config = read_json("pipeline_config.json")
    states = {"unet": seeded_state(config["unet_keys"]), "vae": reference_vae_state(config), "attn": attention_state()}
    for name, state in states.items():
        expected = config["fingerprints"][name]
        found = fingerprint(state)
        assert found["numel"] == expected["numel"], name
        for figure in ("sum", "abs_sum"):
            assert found[figure] == pytest.approx(expected[figure], abs=1e-6 * expected["abs_sum"]), name
    write_model(folders.base / "unet", config["unet"], states["unet"])
    write_model(folders.vae, config["vae"], states["vae"])
    (folders.base / "scheduler").mkdir()
    (folders.base / "scheduler" / "scheduler_config.json").write_text(json.dumps(config["scheduler"]))
    folders.attention_file.parent.mkdir(parents=True)
    save_file(states["attn"], folders.attention_file)
    return folders


@pytest.fixture(scope="session")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "pipeline.npz"))


@pytest.fixture(scope="session")
def pictures() -> dict[str, Image.Image]:
    """person, garment, mask at 96x128; the odd_ ones at other sizes and aspects."""
    files = {"person": "person.png", "garment": "garment.png", "mask": "mask.png", "odd_person": "person_150x170.png",
             "odd_garment": "garment_130x90.png", "odd_mask": "mask_150x170.png"}  # fmt: skip
    return {name: Image.open(DATA / file) for name, file in files.items()}
