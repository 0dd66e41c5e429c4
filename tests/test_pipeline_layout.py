"""Every saved setting against a plain computation of each step's UNet input and update, written out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from catvton.image_utils import prepare_image
from catvton.layout import Layout
from tests.tiny_pipeline import DDIM, RecordingUNet, box_mask, inputs, seeded, tiny_pipe

STEPS, GUIDANCE, ETA = 3, 2.5, 1.0
ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)

CHOICES = list(
    itertools.product(
        ["height", "width"], [True, False], ["zero_condition", "zero_garment"], ["noisy", "clean", "renoise"]
    )
)


def plain_run(pipe, unet, *, axis, use_mask, uncond, garment_noise, prediction_type, guidance):
    """The method in loops and slices: the inputs the UNet must see and the person's latents at the end."""
    call = inputs()
    hole = np.asarray(call["mask"]) > 127
    person_pixels = prepare_image(call["image"]) * torch.from_numpy(~hole)
    encode = lambda x: pipe.vae.encode(x.contiguous()).latent_dist.mean * pipe.vae.config.scaling_factor  # noqa: E731
    person, garment = encode(torch.cat([person_pixels, prepare_image(call["condition_image"])])).split(1)
    height, width = person.shape[-2:]
    canvas = (1, 4, 2 * height, width) if axis == "height" else (1, 4, height, 2 * width)
    people = (..., slice(0, height), slice(0, width))
    clothes = (..., slice(-height, None), slice(-width, None))
    mask = torch.from_numpy(hole[::2, ::2].astype(np.float32))[None, None]

    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(canvas, generator=generator)
    start = latents.clone()
    seen = []
    for t in [667, 334, 1]:
        alpha, previous = ALPHAS[t], ALPHAS[t - 333] if t >= 333 else ALPHAS[0]
        if garment_noise == "renoise":
            latents = latents.clone()
            latents[clothes] = alpha**0.5 * garment + (1 - alpha) ** 0.5 * start[clothes]
        rows = []
        for conditional in [False, True] if guidance > 1 else [True]:
            noisy, condition, where = latents.clone(), torch.zeros(canvas), torch.zeros(1, 1, *canvas[2:])
            if garment_noise == "clean":
                noisy[clothes] = garment
            if uncond == "zero_garment" and not conditional:
                noisy[clothes] = 0
            condition[people], where[people] = person, mask
            if conditional:
                condition[clothes] = garment
            rows.append(torch.cat([noisy, where, condition] if use_mask else [noisy, condition], dim=1))
        seen.append(torch.cat(rows))
        output = unet(seen[-1], torch.tensor(t))[0]
        if guidance > 1:
            output = output[:1] + guidance * (output[1:] - output[:1])
        if prediction_type == "epsilon":
            clean, eps = (latents - (1 - alpha) ** 0.5 * output) / alpha**0.5, output
        elif prediction_type == "sample":
            clean, eps = output, (latents - alpha**0.5 * output) / (1 - alpha) ** 0.5
        else:
            clean = alpha**0.5 * latents - (1 - alpha) ** 0.5 * output
            eps = alpha**0.5 * output + (1 - alpha) ** 0.5 * latents
        sigma = ETA * ((1 - previous) / (1 - alpha) * (1 - alpha / previous)) ** 0.5
        noise = torch.randn(canvas, generator=generator)
        latents = previous**0.5 * clean + max(0.0, 1 - previous - sigma**2) ** 0.5 * eps + sigma * noise
    return seen, latents[people]


def check(axis, use_mask, uncond, garment_noise, prediction_type="epsilon", guidance=GUIDANCE):
    unet = seeded(lambda: RecordingUNet(in_channels=9 if use_mask else 8))
    pipe = tiny_pipe(
        unet, scheduler=DDIMScheduler(**DDIM, prediction_type=prediction_type),
        concat_axis=axis, use_mask=use_mask, uncond=uncond, garment_noise=garment_noise,
    )  # fmt: skip
    found = pipe(**inputs(num_inference_steps=STEPS, guidance_scale=guidance, output_type="latent")).images
    given = [sample for sample, _ in unet.seen]
    with torch.no_grad():
        expected, final = plain_run(
            pipe, unet, axis=axis, use_mask=use_mask, uncond=uncond, garment_noise=garment_noise,
            prediction_type=prediction_type, guidance=guidance,
        )  # fmt: skip
    assert len(given) == STEPS
    for step, (own, other) in enumerate(zip(given, expected, strict=True)):
        torch.testing.assert_close(own, other, atol=2e-4, rtol=1e-4, msg=lambda m, step=step: f"step {step}: {m}")
    torch.testing.assert_close(found, final, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(("axis", "use_mask", "uncond", "garment_noise"), CHOICES)
def test_every_combination_of_settings(axis, use_mask, uncond, garment_noise):
    check(axis, use_mask, uncond, garment_noise)


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_the_scheduler_says_what_is_predicted(prediction_type):
    check("height", True, "zero_condition", "noisy", prediction_type)


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 1.1, 7.5])
@pytest.mark.parametrize("garment_noise", ["noisy", "clean", "renoise"])
def test_guidance_acts_above_one(guidance, garment_noise):
    check("height", True, "zero_garment", garment_noise, guidance=guidance)


def test_a_scheduler_that_scales_its_input_gets_to_and_the_clean_garment_stays_clean():
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    unet = seeded(RecordingUNet)
    pipe = tiny_pipe(unet, scheduler=scheduler, garment_noise="clean")
    pipe(**inputs(guidance_scale=1.0))
    for sample, _ in unet.seen:
        torch.testing.assert_close(sample[:, :4, 16:], sample[:, 5:, 16:])
    assert unet.seen[0][0][:, :4, :16].std() < 1.5  # unscaled, Euler's latents start at a standard deviation of 14


def test_the_mask_in_the_latents_is_the_nearest_pixel():
    unet = seeded(RecordingUNet)
    mask = box_mask((7, 9, 19, 25))
    tiny_pipe(unet)(**inputs(mask=mask, guidance_scale=1.0))
    np.testing.assert_array_equal(unet.seen[0][0][0, 4, :16], np.asarray(mask)[::2, ::2] / 255)
    assert not unet.seen[0][0][0, 4, 16:].any()


def test_the_unet_must_take_what_the_settings_make():
    with pytest.raises(ValueError, match=r"takes 9 channels.*use_mask=False makes 8"):
        tiny_pipe(RecordingUNet(in_channels=9), use_mask=False)


@pytest.mark.parametrize("wrong", [{"concat_axis": "depth"}, {"uncond": "zero"}, {"garment_noise": "loud"}])
def test_an_unknown_setting_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        Layout(**wrong)
