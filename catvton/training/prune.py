"""Structured pruning: which parts of a denoising network matter least.

What can be cut is said by `CompactCuts` and `OfficialCuts`. The pruned network equals the full one with the cut parts
silenced, exactly; training (`PruneStage`) then makes good what was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from catvton.compact_unet import CompactUNet
from catvton.errors import InputError
from catvton.training.compact_cuts import CompactCuts
from catvton.training.cuts import Cuts, Kept, Part
from catvton.training.official_cuts import OfficialCuts
from catvton.unet import TryOnUNet


def cuts_of(network: nn.Module) -> Cuts:
    """What can be cut from a teacher's network. Raises InputError for one of another kind."""
    if isinstance(network, CompactUNet):
        return CompactCuts(network)
    if isinstance(network, TryOnUNet):
        return OfficialCuts(network)
    raise InputError(
        f"A {type(network).__name__} cannot be pruned: CompactUNet and TryOnUNet can.", code="teacher.kind"
    )


def importance(cuts: Cuts, losses: Iterable[Callable[[], torch.Tensor]]) -> dict[str, torch.Tensor]:
    """How much the loss would change without each unit, to first order: the mean of |d loss / d gate| (n,) by part.

    Molchanov et al., "Importance Estimation for Neural Network Pruning" (2019).

    Args:
        losses: each computes the task's loss on one batch with the network as it stands.
    """
    device = next(cuts.network.parameters()).device
    total = {name: torch.zeros(part.units, device=device) for name, part in cuts.parts.items()}
    batches = 0
    for loss in losses:
        gates = {name: torch.ones_like(sums, requires_grad=True) for name, sums in total.items()}
        with cuts.gated(gates):
            gradients = torch.autograd.grad(loss(), list(gates.values()))
        for sums, gradient in zip(total.values(), gradients, strict=True):
            sums += gradient.abs()
        batches += 1
    return {name: sums / max(1, batches) for name, sums in total.items()}


def choose(
    parts: Mapping[str, Part], scores: Mapping[str, torch.Tensor], *, keep: float, drop: Iterable[str] = ()
) -> Kept:
    """What stays when the units least worth their cost go, until the share `keep` of the cost is left.

    Args:
        scores: how much each unit matters, (n,) by part.
        keep: from 0 to 1.
        drop: parts to leave out whole, whatever they score.

    Raises:
        InputError: an unknown part, one that has to stay, or a share that is not possible.
    """
    _check(parts, keep, drop)
    kept = {name: list(range(part.units)) for name, part in parts.items()} | {name: [] for name in drop}
    total = _cost(parts)
    left = share(parts, kept) * total
    worth = [(float(scores[name][i]) / parts[name].cost, name, i) for name, units in kept.items() for i in units]
    for _, name, unit in sorted(worth):
        if left <= keep * total:
            break
        if len(kept[name]) > parts[name].least:
            kept[name].remove(unit)
            left -= parts[name].cost
    return kept


def share(parts: Mapping[str, Part], kept: Kept) -> float:
    """What of the cost stays, 0 to 1."""
    return sum(len(units) * parts[name].cost for name, units in kept.items()) / _cost(parts)


def _cost(parts: Mapping[str, Part]) -> float:
    return sum(part.units * part.cost for part in parts.values())


def _check(parts: Mapping[str, Part], keep: float, drop: Iterable[str]) -> None:
    if not 0 <= keep <= 1:
        raise InputError(f"keep {keep:g} is not possible: a share from 0 to 1 is accepted.", code="prune.keep")
    free = [name for name, part in parts.items() if part.least == 0]
    if wrong := [name for name in drop if name not in free]:
        raise InputError(
            f"These parts cannot be left out: {', '.join(wrong)}. Those that can: {', '.join(free)}.", code="prune.drop"
        )
