"""The loss of a try-on network: pure functions on latents.

Noise is added to person and garment joined; the network reads what the pipeline would show it at that step
(`catvton.layout`) and is asked for what its scheduler says it predicts. Latents are float32 (B, C, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import SchedulerMixin
from diffusers.training_utils import compute_dream_and_update_latents, compute_snr
from torch import nn

from catvton.errors import InputError
from catvton.layout import Layout
from catvton.training.recipes import LossRules


@dataclass(frozen=True)
class Samples:
    """A batch: pairs, and every random number their loss needs.

    Attributes:
        person: what is to come out.
        shown: what the network sees of the person: without what may change; for a network without a mask, redressed.
        garment: clean garment latents.
        mask: (B, 1, h, w) of 0 and 1; None for a network without one.
        noise: unit noise of both halves joined.
        timesteps: int64 (B,).
        kept: bool (B,), False where the sample trains the unconditional row.
    """

    person: torch.Tensor
    shown: torch.Tensor
    garment: torch.Tensor
    mask: torch.Tensor | None
    noise: torch.Tensor
    timesteps: torch.Tensor
    kept: torch.Tensor

    @classmethod
    def of(cls, batch: dict[str, torch.Tensor]) -> Samples:
        """From tensors by their names."""
        return cls(**{field.name: batch.get(field.name) for field in fields(cls)})


def tryon_loss(
    network: nn.Module, scheduler: SchedulerMixin, layout: Layout, rules: LossRules, *, samples: Samples
) -> tuple[torch.Tensor, dict[str, float]]:
    """The mean squared error as the rules say; and, unweighted, that of each half.

    Raises:
        InputError: DREAM with a network that does not predict the noise.
    """
    clean = layout.join(samples.person, samples.garment)
    noisy = scheduler.add_noise(clean, samples.noise, samples.timesteps)
    target = target_of(scheduler, clean, samples.noise, samples.timesteps)
    if rules.dream:
        noisy, target = rectified(network, scheduler, layout, noisy, target, power=rules.dream, samples=samples)
    error = (ask(network, layout, noisy, samples=samples) - target).square()
    halves = {"person": layout.person_half(error), "garment": layout.garment_half(error)}
    each = (halves["person"] if rules.region == "person" else error).mean(dim=(1, 2, 3))
    if rules.min_snr is not None:
        each = each * snr_weights(scheduler, samples.timesteps, gamma=rules.min_snr)
    return each.mean(), {name: float(half.detach().mean()) for name, half in halves.items()}


def ask(network: nn.Module, layout: Layout, noisy: torch.Tensor, *, samples: Samples) -> torch.Tensor:
    """The network's prediction (float32) for noisy joined latents; dropped samples get the unconditional row."""
    fixed = layout.condition_rows(samples.shown, samples.garment, samples.mask, guided=True)
    rows = torch.cat([layout.noisy_rows(noisy, samples.garment, guided=True), fixed], dim=1)
    unconditional, conditional = rows.chunk(2)
    chosen = torch.where(samples.kept[:, None, None, None], conditional, unconditional)
    return network(chosen, samples.timesteps, encoder_hidden_states=None, return_dict=False)[0].float()


def target_of(
    scheduler: SchedulerMixin, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
) -> torch.Tensor:
    """What the network is to predict: the noise, the velocity or the clean latents, as its scheduler says."""
    match scheduler.config.prediction_type:
        case "epsilon":
            return noise
        case "v_prediction":
            return scheduler.get_velocity(clean, noise, timesteps)
        case "sample":
            return clean
        case other:
            raise ValueError(f"prediction_type must be epsilon, v_prediction or sample, not {other!r}.")


def rectified(
    network: nn.Module,
    scheduler: SchedulerMixin,
    layout: Layout,
    noisy: torch.Tensor,
    target: torch.Tensor,
    *,
    power: float,
    samples: Samples,
) -> tuple[torch.Tensor, torch.Tensor]:
    """DREAM (arXiv 2312.00210): noisy latents and target moved by the network's own error, found by a pass more.

    Training then meets the errors that sampling makes. Closer to the truth by SSIM and LPIPS; FID and KID get worse
    (CatVTON's author, thread 17).

    Raises:
        InputError: the network does not predict the noise, for which alone DREAM is defined.
    """
    if scheduler.config.prediction_type != "epsilon":
        raise InputError(
            f"DREAM is for networks that predict the noise; this one predicts {scheduler.config.prediction_type}: "
            "give --dream 0.",
            code="recipe.dream",
        )

    def unet(latents: torch.Tensor, *_: Any) -> SimpleNamespace:
        return SimpleNamespace(sample=ask(network, layout, latents, samples=samples))

    return compute_dream_and_update_latents(
        unet, scheduler, samples.timesteps, samples.noise, noisy, target, None, dream_detail_preservation=power
    )


def snr_weights(scheduler: SchedulerMixin, timesteps: torch.Tensor, *, gamma: float) -> torch.Tensor:
    """Min-SNR's weight of each sample (arXiv 2303.09556), float32 (B,).

    With the loss on clean latents it is min(SNR, gamma); errors of the noise count SNR times less, those of the
    velocity SNR + 1 times less.
    """
    snr = compute_snr(scheduler, timesteps)
    match scheduler.config.prediction_type:
        case "epsilon":
            return (gamma / snr).clamp(max=1)  # not min(SNR, gamma) / SNR: the SNR of a last step may be 0
        case "v_prediction":
            return snr.clamp(max=gamma) / (snr + 1)
        case _:
            return snr.clamp(max=gamma)
