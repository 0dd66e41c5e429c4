"""DensePose networks of a few thousand seeded weights: the published layouts in milliseconds."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from densepose import DensePose
from densepose.config import Config
from densepose.config_files import fill
from densepose.model import DensePoseNet
from densepose.weights import load_strictly
from tests.conformance.densepose_reference import seeded_weights

LEVELS = ["p2", "p3", "p4", "p5"]
STAGES = ["res2", "res3", "res4", "res5"]
MESH = {"TYPE": "vertex_feature", "NUM_VERTICES": 7, "FEATURE_DIM": 5, "INIT_FILE": "somewhere.pkl"}

RESNET: dict[str, Any] = {
    "VERSION": 2,
    "MODEL": {
        "BACKBONE": {"NAME": "build_resnet_fpn_backbone"},
        "RESNETS": {
            "DEPTH": 50, "OUT_FEATURES": STAGES, "STEM_OUT_CHANNELS": 4, "RES2_OUT_CHANNELS": 8, "WIDTH_PER_GROUP": 4,
        },
        "FPN": {"IN_FEATURES": STAGES, "OUT_CHANNELS": 8},
        "ANCHOR_GENERATOR": {"SIZES": [[16], [32], [64], [96], [128]], "ASPECT_RATIOS": [[0.5, 1.0, 2.0]]},
        "RPN": {"IN_FEATURES": [*LEVELS, "p6"], "PRE_NMS_TOPK_TEST": 60, "POST_NMS_TOPK_TEST": 40},
        "ROI_HEADS": {"NAME": "DensePoseROIHeads", "IN_FEATURES": LEVELS, "NUM_CLASSES": 1},
        "ROI_BOX_HEAD": {
            "NAME": "FastRCNNConvFCHead", "NUM_FC": 2, "FC_DIM": 16, "POOLER_RESOLUTION": 7, "POOLER_SAMPLING_RATIO": 0,
            "POOLER_TYPE": "ROIAlignV2",
        },
        "ROI_DENSEPOSE_HEAD": {
            "NAME": "DensePoseV1ConvXHead", "NUM_STACKED_CONVS": 2, "CONV_HEAD_DIM": 8, "DECODER_NUM_CLASSES": 8,
            "DECODER_CONV_DIMS": 8, "POOLER_RESOLUTION": 14, "POOLER_TYPE": "ROIAlign",
        },
    },
    "INPUT": {"MIN_SIZE_TEST": 96, "MAX_SIZE_TEST": 160},
}  # fmt: skip

OVERRIDES = {
    "roi_heads.box_predictor.cls_score.bias": [2.0, -2.0],  # people everywhere
    "roi_heads.densepose_predictor.ann_index_lowres.bias": [-0.5, 0.5],
}


def changed(tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`tree` with `changes` laid over it, sections merged."""
    both = dict(tree)
    for key, value in changes.items():
        both[key] = changed(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


EMBEDDING = changed(
    RESNET,
    {"MODEL": {"ROI_DENSEPOSE_HEAD": {
        "PREDICTOR_NAME": "DensePoseEmbeddingPredictor", "LOSS_NAME": "DensePoseCseLoss",
        "CSE": {"EMBED_SIZE": 3, "EMBED_LOSS_NAME": "EmbeddingLoss", "EMBEDDERS": {"cube": MESH}},
    }}},
)  # fmt: skip
HRNET = changed(
    RESNET,
    {"MODEL": {
        "BACKBONE": {"NAME": "build_hrfpn_backbone"},
        "HRNET": {
            "STEM_INPLANES": 4, "HRFPN": {"OUT_CHANNELS": 8},
            "STAGE2": {"NUM_BLOCKS": [1, 1], "NUM_CHANNELS": [4, 4]},
            "STAGE3": {"NUM_MODULES": 1, "NUM_BLOCKS": [1, 1, 1], "NUM_CHANNELS": [4, 4, 4]},
            "STAGE4": {"NUM_MODULES": 1, "NUM_BLOCKS": [1, 1, 1, 1], "NUM_CHANNELS": [4, 4, 4, 4]},
        },
        "RPN": {"IN_FEATURES": ["p1", *LEVELS]}, "ROI_HEADS": {"IN_FEATURES": ["p1", *LEVELS]},
    }},
)  # fmt: skip


def config(tree: Mapping[str, Any]) -> Config:
    return fill(Config(), tree, where="tiny.yaml")


def network(tree: Mapping[str, Any]) -> DensePoseNet:
    """Without weights."""
    with torch.device("meta"):
        return DensePoseNet(config(tree))


def weights(tree: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    shapes = {key: tuple(value.shape) for key, value in network(tree).state_dict().items()}
    overrides = {key: value for key, value in OVERRIDES.items() if key in shapes}
    return seeded_weights(shapes, gains={"bottom_up.stem": 0.02, "bottom_up.conv1": 0.02}, overrides=overrides)


def model(tree: Mapping[str, Any] = RESNET, *, min_score: float = 0.6) -> DensePose:
    found = network(tree)
    load_strictly(found, weights(tree), source="tiny")
    return DensePose(found.eval(), min_score=min_score)


def photo(width: int = 60, height: int = 90, *, seed: int = 0) -> Image.Image:
    """Coarse coloured noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def as_published(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    return {"model": {key: value.numpy() for key, value in state.items()}, "__author__": "Detectron2 Model Zoo"}


def write_folder(folder: Path, tree: Mapping[str, Any] = RESNET) -> Path:
    """`folder` with a config based on another and a checkpoint, as the published ones lie there."""
    folder.mkdir(parents=True)
    (folder / "Base-Tiny.yaml").write_text(yaml.safe_dump(dict(tree)))
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"_BASE_": "Base-Tiny.yaml", "SOLVER": {"MAX_ITER": 5}}))
    (folder / "model_final_0.pkl").write_bytes(pickle.dumps(as_published(weights(tree)), protocol=2))
    return folder
