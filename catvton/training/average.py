"""Exponential moving average of weights: smoother than the last step's, and what is saved."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager

import torch
from torch import nn

from catvton.training.stage import trained_tensors


class Average:
    """Average of a module's trained parameters and floating-point buffers, in float32 on the module's device.

    Args:
        fixed: names of parameters that are not trained, and so not averaged.
    """

    def __init__(self, module: nn.Module, decay: float, *, fixed: Set[str] = frozenset()) -> None:
        self.decay, self._fixed = decay, fixed
        self.values = {name: tensor.detach().clone().float() for name, tensor in self._averaged(module).items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the module; early steps move faster, so that the average does not remember the start."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, tensor in self._averaged(module).items():
            self.values[name].lerp_(tensor.float(), 1 - decay)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[nn.Module]:
        """The module in evaluation mode with averaged weights, restored afterwards."""
        kept = {name: tensor.detach().clone() for name, tensor in self._averaged(module).items()}
        copy_into(module, self.values)
        try:
            with evaluating(module):
                yield module
        finally:
            copy_into(module, kept)

    def _averaged(self, module: nn.Module) -> dict[str, torch.Tensor]:
        tensors = trained_tensors(module, self._fixed)
        return {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """The module in evaluation mode, put back afterwards."""
    training = module.training
    module.eval()
    try:
        yield module
    finally:
        module.train(training)


@torch.no_grad()
def copy_into(module: nn.Module, values: dict[str, torch.Tensor]) -> None:
    """Overwrite the named parameters and buffers in place."""
    tensors = module.state_dict()
    for name, value in values.items():
        tensors[name].copy_(value)
