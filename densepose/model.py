"""The whole network, put together from a config: backbone, region proposals, box head, DensePose head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn

from densepose.box_head import BoxHead, BoxPredictor, Detections, detections, pool_levels
from densepose.config import Config
from densepose.config_nodes import RoiDensePoseHead
from densepose.dense_heads import ChartPredictor, ConvHead, Decoder, DeepLabHead, EmbeddingPredictor, MeshEmbedders
from densepose.fpn import Features, build_backbone
from densepose.roi_align import RoiPooler
from densepose.rpn import Proposals, Rpn
from densepose.support import check

MAX_PEOPLE = 8  # through the DensePose head at once: each takes 1.6 million activations in every layer


class RoiHeads(nn.Module):
    """What looks at single boxes, as one part of the checkpoint."""

    def __init__(self, config: Config, *, width: int, strides: Mapping[str, int]) -> None:
        super().__init__()
        settings = config.model.roi_densepose_head
        self.box_head = BoxHead(config, width=width)
        self.box_predictor = BoxPredictor(config, width=self.box_head.outer)
        self.decoder = Decoder(settings, width=width, strides=strides)
        head = DeepLabHead if settings.name == "DensePoseDeepLabHead" else ConvHead
        self.densepose_head = head(settings, width=settings.decoder_num_classes)
        self.densepose_predictor = EmbeddingPredictor(settings) if config.has_embeddings else ChartPredictor(settings)
        self.embedder = MeshEmbedders(settings.cse) if config.has_embeddings else None


class DensePoseNet(nn.Module):
    """A network for inference, in four steps that a caller takes one after another.

    Raises:
        ConfigError: the config asks for something that is not here.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        check(config)
        self.config = config
        self.backbone = build_backbone(config)
        width, strides = self.backbone.width, self.backbone.strides
        levels = pool_levels(config, strides)
        self.proposal_generator = Rpn(config, width=width, strides=strides)
        self.roi_heads = RoiHeads(config, width=width, strides=levels)
        box, dense = config.model.roi_box_head, config.model.roi_densepose_head
        self._box_pooler = RoiPooler(
            levels, size=box.pooler_resolution, sampling=box.pooler_sampling_ratio, kind=box.pooler_type
        )
        self._dense_pooler = _decoder_pooler(dense)

    def features(self, images: torch.Tensor) -> Features:
        """Normalised images (N, 3, H, W), padded to the backbone's multiple -> maps by level."""
        return self.backbone(images)

    def propose(self, features: Features, size: tuple[int, int]) -> list[Proposals]:
        """Likely boxes in each of the N images, whose (height, width) was `size` before padding."""
        return self.proposal_generator(features, size)

    def detect(
        self, features: Features, proposals: Sequence[Proposals], size: tuple[int, int], *, min_score: float
    ) -> list[Detections]:
        """The people in each image with a score above `min_score`, best first."""
        boxes = [found.boxes for found in proposals]
        counts = [len(some) for some in boxes]
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(self._box_pooler(features, boxes)))
        rows = zip(logits.split(counts), deltas.split(counts), boxes, strict=True)
        return [detections(*row, config=self.config, size=size, min_score=min_score) for row in rows]

    def describe(self, features: Features, boxes: Sequence[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """The predictor's maps of each box (n, 4) of each image: for every image {"coarse": (n, C, S, S), ...}."""
        if not any(len(some) for some in boxes):
            return [{} for _ in boxes]
        shared = {"decoder": self.roi_heads.decoder(features)}
        pooled = self._dense_pooler(shared, boxes)
        parts = [self.roi_heads.densepose_predictor(self.roi_heads.densepose_head(some))
                 for some in pooled.split(MAX_PEOPLE)]  # fmt: skip
        maps = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        starts = torch.tensor([0, *(len(some) for some in boxes)]).cumsum(0).tolist()
        return [{name: values[start:end] for name, values in maps.items()} for start, end in pairwise(starts)]


def _decoder_pooler(config: RoiDensePoseHead) -> RoiPooler:
    """The decoder's one map is read for boxes of every size."""
    return RoiPooler(
        {"decoder": config.decoder_common_stride},
        size=config.pooler_resolution,
        sampling=config.pooler_sampling_ratio,
        kind=config.pooler_type,
    )
