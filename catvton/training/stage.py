"""What a recipe is to the training loop: a `Stage`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import nn

from catvton.errors import InputError


class Stage(Protocol):
    """What the loop needs to know of a recipe: a network, its batches and its loss.

    A batch depends on `rng` alone and holds every random number its loss needs (noise, time steps, what is dropped):
    then step n of a run is the same whatever came before, and a resumed run is the uninterrupted one bit for bit. The
    loop moves the batch's tensors to the device; when it trains over several processes each gets another `rng`, so a
    stage need not know of them. Trained parameters are float32 (the optimiser's master weights); with bf16 the loss is
    computed under `torch.autocast`. The module given to `loss`, `samples` and `save` is always `module` itself, never a
    wrapper; in `samples` and `save` it is in evaluation mode with averaged weights, and only the first process calls
    them.

    A stage may also have, and the loop uses, any of:

        frozen: Sequence[nn.Module]         networks the loss needs: moved to the device, never trained.
        trainable() -> list[nn.Parameter]   what is trained of `module`. The rest is frozen, and neither averaged nor in
                                            a checkpoint. Without it all that requires a gradient is trained, and the
                                            whole module goes into checkpoints.
        enable_checkpointing()              compute activations twice instead of keeping them; otherwise the module's
                                            own `enable_gradient_checkpointing`, when it has one.
        state() -> dict                     what besides tensors batches depend on, plain numbers, strings and lists of
        restore(state)                      them: goes into checkpoints, and comes back.
        identity() -> dict                  what a run must go on with, plain values by name: goes into checkpoints,
                                            and a run with others is not taken up.
        held_out(module) -> float           a loss on pairs never trained on with fixed noise: compares runs.
    """

    name: str
    module: nn.Module  # the trained network; buffers (batch statistics) are averaged too

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]: ...
    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]: ...
    def samples(self, module: nn.Module) -> Image.Image: ...
    def save(self, module: nn.Module, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...  # begin with a saved model's weights, not with random ones


def frozen(stage: Stage) -> Sequence[nn.Module]:
    """The networks a stage needs and does not train."""
    return getattr(stage, "frozen", ())


def fixed_names(stage: Stage) -> frozenset[str]:
    """The parameters of the module that `stage.trainable` leaves out."""
    if not hasattr(stage, "trainable"):
        return frozenset()
    chosen = {id(parameter) for parameter in stage.trainable()}
    return frozenset(name for name, parameter in stage.module.named_parameters() if id(parameter) not in chosen)


def choose_trainable(stage: Stage) -> list[nn.Parameter]:
    """The trained parameters in the module's order; the fixed ones stop asking for gradients.

    Raises:
        ValueError: there are none, or some are not float32 (the stage's fault).
    """
    if hasattr(stage, "trainable"):
        fixed = fixed_names(stage)
        for name, parameter in stage.module.named_parameters():
            parameter.requires_grad_(name not in fixed)
    found = [parameter for parameter in stage.module.parameters() if parameter.requires_grad]
    if not found or any(parameter.dtype != torch.float32 for parameter in found):
        raise ValueError(f"{stage.name}: there must be trained parameters, and they must be float32.")
    return found


def enable_checkpointing(stage: Stage) -> None:
    """Have the stage's module compute activations twice instead of keeping them.

    Raises:
        InputError: it cannot.
    """
    for owner, name in ((stage, "enable_checkpointing"), (stage.module, "enable_gradient_checkpointing")):
        if hasattr(owner, name):
            getattr(owner, name)()
            return
    raise InputError(
        f"{stage.name} has no gradient checkpointing: leave it off and take a smaller batch, more often accumulated.",
        code="training.checkpointing",
    )


def state_of(stage: Stage) -> dict[str, Any]:
    """What a checkpoint keeps of a stage besides tensors."""
    return stage.state() if hasattr(stage, "state") else {}


def identity_of(stage: Stage) -> dict[str, str]:
    """What a run of this stage must go on with, as text by name."""
    own = stage.identity() if hasattr(stage, "identity") else {}
    return {name: str(value) for name, value in own.items()}


def restore(stage: Stage, state: dict[str, Any]) -> None:
    """Give a stage back what `state_of` said."""
    if state:
        stage.restore(state)


def trained_tensors(module: nn.Module, fixed: Set[str]) -> dict[str, torch.Tensor]:
    """A module's state without its fixed parameters; the tensors are the module's own, not copies."""
    return {name: tensor for name, tensor in module.state_dict().items() if name not in fixed}


@torch.no_grad()
def mean_loss(stage: Stage, module: nn.Module, batches: Iterable[dict[str, torch.Tensor]]) -> float:
    """The mean of a stage's loss over batches, with the module in the mode it is in: for `held_out`.

    Raises:
        InputError: there are none.
    """
    device = next(module.parameters()).device
    losses = [
        float(stage.loss(module, {name: tensor.to(device) for name, tensor in batch.items()})[0]) for batch in batches
    ]
    if not losses:
        raise InputError(f"{stage.name}: no pairs are held out to compare runs by.", code="data.held_out")
    return float(np.mean(losses))
