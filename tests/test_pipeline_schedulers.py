"""The samplers on offer, on a distribution whose exact solution is known."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler

from catvton.schedulers import SCHEDULERS, clean_estimate, make_scheduler, step_options
from tests.tiny_pipeline import DDIM

CHECKPOINT = {"_class_name": "DDIMScheduler", "_diffusers_version": "0.6.0.dev0", "skip_prk_steps": True, **DDIM}


def test_the_reference_keeps_the_checkpoints_own_timesteps():
    scheduler = make_scheduler("ddim", CHECKPOINT)
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[:3].tolist() == [981, 961, 941]
    assert scheduler.timesteps[-1] == 1
    assert not scheduler.config.clip_sample
    assert not scheduler.config.set_alpha_to_one


@pytest.mark.parametrize("name", ["dpm++", "unipc"])
@pytest.mark.parametrize("source", [CHECKPOINT, DDIMScheduler.from_config(CHECKPOINT)])
def test_the_fast_ones_start_at_the_noisiest_step(name, source):
    scheduler = make_scheduler(name, source)
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == list(range(999, 0, -50))
    assert scheduler.sigmas[-1] == 0


@pytest.mark.parametrize("name", list(SCHEDULERS))
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_noise_schedule_and_prediction_are_the_checkpoints(name, prediction_type):
    source = DDIMScheduler(**DDIM, prediction_type=prediction_type)
    scheduler = make_scheduler(name, source)
    assert scheduler.config.prediction_type == prediction_type
    torch.testing.assert_close(scheduler.alphas_cumprod, source.alphas_cumprod)


def test_trailing_is_kept_for_a_checkpoint_that_says_so():
    scheduler = make_scheduler("ddim", DDIMScheduler(**DDIM, prediction_type="sample", timestep_spacing="trailing"))
    scheduler.set_timesteps(8)
    assert scheduler.timesteps.tolist() == [999, 874, 749, 624, 499, 374, 249, 124]


@pytest.mark.parametrize("name", list(SCHEDULERS))
@pytest.mark.parametrize("prediction_type", ["sample", "v_prediction"])
def test_a_start_from_pure_noise_without_any_signal_works(name, prediction_type):
    """The noisiest step of a schedule with zero terminal signal divides nothing by zero; a sure network is believed."""
    config = {**DDIM, "set_alpha_to_one": True, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler = make_scheduler(name, DDIMScheduler(**config, prediction_type=prediction_type))
    scheduler.set_timesteps(4)
    clean = torch.linspace(-2, 2, 48).reshape(1, 3, 4, 4)
    sample = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        kept = scheduler.alphas_cumprod[timestep]
        velocity = (kept.sqrt() * sample - clean) / (1 - kept).sqrt()
        prediction = clean if prediction_type == "sample" else velocity
        sample = scheduler.step(prediction, timestep, sample).prev_sample
    torch.testing.assert_close(sample, clean, atol=2e-3, rtol=1e-3)


def test_an_unknown_sampler_is_refused():
    with pytest.raises(ValueError, match=r"ddim, dpm\+\+, unipc, not 'euler'"):
        make_scheduler("euler", CHECKPOINT)


MODES = torch.randn(16, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SPREAD = 0.25


def exact_prediction(scheduler, sample, timestep):
    """The best possible network for points scattered about `MODES`, in the scheduler's prediction type."""
    kept = scheduler.alphas_cumprod.double()[int(timestep)]
    variance = kept * SPREAD**2 + 1 - kept
    away = sample[:, None] - kept.sqrt() * MODES
    weights = torch.softmax(-away.square().sum(-1) / (2 * variance), 1)[..., None]
    clean = (weights * (MODES + kept.sqrt() * SPREAD**2 / variance * away)).sum(1)
    noise = (sample - kept.sqrt() * clean) / (1 - kept).sqrt()
    kind = scheduler.config.prediction_type
    return {"epsilon": noise, "sample": clean, "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * clean}[kind]


def solve(scheduler, steps, eta=0.0):
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(100, 64, generator=generator, dtype=torch.float64) * scheduler.init_noise_sigma
    options = step_options(scheduler, eta=eta, generator=generator)
    for timestep in scheduler.timesteps:
        sample = scheduler.step(exact_prediction(scheduler, sample, timestep), timestep, sample, **options).prev_sample
    return sample


@pytest.fixture(scope="module")
def exact():
    return solve(DDIMScheduler(**DDIM, timestep_spacing="trailing"), 1000)


@pytest.mark.parametrize("name", ["dpm++", "unipc"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_ten_fast_steps_come_closer_to_the_exact_solution(exact, name, prediction_type):
    def error(scheduler):
        return float((solve(scheduler, 10) - exact).square().mean().sqrt())

    source = DDIMScheduler(**DDIM, prediction_type=prediction_type)
    ours = error(make_scheduler(name, source))
    leading = type(make_scheduler(name, source)).from_config(
        dict(source.config), timestep_spacing="leading", steps_offset=1
    )
    assert ours < 0.2
    assert ours < 0.75 * error(leading)
    assert ours < 0.5 * error(DDIMScheduler(**DDIM, prediction_type=prediction_type))


@pytest.mark.parametrize("name", list(SCHEDULERS))
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_the_estimate_is_the_clean_sample_the_prediction_stands_for(name, prediction_type):
    scheduler = make_scheduler(name, DDIMScheduler(**DDIM, prediction_type=prediction_type))
    scheduler.set_timesteps(10)
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    timestep = scheduler.timesteps[0]
    kept = scheduler.alphas_cumprod[timestep]
    sample = kept.sqrt() * clean + (1 - kept).sqrt() * noise
    target = {"epsilon": noise, "sample": clean, "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * clean}
    prediction = target[prediction_type]
    output = scheduler.step(prediction, timestep, sample)
    found = clean_estimate(scheduler, output, prediction=prediction, sample=sample, timestep=timestep)
    torch.testing.assert_close(found, clean, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_no_number_of_steps_divides_by_the_missing_signal(eta):
    config = {**DDIM, "set_alpha_to_one": True, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    scheduler = DDIMScheduler(**config, prediction_type="sample")
    generator = torch.Generator().manual_seed(0)
    clean = torch.zeros(1, 1, 2, 2)
    for steps in range(1, 65):
        scheduler.set_timesteps(steps)
        options = step_options(scheduler, eta=eta, generator=generator)
        sample = torch.ones(1, 1, 2, 2)
        for timestep in scheduler.timesteps:
            sample = scheduler.step(clean, timestep, sample, **options).prev_sample
            assert torch.isfinite(sample).all(), (steps, timestep)


def test_only_options_a_step_knows_are_passed():
    generator = torch.Generator()
    assert step_options(DDIMScheduler(), eta=0.5, generator=generator) == {"eta": 0.5, "generator": generator}
    assert "eta" not in step_options(EulerAncestralDiscreteScheduler(), eta=0.5, generator=generator)
    assert step_options(make_scheduler("unipc", CHECKPOINT), eta=0.5, generator=generator) == {}
