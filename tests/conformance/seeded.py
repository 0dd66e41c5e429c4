"""Weights that depend on nothing but their names, as the reference numbers were made with."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import torch


def seeded_tensor(key: str, shape: Sequence[int], gain: float = 1.0) -> torch.Tensor:
    """float32: kernels of unit gain over their inputs (times `gain`), scales about 1, biases about 0."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    values = torch.randn(tuple(shape), generator=generator)
    if len(shape) >= 2:
        return values * gain / math.sqrt(math.prod(shape[1:]))
    return 1 + 0.1 * values if key.endswith("weight") else 0.02 * values


def seeded_state(
    shapes: Mapping[str, Sequence[int]], *, prefix: str = "", gains: Mapping[str, float] | None = None
) -> dict[str, torch.Tensor]:
    """{key: shape} -> {key: tensor}. The first substring of `gains` found in a key sets its gain."""
    state = {}
    for key in sorted(shapes):
        gain = next((value for part, value in (gains or {}).items() if part in key), 1.0)
        state[key] = seeded_tensor(prefix + key, shapes[key], gain)
    return state


def fingerprint(state: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """What the reference recorded of its weights, to compare before anything else."""
    values = [tensor.double() for tensor in state.values()]
    return {
        "sum": float(sum(value.sum() for value in values)),
        "abs_sum": float(sum(value.abs().sum() for value in values)),
        "numel": sum(value.numel() for value in values),
    }
