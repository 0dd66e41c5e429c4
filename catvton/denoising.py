"""The denoising loop: plain functions on tensors, float32 whatever the network's precision.

Latents are (B, C, h, w), joined ones hold both halves; see `catvton.layout`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import ModelMixin, SchedulerMixin

from catvton.layout import Layout
from catvton.schedulers import clean_estimate


@dataclass(frozen=True)
class Conditions:
    """What a batch is made from: clean person and garment latents, the mask (B, 1, h, w) of 0 and 1 if there is one."""

    person: torch.Tensor
    garment: torch.Tensor
    mask: torch.Tensor | None


@dataclass(frozen=True)
class Step:
    """One step just done.

    Attributes:
        index: its number, from 0.
        timestep: the scheduler's, a tensor of no dimensions.
        latents: joined, after the step.
        estimate: computes the joined latents as they would end if the prediction were right.
    """

    index: int
    timestep: torch.Tensor
    latents: torch.Tensor
    estimate: Callable[[], torch.Tensor]


def denoise(
    unet: ModelMixin,
    scheduler: SchedulerMixin,
    layout: Layout,
    *,
    conditions: Conditions,
    noise: torch.Tensor,
    guidance_scale: float = 1.0,
    one_row_at_a_time: bool = False,
    step_options: dict[str, Any] | None = None,
    on_step: Callable[[Step], torch.Tensor] | None = None,
) -> torch.Tensor:
    """From unit noise to clean latents, both joined.

    Args:
        scheduler: with its timesteps set; it keeps state, so each run needs its own.
        guidance_scale: above 1, each step asks the UNet twice (one batch) and exaggerates the garment's effect.
        one_row_at_a_time: ask it in two batches, for half the memory.
        step_options: further arguments of `scheduler.step`.
        on_step: told of each step; returns the joined latents to go on from. What it raises ends the run.
    """
    guided = guidance_scale > 1
    fixed = layout.condition_rows(conditions.person, conditions.garment, conditions.mask, guided=guided)
    garment_noise = layout.garment_half(noise)
    latents = noise * scheduler.init_noise_sigma
    for index, timestep in enumerate(scheduler.timesteps):
        if layout.garment_noise == "renoise":
            garment = scheduler.add_noise(conditions.garment, garment_noise, timestep[None])
            latents = layout.join(layout.person_half(latents), garment)
        scaled = scheduler.scale_model_input(latents, timestep)
        rows = torch.cat([layout.noisy_rows(scaled, conditions.garment, guided=guided), fixed], dim=1)
        passes = rows.chunk(2) if guided and one_row_at_a_time else (rows,)
        prediction = torch.cat([predict(unet, part, timestep) for part in passes])
        if guided:
            unconditional, conditional = prediction.chunk(2)
            prediction = unconditional + guidance_scale * (conditional - unconditional)
        output = scheduler.step(prediction, timestep, latents, **(step_options or {}))
        estimate = _estimate_later(scheduler, output, prediction, latents, timestep)
        step = Step(index, timestep, output.prev_sample, estimate)
        latents = step.latents if on_step is None else on_step(step)
    return latents


def predict(unet: ModelMixin, rows: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """The UNet's output (R, C, ...) in float32 for rows (R, channels, ...), computed in the UNet's own precision."""
    return unet(rows.to(unet.dtype), timestep, encoder_hidden_states=None, return_dict=False)[0].float()


def _estimate_later(
    scheduler: SchedulerMixin, output: Any, prediction: torch.Tensor, sample: torch.Tensor, timestep: torch.Tensor
) -> Callable[[], torch.Tensor]:
    """Bound here and not in the loop, where the names go on to mean the next step's tensors."""
    return lambda: clean_estimate(scheduler, output, prediction=prediction, sample=sample, timestep=timestep)
