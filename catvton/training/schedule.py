"""The numbers of a run: how long it is, how far it has come, and the learning rate there."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Numbers of one run. Either `minutes` or `steps` says how long it is; resumed runs are counted in.

    Attributes:
        minutes: training time in all.
        steps: optimiser steps in all. Only such a run is repeatable: the schedule does not depend on the clock.
        learning_rate: peak of the schedule: linear warm-up, constant, cosine to a hundredth over the last `decay`.
        weight_decay: AdamW's; biases and normalisation weights are not decayed.
        betas: AdamW's decay of the averages of gradients and of their squares.
        eps: AdamW's term in the denominator.
        warmup_steps: steps until the peak.
        decay: share of the run over which the rate falls; 0 keeps it constant, as the published recipes do.
        ema: decay of the averaged weights, the ones that are saved; None saves the weights as they are.
        clip: gradient norm beyond which gradients are scaled down.
        accumulate: micro-batches whose gradients make one step.
        bf16: compute layers in bfloat16 where PyTorch deems it safe; weights stay float32. Faster where the processor
            or the card has instructions for it, much slower where it has not.
        gradient_checkpointing: compute activations twice instead of keeping them.
        seed: of the batches.
        patience: steps in a row whose loss or gradient is not finite that end the run.
        checkpoint_minutes: how often the state is written.
        keep: checkpoints that are kept.
        sample_minutes: how often a sample grid is drawn.
    """

    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    warmup_steps: int = 100
    decay: float = 0.4
    ema: float | None = 0.998
    clip: float = 1.0
    accumulate: int = 1
    bf16: bool = False
    gradient_checkpointing: bool = False
    seed: int = 0
    patience: int = 10
    checkpoint_minutes: float = 3.0
    keep: int = 2
    sample_minutes: float = 10.0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("A run's length is given in minutes or in steps, not both.")


@dataclass
class State:
    """How far a run is.

    Attributes:
        step: batches seen, skipped ones counted in.
        seconds: time spent.
        skipped: steps that were not applied, because loss or gradient was not finite.
        bad: how many of them in a row, up to now.
    """

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    bad: int = 0


def progress(recipe: Recipe, state: State) -> float:
    """Share of the run that is done, 0 to 1."""
    if recipe.steps is not None:
        return min(1.0, state.step / max(1, recipe.steps))
    return min(1.0, state.seconds / (recipe.minutes * 60))


def learning_rate(recipe: Recipe, state: State) -> float:
    """The rate of the coming step."""
    warm = min(1.0, (state.step + 1) / max(1, recipe.warmup_steps))
    if recipe.decay == 0:
        return recipe.learning_rate * warm
    tail = max(0.0, (progress(recipe, state) - (1 - recipe.decay)) / recipe.decay)
    return recipe.learning_rate * warm * (0.5 * (1 + math.cos(math.pi * tail)) * 0.99 + 0.01)
