"""What a config may ask for that this package does not do: refused with the key and the values that work."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from densepose.config import Config
from densepose.errors import ConfigError

BACKBONES = ("build_resnet_fpn_backbone", "build_hrfpn_backbone")
BLOCKS_OF_DEPTH = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
POOLERS = ("ROIAlign", "ROIAlignV2")  # without and with the half-pixel shift
PREDICTORS = ("DensePoseChartPredictor", "DensePoseEmbeddingPredictor")
HEADS = ("DensePoseV1ConvXHead", "DensePoseDeepLabHead")
EMBEDDERS = ("vertex_feature", "vertex_direct")

_ALLOWED = {
    "version": (2,),
    "input.format": ("BGR",),
    "model.meta_architecture": ("GeneralizedRCNN",),
    "model.load_proposals": (False,),
    "model.mask_on": (False,),
    "model.keypoint_on": (False,),
    "model.densepose_on": (True,),
    "model.backbone.name": BACKBONES,
    "model.proposal_generator.name": ("RPN",),
    "model.anchor_generator.name": ("DefaultAnchorGenerator",),
    "model.rpn.head_name": ("StandardRPNHead",),
    "model.rpn.conv_dims": ((-1,),),
    "model.roi_heads.name": ("DensePoseROIHeads",),
    "model.roi_box_head.name": ("FastRCNNConvFCHead",),
    "model.roi_box_head.num_conv": (0,),
    "model.roi_box_head.pooler_type": POOLERS,
    "model.roi_densepose_head.name": HEADS,
    "model.roi_densepose_head.predictor_name": PREDICTORS,
    "model.roi_densepose_head.pooler_type": POOLERS,
    "model.roi_densepose_head.decoder_on": (True,),
    "model.roi_densepose_head.decoder_norm": ("",),
    "model.roi_densepose_head.deeplab.norm": ("GN",),
    "model.roi_densepose_head.deeplab.nonlocal_on": (0,),
    "model.roi_densepose_head.uv_confidence.enabled": (False,),
    "model.roi_densepose_head.segm_confidence.enabled": (False,),
}
_ALLOWED_RESNET = {
    "model.resnets.depth": tuple(BLOCKS_OF_DEPTH),
    "model.resnets.out_features": (("res2", "res3", "res4", "res5"),),
    "model.resnets.norm": ("FrozenBN",),
    "model.resnets.res5_dilation": (1,),
    "model.resnets.deform_on_per_stage": ((False, False, False, False),),
    "model.fpn.in_features": (("res2", "res3", "res4", "res5"),),
    "model.fpn.norm": ("",),
    "model.fpn.fuse_type": ("sum",),
}
_ALLOWED_HRNET = {
    f"model.hrnet.stage{n}.{key}": values
    for n, branches in ((2, 2), (3, 3), (4, 4))
    for key, values in (("num_branches", (branches,)), ("block", ("BASIC",)), ("fuse_method", ("SUM",)))
}


def check(config: Config) -> None:
    """Raise a `ConfigError` that names everything `config` asks for and this package cannot do."""
    if faults := list(_faults(config)):
        raise ConfigError("This config cannot be run: " + "; ".join(faults) + ".")


def _faults(config: Config) -> Iterator[str]:
    hrnet = config.model.backbone.name == "build_hrfpn_backbone"
    for path, allowed in {**_ALLOWED, **(_ALLOWED_HRNET if hrnet else _ALLOWED_RESNET)}.items():
        value = reduce(getattr, path.split("."), config)
        if value not in allowed:
            yield f"{path.upper()} is {value!r}, must be {' or '.join(map(repr, allowed))}"
    levels = [f"p{n}" for n in (range(1, 6) if hrnet else range(2, 7))]
    for name, node in (("RPN", config.model.rpn), ("ROI_HEADS", config.model.roi_heads)):
        if not node.in_features or not set(node.in_features) <= set(levels):
            yield f"MODEL.{name}.IN_FEATURES is {node.in_features!r}, must be some of {', '.join(levels)}"
    anchors = config.model.anchor_generator
    for name, rows in (("SIZES", anchors.sizes), ("ASPECT_RATIOS", anchors.aspect_ratios)):
        if len(rows) not in (1, len(config.model.rpn.in_features)):
            yield f"MODEL.ANCHOR_GENERATOR.{name} needs one list, or one for each of RPN.IN_FEATURES"
    for spec in config.model.roi_densepose_head.cse.embedders:
        if spec.type not in EMBEDDERS:
            yield f"the embedder {spec.mesh} is of type {spec.type!r}, must be {' or '.join(map(repr, EMBEDDERS))}"
