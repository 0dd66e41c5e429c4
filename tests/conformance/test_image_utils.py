"""Every picture helper against the reference's own bytes (all exact unless said otherwise)."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catvton.image_utils import (
    prepare_image,
    prepare_mask,
    repaint,
    resize_and_crop,
    resize_and_padding,
    visualise_mask,
)

DATA = Path(__file__).parent / "data"
SIZES = [(96, 128), (150, 100), (120, 160)]


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(DATA / "image_utils.npz"))


@pytest.fixture(scope="module")
def inputs():
    files = {"person": "person_301x517.png", "garment": "garment_640x333.png", "mask": "mask_301x517.png"}
    return {name: Image.open(DATA / file) for name, file in files.items()}


@pytest.fixture(scope="module")
def prepared(golden):
    names = {"person": "crop_person_96x128", "garment": "pad_garment_96x128", "mask": "crop_mask_96x128",
             "blurred": "mask_blur9", "binary": "binary_mask"}  # fmt: skip
    return {name: Image.fromarray(golden[key]) for name, key in names.items()}


def assert_same(picture, expected):
    np.testing.assert_array_equal(np.asarray(picture), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["person", "garment", "mask"])
def test_resize_and_crop(golden, inputs, name, size):
    assert_same(resize_and_crop(inputs[name], size), golden[f"crop_{name}_{size[0]}x{size[1]}"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["person", "garment"])
def test_resize_and_padding(golden, inputs, name, size):
    assert_same(resize_and_padding(inputs[name], size), golden[f"pad_{name}_{size[0]}x{size[1]}"])


def test_prepare_image(golden, prepared):
    assert_same(prepare_image(prepared["person"]), golden["prepare_image"])


def test_prepare_mask(golden, prepared):
    assert_same(prepare_mask(prepared["mask"]), golden["prepare_mask"])


def test_the_threshold_lies_between_127_and_128(golden):
    values = Image.fromarray(golden["mask_values"])
    assert_same(prepare_mask(values), golden["mask_values_prepared"])
    grey = Image.new("RGB", values.size, (200, 200, 200))
    assert_same(visualise_mask(grey, values), golden["mask_values_vis"])


@pytest.mark.parametrize(("mask", "key"), [("mask", "vis_mask"), ("blurred", "vis_mask_blur9")])
def test_visualise_mask(golden, prepared, mask, key):
    assert_same(visualise_mask(prepared["person"], prepared[mask]), golden[key])


@pytest.mark.parametrize(("mask", "key"), [("blurred", "repaint_result"), ("mask", "repaint_result_graymask")])
def test_repaint(golden, prepared, mask, key):
    assert_same(repaint(prepared["garment"], prepared["person"], prepared[mask]), golden[key])


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_repaint_with_a_feathered_edge(golden, prepared, mode):
    mask = prepared["binary"].convert(mode)
    mended = repaint(prepared["garment"], prepared["person"], mask, feather=True)
    assert_same(mended, golden["inference_repaint"])


def test_the_references_evaluation_input_is_a_plain_resize(golden, inputs):
    person = inputs["person"].resize((96, 128), Image.Resampling.LANCZOS)
    mask = inputs["mask"].resize((96, 128), Image.Resampling.LANCZOS)
    np.testing.assert_allclose(prepare_image(person)[0], golden["eval_person_96x128"], atol=1e-6)
    np.testing.assert_allclose(prepare_mask(mask)[0], golden["eval_mask_96x128"], atol=1e-6)
