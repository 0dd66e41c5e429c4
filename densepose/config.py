"""A network's description: what Detectron2's config files say, as frozen dataclasses.

A field is the file's key in small letters, its default the published one. Keys that exist but only matter for training,
or for parts these networks do not have, are listed in `UNREAD`: they may stand in a file and are not looked at. Any
other key is a mistake (`densepose.config_files` refuses it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from densepose.config_nodes import (
    AnchorGenerator,
    Backbone,
    Fpn,
    HrNet,
    Node,
    ProposalGenerator,
    ResNets,
    RoiBoxHead,
    RoiDensePoseHead,
    RoiHeads,
    Rpn,
    unread,
)


@dataclass(frozen=True)
class Model(Node):
    UNREAD: ClassVar = unread(
        "DEVICE WEIGHTS ROI_BOX_CASCADE_HEAD ROI_MASK_HEAD ROI_KEYPOINT_HEAD SEM_SEG_HEAD PANOPTIC_FPN RETINANET"
    )
    meta_architecture: str = "GeneralizedRCNN"
    load_proposals: bool = False
    mask_on: bool = False
    keypoint_on: bool = False
    densepose_on: bool = True
    pixel_mean: tuple[float, ...] = (103.53, 116.28, 123.675)
    pixel_std: tuple[float, ...] = (1.0, 1.0, 1.0)
    backbone: Backbone = field(default_factory=Backbone)
    resnets: ResNets = field(default_factory=ResNets)
    fpn: Fpn = field(default_factory=Fpn)
    hrnet: HrNet = field(default_factory=HrNet)
    proposal_generator: ProposalGenerator = field(default_factory=ProposalGenerator)
    anchor_generator: AnchorGenerator = field(default_factory=AnchorGenerator)
    rpn: Rpn = field(default_factory=Rpn)
    roi_heads: RoiHeads = field(default_factory=RoiHeads)
    roi_box_head: RoiBoxHead = field(default_factory=RoiBoxHead)
    roi_densepose_head: RoiDensePoseHead = field(default_factory=RoiDensePoseHead)


@dataclass(frozen=True)
class Input(Node):
    UNREAD: ClassVar = unread(
        "MIN_SIZE_TRAIN MIN_SIZE_TRAIN_SAMPLING MAX_SIZE_TRAIN RANDOM_FLIP CROP MASK_FORMAT ROTATION_ANGLES"
    )
    min_size_test: int = 800
    max_size_test: int = 1333
    format: str = "BGR"


@dataclass(frozen=True)
class Test(Node):
    UNREAD: ClassVar = unread("EXPECTED_RESULTS EVAL_PERIOD KEYPOINT_OKS_SIGMAS AUG PRECISE_BN")
    detections_per_image: int = 100


@dataclass(frozen=True)
class Datasets(Node):
    UNREAD: ClassVar = unread(
        "TRAIN TEST PROPOSAL_FILES_TRAIN PROPOSAL_FILES_TEST PRECOMPUTED_PROPOSAL_TOPK_TRAIN"
        " PRECOMPUTED_PROPOSAL_TOPK_TEST CATEGORY_MAPS WHITELISTED_CATEGORIES CLASS_TO_MESH_NAME_MAPPING"
    )


@dataclass(frozen=True)
class Solver(Node):
    UNREAD: ClassVar = unread(
        "LR_SCHEDULER_NAME MAX_ITER BASE_LR BASE_LR_END MOMENTUM NESTEROV WEIGHT_DECAY WEIGHT_DECAY_NORM GAMMA STEPS"
        " NUM_DECAYS RESCALE_INTERVAL WARMUP_FACTOR WARMUP_ITERS WARMUP_METHOD CHECKPOINT_PERIOD IMS_PER_BATCH"
        " REFERENCE_WORLD_SIZE BIAS_LR_FACTOR WEIGHT_DECAY_BIAS CLIP_GRADIENTS AMP"
    )


@dataclass(frozen=True)
class Config(Node):
    """A whole file, its `_BASE_` included."""

    UNREAD: ClassVar = unread(
        "DATALOADER OUTPUT_DIR SEED CUDNN_BENCHMARK FLOAT32_PRECISION VIS_PERIOD GLOBAL BOOTSTRAP_DATASETS"
        " BOOTSTRAP_MODEL DENSEPOSE_EVALUATION"
    )
    version: int = 2
    model: Model = field(default_factory=Model)
    input: Input = field(default_factory=Input)
    test: Test = field(default_factory=Test)
    datasets: Datasets = field(default_factory=Datasets)
    solver: Solver = field(default_factory=Solver)

    @property
    def has_embeddings(self) -> bool:
        """Whether the network predicts surface embeddings (CSE) in place of charts."""
        return self.model.roi_densepose_head.predictor_name == "DensePoseEmbeddingPredictor"
