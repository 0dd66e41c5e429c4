"""The published safety checker's true size: CLIP ViT-L/14 with 0.3 billion seeded weights, in the published layout.

Nothing is downloaded. The tensors are named as transformers 4 wrote them (1.2 GB in float32, half of it in float16).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import save_file
from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from catvton.errors import WeightsError
from catvton.safety.stable_diffusion import StableDiffusionChecker
from tests import tiny_checker
from tests.conformance.seeded import seeded_tensor

pytestmark = pytest.mark.proof

VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
          "patch_size": 14}  # fmt: skip
TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12}
CONFIG = {
    "architectures": ["StableDiffusionSafetyChecker"], "initializer_factor": 1.0, "logit_scale_init_value": 2.6592,
    "model_type": "clip", "projection_dim": 768, "torch_dtype": "float32", "transformers_version": None,
    "text_config": TEXT, "text_config_dict": TEXT,
    "vision_config": VISION | {"image_size": 224, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05},
    "vision_config_dict": VISION,
}  # fmt: skip
PREPROCESSOR = tiny_checker.PREPROCESSOR | {"crop_size": 224, "size": 224}
PICTURES = tiny_checker.pictures(3, size=(768, 1024))


def old_state() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        shapes = StableDiffusionSafetyChecker(CLIPConfig(**CONFIG)).state_dict()
    state = {key: seeded_tensor(key, value.shape) for key, value in shapes.items()}
    renamed = {f"vision_model.{key}" if key.startswith("vision_model.") else key: state[key] for key in state}
    return renamed | {"vision_model.vision_model.embeddings.position_ids": torch.arange(257)[None]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("full-size-checker")
    folder, extractor = root / "safety_checker", root / "feature_extractor"
    for made in (folder, extractor):
        made.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (extractor / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    save_file(old_state(), folder / "model.safetensors", metadata={"format": "pt"})
    yield folder
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def checker(folder: Path) -> StableDiffusionChecker:
    return StableDiffusionChecker.from_folder(folder)


def scores(checker: StableDiffusionChecker) -> np.ndarray:
    return np.array([list(verdict.scores.values()) for verdict in checker.check(PICTURES)])


def test_verdicts_are_those_of_the_published_model(folder, checker, figures):
    model = StableDiffusionSafetyChecker.from_pretrained(folder, dtype=torch.float32)
    pixels = CLIPImageProcessorPil(**PREPROCESSOR)(images=PICTURES, return_tensors="pt").pixel_values
    embeddings = model.visual_projection(model.vision_model(pixels).pooler_output).detach()
    cosines = torch.nn.functional.cosine_similarity(embeddings[:, None], model.concept_embeds[None], dim=2)
    start = time.perf_counter()
    found = checker.check(PICTURES)
    seconds = (time.perf_counter() - start) / len(PICTURES)
    expected = (cosines - model.concept_embeds_weights).detach().numpy()
    ours = np.array([[v.scores[f"concept {n}"] for n in range(17)] for v in found])
    special = np.array([any(name.startswith("special") for name in v.hits) for v in found])
    assert np.abs(ours - 0.01 * special[:, None] - expected).max() < 6e-4  # scores are rounded to 1e-3
    arrays = np.stack([np.asarray(picture) / 255 for picture in PICTURES])
    assert [v.flagged for v in found] == model(images=arrays, clip_input=pixels)[1]
    figures["Safety checker, full size, float32, CPU"] = {
        "million weights": round(model.num_parameters() / 1e6, 1),
        "tensors in the file": len(model.state_dict()) + 1,
        "seconds per picture": round(seconds, 2),
    }


def test_the_half_precision_file_judges_nearly_the_same(folder, checker, tmp_path):
    half = shutil.copytree(folder, tmp_path / "safety_checker", ignore=shutil.ignore_patterns("*.safetensors"))
    state = {key: value.half() if value.is_floating_point() else value for key, value in old_state().items()}
    save_file(state, half / "model.fp16.safetensors", metadata={"format": "pt"})
    found = StableDiffusionChecker.from_folder(half, folder.parent / "feature_extractor")
    assert np.abs(scores(found) - scores(checker)).max() < 5e-3
    shutil.rmtree(half)


def test_one_tensor_less_is_refused_by_name(folder, tmp_path):
    partial = shutil.copytree(folder, tmp_path / "safety_checker", ignore=shutil.ignore_patterns("*.safetensors"))
    state = old_state()
    del state["vision_model.vision_model.encoder.layers.23.mlp.fc2.bias"]
    save_file(state, partial / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing keys.*layers\.23\.mlp\.fc2\.bias"):
        StableDiffusionChecker.from_folder(partial, folder.parent / "feature_extractor")
    shutil.rmtree(partial)
