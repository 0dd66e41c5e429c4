"""The published DensePose networks with seeded weights, and what the reference implementation found with them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from densepose import DensePose
from densepose.config_files import SHIPPED, read_config
from densepose.model import DensePoseNet
from densepose.weights import load_strictly
from tests.conformance.conftest import DATA, read_json
from tests.conformance.seeded import seeded_tensor

CONFIGS = {
    "r50": "densepose_rcnn_R_50_FPN_s1x.yaml",
    "r101": "densepose_rcnn_R_101_FPN_s1x.yaml",
    "r50dl": "densepose_rcnn_R_50_FPN_DL_s1x.yaml",
    "hrnet": "HRNet/densepose_rcnn_HRFPN_HRNet_w32_s1x.yaml",
}


def photo() -> Image.Image:
    return Image.open(DATA / "densepose_320x400.png")


def golden(name: str) -> dict[str, np.ndarray]:
    return dict(np.load(DATA / f"densepose_{name}.npz"))


def key_list(name: str) -> dict[str, list[int]]:
    """Key -> shape in the published checkpoint; two of the four lists are kept as differences."""
    rows = read_json("densepose_keys.json")
    row = rows[CONFIGS[name]]
    if "same_as" not in row:
        return row
    same = {key: shape for key, shape in rows[row["same_as"]].items() if key not in row["removed"]}
    return same | row["added_or_changed"]


def seeded(key: str, shape: Sequence[int], gain: float = 1.0) -> torch.Tensor:
    """`seeded_tensor`, and what batch norms have besides: statistics about those of white noise, a counter."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    if key.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    if key.endswith("running_var"):
        return 0.5 + torch.rand(tuple(shape), generator=generator)
    if key.endswith("running_mean"):
        return 0.1 * torch.randn(tuple(shape), generator=generator)
    return seeded_tensor(key, shape, gain)


def seeded_weights(
    shapes: Mapping[str, Sequence[int]], *, gains: Mapping[str, float], overrides: Mapping[str, list[float]]
) -> dict[str, torch.Tensor]:
    state = {}
    for key in sorted(shapes):
        gain = next((value for part, value in gains.items() if part in key), 1.0)
        state[key] = seeded(key, shapes[key], gain)
    return state | {key: torch.tensor(values) for key, values in overrides.items()}


def reference_weights(name: str) -> dict[str, torch.Tensor]:
    spec = read_json(f"densepose_{name}.json")
    return seeded_weights(key_list(name), gains=spec["gains"], overrides=spec["overrides"])


def empty_network(name: str) -> DensePoseNet:
    with torch.device("meta"):
        return DensePoseNet(read_config(SHIPPED / CONFIGS[name]))


def reference_model(name: str, weights: Mapping[str, torch.Tensor]) -> DensePose:
    network = empty_network(name)
    load_strictly(network, weights, source=name)
    return DensePose(network.eval().requires_grad_(False))


@dataclass
class Record:
    """What the parts of one network took and gave, in the order of the calls, and what came of it."""

    taken: dict[str, list[Any]] = field(default_factory=dict)
    given: dict[str, list[Any]] = field(default_factory=dict)
    labels: np.ndarray | None = None


def watched(model: DensePose, image: Image.Image) -> Record:
    """The labels of `image`, and everything that passes between the network's parts on the way to them."""
    record = Record()
    network = model.network
    parts = {
        "backbone": network.backbone, "rpn_head": network.proposal_generator.rpn_head,
        "proposals": network.proposal_generator, "box": network.roi_heads.box_predictor,
        "decoder": network.roi_heads.decoder, "head": network.roi_heads.densepose_head,
        "charts": network.roi_heads.densepose_predictor,
    }  # fmt: skip

    def watch(name: str):
        def note(_module, taken, given):
            record.taken.setdefault(name, []).append(taken[0])
            record.given.setdefault(name, []).append(given)

        return note

    hooks = [module.register_forward_hook(watch(name)) for name, module in parts.items()]
    try:
        record.labels = model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return record
