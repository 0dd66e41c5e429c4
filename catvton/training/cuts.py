"""What can be cut from a network: parts made of units, and the face both kinds of network show to `prune`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from catvton.training.students import settings

Kept = dict[str, list[int]]
"""{part: the numbers of its units that stay}"""


@dataclass(frozen=True)
class Part:
    """Something units can be cut from.

    Attributes:
        units: how many it has.
        cost: of one, in multiply-adds for one picture, or in parameters; only their ratios count.
        least: so many stay.
    """

    units: int
    cost: float
    least: int = 1


class Cuts(Protocol):
    """What can be cut from a network."""

    network: nn.Module
    parts: dict[str, Part]

    def gated(self, gates: Mapping[str, torch.Tensor]) -> Any:
        """A context in which each part's units (n,) are multiplied by its gates: 0 silences one."""

    def norms(self) -> dict[str, torch.Tensor]:
        """(n,) for each part: how large the weights of its units are."""

    def without(self, kept: Kept) -> nn.Module:
        """A new, smaller network with the weights that stay."""


def changed(network: nn.Module, changes: Mapping[str, Any]) -> nn.Module:
    """A new network of a changed configuration, of the same kind otherwise."""
    made = type(network).from_config({**settings(network), **changes})
    return nn.Module.to(made, network.device, network.dtype).train(network.training)  # ModelMixin.to warns of nothing


@contextmanager
def removed(hooks: list[Any]) -> Iterator[None]:
    """Take hooks away after the block."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
