"""The try-on loss and its gradients, for every switch, against plain float64 arithmetic written out by hand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

from catvton.denoising import Conditions, denoise
from catvton.errors import InputError
from catvton.layout import Layout
from catvton.training.recipes import LossRules
from catvton.training.tryon_loss import Samples, ask, tryon_loss
from tests.tiny_pipeline import DDIM, RecordingUNet

B, C, H, W = 4, 3, 4, 2
TIMES = np.array([7, 250, 600, 940])
KEPT = np.array([True, False, True, False])


class Linear(nn.Module):
    """A network simple enough to differentiate by hand: a matrix over channels, and a time term."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.from_numpy(np.random.default_rng(5).normal(0, 0.4, (C, channels))).float())
        self.calls = 0

    def forward(self, rows, timesteps, encoder_hidden_states=None, return_dict=True):
        self.calls += 1
        time = torch.sin(timesteps / 100)[:, None, None, None].to(rows.dtype)
        return (torch.einsum("oc,bchw->bohw", self.mix, rows) + time,)


def pairs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    parts = {name: rng.normal(size=(B, C, H, W)) for name in ("person", "shown", "garment")}
    noise = {name: rng.normal(size=(B, C, H, W)) for name in ("person_noise", "garment_noise")}
    return parts | noise | {"mask": rng.integers(0, 2, (B, 1, H, W)).astype(float)}


@dataclass(frozen=True)
class By:
    """The loss by hand, a sample at a time; `axis` is where the garment lies, 1 below and 2 beside."""

    layout: Layout
    rules: LossRules
    kind: str = "epsilon"
    zero_snr: bool = False

    @property
    def kept_signal(self) -> np.ndarray:
        betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        abar = np.cumprod(1 - betas)
        if self.zero_snr:  # Lin et al., arXiv 2305.08891, algorithm 1
            root = np.sqrt(abar)
            abar = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        return abar

    def join(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.concatenate([one, other], axis=1 if self.layout.concat_axis == "height" else 2)

    def person_half(self, joined: np.ndarray) -> np.ndarray:
        return joined[:, :H] if self.layout.concat_axis == "height" else joined[:, :, :W]

    def garment_half(self, joined: np.ndarray) -> np.ndarray:
        return joined[:, H:] if self.layout.concat_axis == "height" else joined[:, :, W:]

    def rows(self, i: int, noisy: np.ndarray) -> np.ndarray:
        """What the network reads of sample i."""
        p, nothing = {name: value[i] for name, value in pairs().items()}, np.zeros((C, H, W))
        if self.layout.garment_noise == "clean":
            noisy = self.join(self.person_half(noisy), p["garment"])
        condition = p["garment"]
        if not KEPT[i]:
            condition = nothing
            if self.layout.uncond == "zero_garment":
                noisy = self.join(self.person_half(noisy), nothing)
        masks = [self.join(p["mask"], 0 * p["mask"])] if self.layout.use_mask else []
        return np.concatenate([noisy, *masks, self.join(p["shown"], condition)])

    def sample(self, i: int, mix: np.ndarray) -> tuple[float, np.ndarray]:
        """The weighted loss of sample i, and its gradient."""
        p, abar = {name: value[i] for name, value in pairs().items()}, self.kept_signal[TIMES[i]]
        clean, noise = self.join(p["person"], p["garment"]), self.join(p["person_noise"], p["garment_noise"])
        signal, sigma = np.sqrt(abar), np.sqrt(1 - abar)
        noisy = signal * clean + sigma * noise
        target = {"epsilon": noise, "sample": clean, "v_prediction": signal * noise - sigma * clean}[self.kind]
        time = np.sin(TIMES[i] / 100)
        if self.rules.dream:
            missed = noise - (np.einsum("oc,chw->ohw", mix, self.rows(i, noisy)) + time)
            missed *= sigma**self.rules.dream
            noisy, target = noisy + sigma * missed, target + missed
        rows = self.rows(i, noisy)
        error = np.einsum("oc,chw->ohw", mix, rows) + time - target
        if self.rules.region == "person":
            error, rows = self.person_half(error), self.person_half(rows)
        weight = self.weight(abar)
        return weight * (error**2).mean(), weight * 2 * np.einsum("ohw,chw->oc", error, rows) / error.size

    def weight(self, abar: float) -> float:
        gamma = self.rules.min_snr
        if gamma is None:
            return 1.0
        snr = abar / (1 - abar)
        if self.kind == "epsilon":
            return min(snr, gamma) / snr
        return min(snr, gamma) / (snr + 1) if self.kind == "v_prediction" else min(snr, gamma)

    def hand(self, mix: np.ndarray) -> tuple[float, np.ndarray]:
        losses, gradients = zip(*(self.sample(i, mix) for i in range(B)), strict=True)
        return float(np.mean(losses)), np.mean(gradients, axis=0)

    def ours(self) -> tuple[Linear, torch.Tensor, dict[str, float]]:
        p = {name: torch.from_numpy(value).float() for name, value in pairs().items()}
        batch = {name: p[name] for name in ("person", "shown", "garment")} | {
            "noise": self.layout.join(p["person_noise"], p["garment_noise"]),
            "timesteps": torch.from_numpy(TIMES),
            "kept": torch.from_numpy(KEPT),
            **({"mask": p["mask"]} if self.layout.use_mask else {}),
        }
        network = Linear(self.layout.input_channels(C))
        options = {"prediction_type": self.kind, "rescale_betas_zero_snr": self.zero_snr}
        scheduler = DDIMScheduler(**DDIM, **options)
        loss, figures = tryon_loss(network, scheduler, self.layout, self.rules, samples=Samples.of(batch))
        loss.backward()
        return network, loss.detach(), figures

    def agree(self) -> None:
        network, loss, _ = self.ours()
        mix = network.mix.detach().double().numpy()
        expected, gradient = self.hand(mix)
        assert float(loss) == pytest.approx(expected, rel=2e-5)
        np.testing.assert_allclose(network.mix.grad.numpy(), gradient, rtol=1e-4, atol=2e-5)


SHAPES = [("height", True), ("width", False)]
SWITCHES = list(itertools.product(
    SHAPES, ["zero_condition", "zero_garment"], ["noisy", "renoise", "clean"], ["all", "person"], [0.0, 1.0, 10.0],
    [None, 5.0],
))  # fmt: skip


@pytest.mark.parametrize(("shape", "uncond", "garment_noise", "region", "dream", "min_snr"), SWITCHES)
def test_every_switch(shape, uncond, garment_noise, region, dream, min_snr) -> None:
    rules = LossRules(region=region, dream=dream, min_snr=min_snr)
    By(Layout(*shape, uncond, garment_noise), rules).agree()


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("min_snr", [None, 5.0])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_every_prediction(kind: str, min_snr: float | None, zero_snr: bool) -> None:
    By(Layout(), LossRules(min_snr=min_snr), kind=kind, zero_snr=zero_snr).agree()


def test_min_snr_is_finite_where_no_signal_is_left() -> None:
    by = By(Layout(), LossRules(min_snr=5.0), zero_snr=True)
    last = Samples.of(
        {name: torch.zeros(1, C, H, W) for name in ("person", "shown", "garment")}
        | {"mask": torch.zeros(1, 1, H, W), "noise": torch.ones(1, C, 2 * H, W), "kept": torch.tensor([True])}
        | {"timesteps": torch.tensor([999])}
    )
    scheduler = DDIMScheduler(**DDIM, rescale_betas_zero_snr=True)
    loss, _ = tryon_loss(Linear(7), scheduler, by.layout, by.rules, samples=last)
    assert torch.isfinite(loss)


def test_dream_costs_one_pass_without_gradients() -> None:
    assert By(Layout(), LossRules()).ours()[0].calls == 1
    assert By(Layout(), LossRules(dream=10.0)).ours()[0].calls == 2


def test_dream_is_refused_where_it_is_not_defined() -> None:
    with pytest.raises(InputError, match=r"predicts v_prediction: give --dream 0"):
        By(Layout(), LossRules(dream=10.0), kind="v_prediction").ours()


def test_the_figures_are_each_halfs_error() -> None:
    _, loss, figures = By(Layout(), LossRules()).ours()
    assert float(loss) == pytest.approx((figures["person"] + figures["garment"]) / 2, rel=1e-5)
    assert By(Layout(), LossRules(region="person")).ours()[1] == pytest.approx(figures["person"], rel=1e-5)


def test_what_training_shows_is_what_a_guided_step_asks() -> None:
    """A dropped sample is guidance's unconditional row, a kept one its other."""
    layout, network = Layout(uncond="zero_garment"), RecordingUNet(2 * C + 1, C)
    p = {name: torch.from_numpy(value[:1]).float() for name, value in pairs().items()}
    noise = layout.join(p["person_noise"], p["garment_noise"])
    scheduler = DDIMScheduler(**DDIM)
    scheduler.set_timesteps(1)
    conditions = Conditions(p["shown"], p["garment"], p["mask"])
    denoise(network, scheduler, layout, conditions=conditions, noise=noise, guidance_scale=2.0)
    for row, kept in zip(network.seen[0][0], (False, True), strict=True):
        samples = Samples.of(p | {"timesteps": torch.tensor([0]), "kept": torch.tensor([kept])})
        ask(network, layout, noise, samples=samples)
        assert torch.equal(network.seen[-1][0][0], row)
