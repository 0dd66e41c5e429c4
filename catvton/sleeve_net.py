"""The network that tells how long a garment's sleeves are, from its cut-out alone.

Trained by `catvton.training.sleeve_stage`, used by `catvton.start`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

SIZE = (48, 64)  # width, height of the canvas it sees
DROPPED = 0.3  # of the features in training
SURE = 0.6  # less likely than this, nothing is said


class Kind(NamedTuple):
    """A kind of garment, and the share of an arm that its sleeves cover; None: it has nothing to do with arms."""

    name: str
    reach: float | None


KINDS = (Kind("none", 0.04), Kind("short", 0.42), Kind("long", 0.97), Kind("no top", None))


class SleeveNet(ModelMixin, ConfigMixin):
    """Four strided convolutions, then a decision over `KINDS`.

    Args:
        widths: channels at a half of `SIZE`, a quarter and so on.
    """

    @register_to_config
    def __init__(self, widths: tuple[int, ...] = (16, 32, 48, 64)) -> None:
        super().__init__()
        self.body = nn.Sequential(*(_block(a, b) for a, b in pairwise((4, *widths))), nn.Dropout2d(DROPPED))
        self.head = nn.Linear(widths[-1] * (SIZE[0] >> len(widths)) * (SIZE[1] >> len(widths)), len(KINDS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 4, 64, 48) from `network_input` -> (B, kinds) logits."""
        return self.head(self.body(x).flatten(1))

    @torch.inference_mode()
    def reach(self, canvas: np.ndarray) -> float | None:
        """The share of an arm that a garment's sleeves cover.

        Args:
            canvas: uint8 (H, W, 4), as `catvton.placement.garment_canvas` makes it.

        Returns:
            0..1; None where it is no top, or where the network is not `SURE`.
        """
        parameter = next(self.parameters())
        seen = torch.from_numpy(network_input(canvas))[None].to(parameter.device, parameter.dtype)
        chances = (self(seen).softmax(-1) + self(seen.flip(-1)).softmax(-1))[0] / 2
        best = int(chances.argmax())
        return KINDS[best].reach if chances[best] >= SURE else None


def network_input(canvas: np.ndarray) -> np.ndarray:
    """float32 (4, 64, 48) of a uint8 (H, W, 4) canvas: colours in [-1, 1] times alpha, and alpha in 0..1."""
    small = cv2.resize(canvas, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    alpha = small[..., 3:] / 255
    return np.concatenate(((small[..., :3] / 127.5 - 1) * alpha, alpha), -1).transpose(2, 0, 1)


def _block(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
    )
