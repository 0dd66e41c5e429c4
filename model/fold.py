"""Batch normalisation folded into the convolution before it: the same function, one pass over the features less.

With running statistics a batch norm is y = a x + c for each channel, a = weight / sqrt(variance + eps), and so can be
part of the convolution that made x. Exact but for rounding. Works on this project's networks and PyTorch's own layers:
a norm is what has `running_mean` and `running_var`, and the convolution it belongs to is the one before it in a
`Sequential`, the `conv1` of its `bn1`, or the one whose `norm` it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import nn

from model.schp_network import EPS, SLOPE, ActivatedNorm, Norm

_NUMBERED = re.compile(r"bn(\d+)")
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@torch.no_grad()
def fold_norms(network: nn.Module) -> int:
    """Fold every batch norm of a network in evaluation mode, in place; returns how many there were.

    A second call finds none. Raises ValueError when the network is in training mode: its norms still change.
    """
    if network.training:
        raise ValueError("Only a network in evaluation mode can be folded: call eval() first.")
    return _replace(network, values=True)


@torch.no_grad()
def without_norms(network: nn.Module) -> int:
    """Bring a network just built to the shape `fold_norms` leaves, its weights yet to be loaded; returns as it does."""
    return _replace(network, values=False)


def _replace(network: nn.Module, *, values: bool) -> int:
    found = [(owner, name, conv) for module in network.modules() for owner, name, conv in _norms(module)]
    for owner, name, conv in found:
        norm = getattr(owner, name)
        if values:
            _fold(conv, norm)
        else:
            conv.bias = nn.Parameter(torch.zeros_like(norm.bias))
        setattr(owner, name, nn.LeakyReLU(SLOPE) if isinstance(norm, ActivatedNorm) else nn.Identity())
    return len(found)


def _norms(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """The batch norms a module holds itself: (module, the norm's name in it, the convolution before it)."""
    previous: nn.Module | None = None
    for name, child in list(module.named_children()):
        if _is_norm(child):
            numbered = _NUMBERED.fullmatch(name)
            if numbered:
                previous = getattr(module, f"conv{numbered[1]}", None)
            elif name == "norm" and isinstance(module, nn.Conv2d):
                previous = module
            elif not isinstance(module, nn.Sequential):
                previous = None
            if not isinstance(previous, _CONVOLUTIONS):
                raise ValueError(f"{type(module).__name__}.{name} follows no convolution: it cannot be folded.")
            yield module, name, previous
        previous = child


def _fold(conv: nn.Module, norm: nn.Module) -> None:
    """In float64: the product of two roundings would show in the last digits."""
    kept = conv.weight.dtype
    scale = norm.weight.double() / (norm.running_var.double() + _eps(norm)).sqrt()
    before = torch.zeros_like(scale) if conv.bias is None else conv.bias.double()
    shift = norm.bias.double() + (before - norm.running_mean.double()) * scale
    conv.weight.copy_((conv.weight.double() * _over_outputs(conv, scale)).to(kept))
    conv.bias = nn.Parameter(shift.to(kept), requires_grad=conv.weight.requires_grad)


def _over_outputs(conv: nn.Module, scale: torch.Tensor) -> torch.Tensor:
    """The scale of each output channel, laid out over the weight; a transposed convolution's has them second."""
    if isinstance(conv, nn.ConvTranspose2d):
        if conv.groups != 1:
            raise ValueError("A transposed convolution in groups cannot be folded.")
        return scale[None, :, None, None]
    return scale[:, None, None, None]


def _is_norm(module: nn.Module) -> bool:
    return isinstance(getattr(module, "running_mean", None), torch.Tensor)


def _eps(norm: nn.Module) -> float:
    return EPS if isinstance(norm, Norm) else norm.eps
