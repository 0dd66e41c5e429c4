"""A Stable Diffusion safety checker of a few thousand seeded weights, written the way the official files lie there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

SIDE, DIMENSIONS = 32, 8

# As published with Stable Diffusion 1.5, but for the two sizes.
PREPROCESSOR = {
    "crop_size": SIDE,
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": SIDE,
}


def tiny_model(*, seed: int = 0) -> StableDiffusionSafetyChecker:
    """Of `pictures(24)` some are hit by concept 2, and by some others once a special-care concept has been hit."""
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokens = {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
    config = CLIPConfig(
        projection_dim=DIMENSIONS,
        vision_config=sizes | {"image_size": SIDE, "patch_size": 8},
        text_config=sizes | tokens | {"max_position_embeddings": 8},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = StableDiffusionSafetyChecker(config)
        for parameter in model.parameters():
            fan_in = math.prod(parameter.shape[1:]) or 1
            parameter.data = torch.randn(parameter.shape) * 1.5 / math.sqrt(fan_in)
    model.eval()
    concepts = cosines(model, model.concept_embeds)
    model.concept_embeds_weights.data = concepts.amax(0) + 0.004
    model.concept_embeds_weights.data[2] = concepts[:, 2].quantile(0.8)
    model.special_care_embeds_weights.data = cosines(model, model.special_care_embeds).quantile(0.8, dim=0)
    return model


@torch.no_grad()
def cosines(model: StableDiffusionSafetyChecker, rows: torch.Tensor) -> torch.Tensor:
    """Of `pictures(24)` with rows (N, D): (24, N)."""
    embeddings = model.visual_projection(model.vision_model(prepared(pictures(24))).pooler_output)
    return torch.nn.functional.cosine_similarity(embeddings[:, None], rows[None], dim=2)


def prepared(images: list[Image.Image]) -> torch.Tensor:
    """What the network is given for pictures (PIL RGB): (B, 3, SIDE, SIDE)."""
    return CLIPImageProcessorPil(**PREPROCESSOR)(images=images, return_tensors="pt").pixel_values


def write(root: Path, *, seed: int = 0) -> Path:
    """`root/safety_checker` and `root/feature_extractor`; the former is returned."""
    folder, extractor = root / "safety_checker", root / "feature_extractor"
    for made in (folder, extractor):
        made.mkdir(parents=True)
    model = tiny_model(seed=seed)
    (folder / "config.json").write_text(model.config.to_json_string())
    save(folder, model.state_dict())
    (extractor / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


def save(folder: Path, state: dict[str, torch.Tensor], name: str = "model.safetensors") -> None:
    save_file({key: value.contiguous() for key, value in state.items()}, folder / name, metadata={"format": "pt"})


def old_keys(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As transformers 4 wrote them, with the position numbers it kept among the tensors."""
    renamed = {f"vision_model.{key}" if key.startswith("vision_model.") else key: state[key] for key in state}
    positions = torch.arange((SIDE // 8) ** 2 + 1)[None]
    return renamed | {"vision_model.vision_model.embeddings.position_ids": positions}


def pictures(count: int, *, size: tuple[int, int] = (48, 64)) -> list[Image.Image]:
    """Blurred noise on random colours, each picture its own."""
    made = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        coarse = random.integers(0, 256, (5, 4, 3)) * 0.6 + random.integers(0, 256, 3) * 0.4
        made.append(Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC))
    return made
