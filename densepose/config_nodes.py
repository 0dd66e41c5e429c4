"""The sections below MODEL of Detectron2's config files, as frozen dataclasses; `densepose.config` has the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

Names = tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A section of the file."""

    UNREAD: ClassVar[frozenset[str]] = frozenset()


def unread(names: str) -> frozenset[str]:
    return frozenset(names.split())


@dataclass(frozen=True)
class Backbone(Node):
    UNREAD: ClassVar = unread("FREEZE_AT")
    name: str = "build_resnet_backbone"


@dataclass(frozen=True)
class ResNets(Node):
    UNREAD: ClassVar = unread("DEFORM_MODULATED DEFORM_NUM_GROUPS")
    depth: int = 50
    out_features: Names = ("res4",)
    num_groups: int = 1
    norm: str = "FrozenBN"
    width_per_group: int = 64
    stride_in_1x1: bool = True
    res5_dilation: int = 1
    res2_out_channels: int = 256
    stem_out_channels: int = 64
    deform_on_per_stage: tuple[bool, ...] = (False, False, False, False)


@dataclass(frozen=True)
class Fpn(Node):
    in_features: Names = ()
    out_channels: int = 256
    norm: str = ""
    fuse_type: str = "sum"


@dataclass(frozen=True)
class HrStage(Node):
    num_modules: int = 1
    num_branches: int = 2
    block: str = "BASIC"
    num_blocks: tuple[int, ...] = (4, 4)
    num_channels: tuple[int, ...] = (32, 64)
    fuse_method: str = "SUM"


@dataclass(frozen=True)
class Hrfpn(Node):
    out_channels: int = 256


@dataclass(frozen=True)
class HrNet(Node):
    stem_inplanes: int = 64
    stage2: HrStage = HrStage()
    stage3: HrStage = HrStage(4, 3, "BASIC", (4, 4, 4), (32, 64, 128))
    stage4: HrStage = HrStage(3, 4, "BASIC", (4, 4, 4, 4), (32, 64, 128, 256))
    hrfpn: Hrfpn = Hrfpn()


@dataclass(frozen=True)
class ProposalGenerator(Node):
    name: str = "RPN"
    min_size: float = 0.0


@dataclass(frozen=True)
class AnchorGenerator(Node):
    UNREAD: ClassVar = unread("ANGLES")
    name: str = "DefaultAnchorGenerator"
    sizes: tuple[tuple[float, ...], ...] = ((32, 64, 128, 256, 512),)
    aspect_ratios: tuple[tuple[float, ...], ...] = ((0.5, 1.0, 2.0),)
    offset: float = 0.0


@dataclass(frozen=True)
class Rpn(Node):
    UNREAD: ClassVar = unread(
        "BOUNDARY_THRESH IOU_THRESHOLDS IOU_LABELS BATCH_SIZE_PER_IMAGE POSITIVE_FRACTION BBOX_REG_LOSS_TYPE"
        " BBOX_REG_LOSS_WEIGHT SMOOTH_L1_BETA LOSS_WEIGHT PRE_NMS_TOPK_TRAIN POST_NMS_TOPK_TRAIN"
    )
    head_name: str = "StandardRPNHead"
    in_features: Names = ("res4",)
    bbox_reg_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    pre_nms_topk_test: int = 6000
    post_nms_topk_test: int = 1000
    nms_thresh: float = 0.7
    conv_dims: tuple[int, ...] = (-1,)


@dataclass(frozen=True)
class RoiHeads(Node):
    UNREAD: ClassVar = unread("IOU_THRESHOLDS IOU_LABELS BATCH_SIZE_PER_IMAGE POSITIVE_FRACTION PROPOSAL_APPEND_GT")
    name: str = "Res5ROIHeads"
    num_classes: int = 80
    in_features: Names = ("res4",)
    score_thresh_test: float = 0.05  # the predictor's min_score takes its place
    nms_thresh_test: float = 0.5


@dataclass(frozen=True)
class RoiBoxHead(Node):
    UNREAD: ClassVar = unread(
        "BBOX_REG_LOSS_TYPE BBOX_REG_LOSS_WEIGHT SMOOTH_L1_BETA CONV_DIM NORM TRAIN_ON_PRED_BOXES USE_FED_LOSS"
        " USE_SIGMOID_CE FED_LOSS_FREQ_WEIGHT_POWER FED_LOSS_NUM_CLASSES"
    )
    name: str = ""
    bbox_reg_weights: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    pooler_resolution: int = 14
    pooler_sampling_ratio: int = 0
    pooler_type: str = "ROIAlignV2"
    num_fc: int = 0
    fc_dim: int = 1024
    num_conv: int = 0
    cls_agnostic_bbox_reg: bool = False


@dataclass(frozen=True)
class DeepLab(Node):
    norm: str = "GN"
    nonlocal_on: int = 0


@dataclass(frozen=True)
class Confidence(Node):
    UNREAD: ClassVar = unread("EPSILON TYPE")
    enabled: bool = False


@dataclass(frozen=True)
class Embedder(Node):
    """One mesh whose vertices have embeddings of their own in the checkpoint."""

    UNREAD: ClassVar = unread("FEATURES_TRAINABLE IS_TRAINABLE INIT_FILE")
    mesh: str = ""  # the section's own name
    type: str = ""
    num_vertices: int = 0
    feature_dim: int = 0


@dataclass(frozen=True)
class Cse(Node):
    """Continuous surface embeddings."""

    UNREAD: ClassVar = unread(
        "EMBEDDING_DIST_GAUSS_SIGMA GEODESIC_DIST_GAUSS_SIGMA EMBED_LOSS_WEIGHT EMBED_LOSS_NAME FEATURES_LR_FACTOR"
        " EMBEDDING_LR_FACTOR SHAPE_TO_SHAPE_CYCLE_LOSS PIX_TO_SHAPE_CYCLE_LOSS"
    )
    embed_size: int = 16
    embedders: tuple[Embedder, ...] = ()


@dataclass(frozen=True)
class RoiDensePoseHead(Node):
    UNREAD: ClassVar = unread(
        "HEATMAP_SIZE FG_IOU_THRESHOLD INDEX_WEIGHTS PART_WEIGHTS POINT_REGRESSION_WEIGHTS"
        " COARSE_SEGM_TRAINED_BY_MASKS LOSS_NAME"
    )
    name: str = ""
    predictor_name: str = "DensePoseChartPredictor"
    num_stacked_convs: int = 8
    num_patches: int = 24
    deconv_kernel: int = 4
    conv_head_dim: int = 512
    conv_head_kernel: int = 3
    up_scale: int = 2
    pooler_type: str = "ROIAlignV2"
    pooler_resolution: int = 28
    pooler_sampling_ratio: int = 2
    num_coarse_segm_channels: int = 2
    decoder_on: bool = True
    decoder_num_classes: int = 256
    decoder_conv_dims: int = 256
    decoder_norm: str = ""
    decoder_common_stride: int = 4
    deeplab: DeepLab = DeepLab()
    uv_confidence: Confidence = Confidence()
    segm_confidence: Confidence = Confidence()
    cse: Cse = Cse()
