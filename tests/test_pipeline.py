"""What a call of the pipeline promises: formats, seeds, batches, callbacks, stopping, refusals."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image

from catvton.errors import Cancelled
from catvton.image_utils import prepare_image, resize_and_crop
from catvton.schedulers import SCHEDULERS, make_scheduler
from catvton.vae import PatchAutoencoder
from tests.tiny_pipeline import (
    DDIM,
    RecordingUNet,
    box_mask,
    inputs,
    noise_picture,
    seeded,
    tiny_pipe,
    tiny_unet,
    tiny_vae,
)


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipe(seeded(RecordingUNet))


@pytest.fixture(scope="module")
def latents_of(pipe):
    return lambda **options: pipe(**inputs(**{"output_type": "latent", **options})).images


@pytest.fixture(scope="module")
def latents_of_real_network():
    real = tiny_pipe()
    return lambda **options: real(**inputs(**{"output_type": "latent", "num_inference_steps": 2, **options})).images


def test_every_output_type_is_the_same_picture(pipe):
    pil, array, tensor, latents = (
        pipe(**inputs(output_type=kind)).images for kind in ("pil", "np", "pt", "latent")
    )
    assert pil[0].size == (24, 32)
    assert pil[0].mode == "RGB"
    assert array.shape == (1, 32, 24, 3)
    assert array.dtype == np.float32
    assert 0 <= array.min() < array.max() <= 1
    np.testing.assert_array_equal(np.asarray(pil[0]), (array[0] * 255).round())
    np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1), array)
    assert latents.shape == (1, 4, 16, 12)
    torch.testing.assert_close((pipe.decode(latents) / 2 + 0.5).clamp(0, 1), tensor)


def test_a_tuple_when_no_dict_is_wanted(pipe):
    (images,) = pipe(**inputs(return_dict=False))
    np.testing.assert_array_equal(images, pipe(**inputs()).images)


def test_the_size_is_the_saved_one_unless_given(pipe):
    assert pipe(**inputs(output_type="pil", height=40, width=16)).images[0].size == (16, 40)


def test_photos_of_another_shape_are_cropped_and_garments_padded(pipe):
    photo, mask, garment = noise_picture(1, (50, 40)), box_mask((10, 8, 40, 30), (50, 40)), noise_picture(2, (30, 10))
    whole = pipe(**inputs(image=photo, mask=mask, condition_image=garment)).images
    page = Image.new("RGB", (24, 32), "white")
    page.paste(garment.resize((24, 8), Image.Resampling.LANCZOS), (0, 12))
    ready = pipe(**inputs(
        image=resize_and_crop(photo, (24, 32)), mask=resize_and_crop(mask, (24, 32)), condition_image=page
    )).images  # fmt: skip
    np.testing.assert_array_equal(whole, ready)


def test_pictures_may_be_arrays_or_tensors(pipe):
    expected = pipe(**inputs()).images
    call = inputs()
    arrays = {name: np.asarray(call[name]) for name in ("image", "condition_image", "mask")}
    np.testing.assert_array_equal(pipe(**{**call, **arrays}).images, expected)
    tensors = {name: prepare_image(call[name]) for name in ("image", "condition_image")}
    mask = torch.from_numpy(np.asarray(call["mask"]) / np.float32(255))[None, None]
    np.testing.assert_array_equal(pipe(**{**inputs(), **tensors, "mask": mask}).images, expected)


def test_nothing_given_is_edited(pipe):
    tensors = {"image": prepare_image(noise_picture(1)), "condition_image": prepare_image(noise_picture(2)),
               "mask": torch.rand(1, 1, 32, 24, generator=torch.Generator().manual_seed(0)),
               "latents": torch.ones(1, 4, 32, 12)}  # fmt: skip
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    pipe(**inputs(**tensors))
    for name, tensor in tensors.items():
        assert torch.equal(tensor, before[name]), name


# Chance


def test_the_seed_decides(latents_of):
    assert torch.equal(latents_of(), latents_of())
    other = latents_of(generator=torch.Generator().manual_seed(1))
    assert (latents_of() - other).abs().max() > 0.1


def test_eta_0_draws_nothing_after_the_start(latents_of):
    generator = torch.Generator().manual_seed(0)
    latents_of(generator=generator, eta=0.0)
    expected = torch.Generator().manual_seed(0)
    torch.randn(1, 4, 32, 12, generator=expected)
    assert torch.equal(generator.get_state(), expected.get_state())


def test_eta_1_draws_once_a_step_the_last_included(latents_of):
    generator = torch.Generator().manual_seed(0)
    latents_of(generator=generator)
    expected = torch.Generator().manual_seed(0)
    for _ in range(1 + 3):
        torch.randn(1, 4, 32, 12, generator=expected)
    assert torch.equal(generator.get_state(), expected.get_state())


@pytest.mark.parametrize("generator", [None, "seeded"])
def test_the_process_wide_generators_are_left_alone(latents_of, generator):
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    latents_of(generator=torch.Generator().manual_seed(3) if generator else None)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True))
    assert random.getstate() == python_state


def test_without_a_generator_every_run_differs(latents_of):
    assert not torch.equal(latents_of(generator=None), latents_of(generator=None))


def test_given_start_noise_is_used(latents_of):
    noise = torch.randn(1, 4, 32, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(latents_of(latents=noise, eta=0.0, generator=None), latents_of(eta=0.0))


# Batches


def test_an_item_of_a_batch_equals_its_single_run(latents_of_real_network):
    people, garments = [noise_picture(seed) for seed in (1, 5, 6)], [noise_picture(seed) for seed in (2, 7, 8)]
    masks = [box_mask(), box_mask((0, 0, 12, 30)), box_mask((10, 10, 24, 32))]
    batch = latents_of_real_network(
        image=people, condition_image=garments, mask=masks,
        generator=[torch.Generator().manual_seed(seed) for seed in (11, 12, 13)],
    )  # fmt: skip
    for index, seed in enumerate((11, 12, 13)):
        single = latents_of_real_network(
            image=people[index], condition_image=garments[index], mask=masks[index],
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        torch.testing.assert_close(batch[index], single[0], atol=1e-4, rtol=1e-4)


def test_one_person_tries_on_several_garments(latents_of):
    garments = [noise_picture(seed) for seed in (2, 7)]
    batch = latents_of(condition_image=garments, generator=[torch.Generator().manual_seed(s) for s in (1, 2)])
    for index, seed in enumerate((1, 2)):
        single = latents_of(condition_image=garments[index], generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(batch[index], single[0], atol=1e-4, rtol=1e-4)


def test_several_results_of_a_pair_follow_each_other(latents_of):
    people = [noise_picture(1), noise_picture(5)]
    seeds = (1, 2, 3, 4)
    batch = latents_of(image=people, num_images=2, generator=[torch.Generator().manual_seed(s) for s in seeds])
    assert len(batch) == 4
    for index, seed in enumerate(seeds):
        single = latents_of(image=people[index // 2], generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(batch[index], single[0], atol=1e-4, rtol=1e-4)


# What the result may depend on


def test_with_a_masked_image_the_photo_is_not_looked_at(latents_of):
    masked = noise_picture(9)
    results = [latents_of(image=image, masked_image=masked) for image in (noise_picture(1), noise_picture(4), None)]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], latents_of())


def test_pixels_under_the_mask_do_not_reach_the_network(latents_of):
    photo = np.array(noise_picture(1))
    hole = np.asarray(box_mask()) > 127
    photo[hole] = np.random.default_rng(0).integers(0, 256, photo[hole].shape, dtype=np.uint8)
    assert torch.equal(latents_of(image=Image.fromarray(photo)), latents_of())


def test_a_masked_image_that_is_the_masked_photo_changes_nothing(latents_of):
    photo = prepare_image(noise_picture(1)) * torch.from_numpy(np.asarray(box_mask()) < 128)
    assert torch.equal(latents_of(masked_image=photo, image=None), latents_of())


def test_latents_made_before_give_the_same_result(pipe, latents_of):
    person = pipe.encode(prepare_image(noise_picture(1)) * torch.from_numpy(np.asarray(box_mask()) < 128))
    garment = pipe.encode(prepare_image(noise_picture(2)))
    expected = latents_of()
    for given in (
        {"image_latents": person, "image": None},
        {"condition_latents": garment, "condition_image": None},
        {"image_latents": person, "image": None, "condition_latents": garment, "condition_image": None},
    ):
        torch.testing.assert_close(latents_of(**given), expected, atol=1e-5, rtol=1e-5)


def test_a_network_without_a_mask_takes_the_whole_photo():
    unet = seeded(lambda: RecordingUNet(in_channels=8))
    pipe = tiny_pipe(unet, use_mask=False)
    pipe(**inputs(mask=None))
    whole = pipe.encode(prepare_image(noise_picture(1)))
    torch.testing.assert_close(unet.seen[0][0][1:, 4:, :16], whole, atol=1e-5, rtol=1e-5)
    pipe(**inputs())
    assert (unet.seen[-1][0][1:, 4:, :16] - whole).abs().max() > 0.01


def test_one_call_to_the_vae_encodes_both(pipe, monkeypatch):
    encoded = []
    encode = pipe.vae.encode
    monkeypatch.setattr(pipe.vae, "encode", lambda pixels: encoded.append(pixels.shape) or encode(pixels))
    pipe(**inputs())
    assert encoded == [(2, 3, 32, 24)]


# Callbacks and stopping


def test_the_callback_sees_every_step(pipe):
    seen = []
    pipe(**inputs(
        callback_on_step_end=lambda own, step, timestep, tensors: seen.append((own, step, int(timestep), tensors)),
        callback_on_step_end_tensor_inputs=("latents", "denoised"),
    ))  # fmt: skip
    assert [(step, timestep) for _, step, timestep, _ in seen] == [(0, 667), (1, 334), (2, 1)]
    for own, _, _, tensors in seen:
        assert own is pipe
        assert tensors["latents"].shape == (1, 4, 32, 12)
        assert tensors["denoised"].shape == (1, 4, 16, 12)


def test_the_callback_may_change_the_latents(latents_of):
    def clear(pipe, step, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else None

    assert not latents_of(callback_on_step_end=clear).any()


@pytest.mark.parametrize("name", ["dpm++", "unipc"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_the_last_estimate_is_the_result_where_the_last_step_removes_all_noise(name, prediction_type):
    pipe = tiny_pipe(scheduler=make_scheduler(name, DDIMScheduler(**DDIM, prediction_type=prediction_type)))
    estimates = []
    result = pipe(**inputs(
        output_type="latent", num_inference_steps=4,
        callback_on_step_end=lambda own, step, timestep, tensors: estimates.append(tensors["denoised"]),
        callback_on_step_end_tensor_inputs=("denoised",),
    )).images  # fmt: skip
    torch.testing.assert_close(estimates[-1], result, atol=1e-3, rtol=1e-3)
    assert (estimates[0] - result).abs().max() > 0.01


def test_a_preview_is_a_picture(pipe):
    denoised = torch.randn(2, 4, 16, 12, generator=torch.Generator().manual_seed(0))
    pictures = pipe.preview(denoised)
    assert [picture.size for picture in pictures] == [(24, 32)] * 2
    assert [picture.size for picture in pipe.preview(denoised, shrink=2)] == [(12, 16)] * 2
    np.testing.assert_allclose(
        np.asarray(pictures[0]) / 255, (pipe.decode(denoised)[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1), atol=0.5 / 255
    )


@pytest.mark.parametrize("how", ["raise", "interrupt"])
def test_a_stopped_run_stops(how, monkeypatch):
    unet = seeded(RecordingUNet)
    pipe = tiny_pipe(unet)
    freed, decoded = [], []
    monkeypatch.setattr(pipe, "maybe_free_model_hooks", lambda: freed.append(True))
    monkeypatch.setattr(type(pipe), "decode", lambda *_: decoded.append(True))

    def stop(own, step, timestep, tensors):
        if step == 1:
            if how == "raise":
                raise Cancelled("enough")
            own._interrupt = True

    with pytest.raises(Cancelled):
        pipe(**inputs(num_inference_steps=20, callback_on_step_end=stop))
    assert len(unet.seen) == 2
    assert freed == [True]
    assert decoded == []
    monkeypatch.undo()
    calm = pipe(**inputs(callback_on_step_end=lambda *_: None)).images
    np.testing.assert_array_equal(calm, pipe(**inputs()).images)


def test_overlapping_calls_do_not_disturb_each_other(pipe):
    options = [{"seed": seed, "num_inference_steps": 2 + seed % 3} for seed in range(6)]
    expected = [pipe(**inputs(**option)).images for option in options]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda option: pipe(**inputs(**option)).images, options))
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


# Schedulers, precisions, other autoencoders


@pytest.mark.parametrize("name", list(SCHEDULERS))
def test_the_scheduler_may_be_swapped(name):
    pipe = tiny_pipe()
    pipe.scheduler = make_scheduler(name, pipe.scheduler)
    first, second = (pipe(**inputs(num_inference_steps=6)).images for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_reaches_the_network_and_nothing_else(dtype):
    unet, vae = seeded(RecordingUNet).to(dtype), PatchAutoencoder(spatial_factor=2, latent_channels=4)
    full = tiny_pipe(seeded(RecordingUNet), vae)(**inputs(output_type="latent")).images
    half = tiny_pipe(unet, vae)(**inputs(output_type="latent")).images
    assert {sample.dtype for sample, _ in unet.seen} == {dtype}
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.02 * full.abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_whole_pipeline_in_half_precision(dtype):
    full = tiny_pipe(tiny_unet(), seeded(tiny_vae.__wrapped__))
    expected = full(**inputs()).images
    found = full.to(dtype)(**inputs()).images
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert np.abs(found - expected).mean() < 0.05


def test_an_autoencoder_of_twelve_pixels_a_cell():
    vae = seeded(lambda: PatchAutoencoder(spatial_factor=12, latent_channels=6))
    unet = seeded(lambda: RecordingUNet(in_channels=13, out_channels=6))
    scheduler = DDIMScheduler(**DDIM, prediction_type="sample", timestep_spacing="trailing")
    pipe = tiny_pipe(unet, vae, scheduler, height=36, width=60)
    picture = pipe(**inputs(output_type="pil", num_inference_steps=4)).images[0]
    assert picture.size == (60, 36)
    assert unet.seen[0][0].shape == (2, 13, 6, 5)
    assert [timestep for _, timestep in unet.seen] == [999, 749, 499, 249]


# Refusals


REFUSED = [
    ({"num_inference_steps": 0}, r"num_inference_steps.*1 to 1000, not 0"),
    ({"num_inference_steps": 2.5}, r"num_inference_steps.*not 2.5"),
    ({"num_inference_steps": True}, r"num_inference_steps.*not True"),
    ({"num_inference_steps": 1001}, r"num_inference_steps.*not 1001"),
    ({"guidance_scale": float("nan")}, r"guidance_scale.*not nan"),
    ({"guidance_scale": -1.0}, r"guidance_scale.*not -1.0"),
    ({"eta": 1.5}, r"eta.*not 1.5"),
    ({"eta": float("nan")}, r"eta.*not nan"),
    ({"height": 33}, r"multiples of 2, not 33 and 24"),
    ({"width": 0}, r"multiples of 2, not 32 and 0"),
    ({"num_images": 0}, r"num_images.*not 0"),
    ({"output_type": "jpeg"}, r"output_type.*pil, np, pt, latent, not 'jpeg'"),
    ({"callback_on_step_end_tensor_inputs": ("noise",)}, r"latents, denoised, not noise"),
    ({"image": None}, "image is missing"),
    ({"condition_image": None}, "condition_image is missing"),
    ({"mask": None}, "mask is missing"),
    ({"mask": box_mask(size=(32, 32))}, r"mask is 32x32, but image is 24x32"),
    ({"mask": torch.zeros(1, 1, 8, 8)}, r"mask must be \(B, 1, 32, 24\), not \(1, 1, 8, 8\)"),
    ({"image": torch.zeros(1, 3, 8, 8)}, r"image must be \(B, 3, 32, 24\), not \(1, 3, 8, 8\)"),
    ({"image": torch.zeros(3, 32, 24)}, r"image must be \(B, 3, 32, 24\), not \(3, 32, 24\)"),
    ({"image": "person.png"}, "not str"),
    ({"image": np.zeros((32, 24, 3))}, r"not float64 array \(32, 24, 3\)"),
    ({"image": [noise_picture(1)] * 2, "condition_image": [noise_picture(2)] * 3}, "batches do not match"),
    ({"generator": [torch.Generator()] * 2}, "each of the 1 results, not 2"),
    ({"latents": torch.zeros(1, 4, 16, 12)}, r"latents must be \(1, 4, 32, 12\), not \(1, 4, 16, 12\)"),
    ({"image_latents": torch.zeros(1, 4, 8, 8)}, r"image_latents must be \(B, 4, 16, 12\)"),
    ({"condition_latents": torch.zeros(4, 16, 12)}, r"condition_latents must be \(B, 4, 16, 12\)"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_what_cannot_work_is_named(pipe, wrong, message):
    with pytest.raises(ValueError, match=message):
        pipe(**inputs(**wrong))


def test_an_unknown_argument_is_refused(pipe):
    with pytest.raises(TypeError, match="prompt"):
        pipe(**inputs(prompt="a shirt"))
