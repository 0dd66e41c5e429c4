"""Inception's features: clean-fid's resize against bicubic interpolation written out, and the network's file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from catvton.errors import InputError, WeightsError
from catvton.evaluation import inception
from catvton.evaluation.inception import FEATURES, Inception, resized
from tests.tiny_metrics import picture, write_inception


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("inception") / "inception.pt"


@pytest.fixture(scope="module")
def layers(file):
    return write_inception(file)


@pytest.fixture(scope="module")
def network(file, layers):
    return Inception.from_file(file)


def bicubic(size: int, out: int) -> np.ndarray:
    """float64 (out, size): Keys' cubic with a = -0.5, widened by the scale where pictures shrink."""
    scale = max(1.0, size / out)
    centres = (np.arange(out) + 0.5) * size / out
    x = np.abs((np.arange(size) + 0.5 - centres[:, None]) / scale)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return weights / weights.sum(1, keepdims=True)


def unclipped(pixels: np.ndarray) -> np.ndarray:
    high, wide = pixels.shape[:2]
    planes = [bicubic(high, 299) @ plane @ bicubic(wide, 299).T for plane in np.moveaxis(pixels.astype(float), 2, 0)]
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("size", [(60, 80), (384, 512), (250, 330)])
def test_resize_is_bicubic_and_not_rounded(size):
    pixels = np.asarray(picture(1, size))
    found = resized(pixels)
    assert found.shape == (299, 299, 3) and found.dtype == np.float32
    assert np.abs(found - unclipped(pixels).clip(0, 255)).max() < 2e-3
    assert np.abs(found - np.rint(found)).mean() > 0.2


def test_resize_is_clipped_where_it_overshoots():
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, 20:] = 255
    assert unclipped(pixels).min() < -5 and unclipped(pixels).max() > 260
    assert resized(pixels).min() == 0 and resized(pixels).max() == 255


def test_features_are_the_layers_of_the_scaled_picture(network, layers):
    pictures = [picture(seed) for seed in range(3)]
    pixels = torch.from_numpy(np.stack([resized(each) for each in pictures])).permute(0, 3, 1, 2)
    expected = layers((pixels - 128) / 128).detach().reshape(3, FEATURES).numpy()
    found = network.features(pictures)
    assert found.shape == (3, FEATURES) and found.dtype == np.float64
    assert np.allclose(found, expected, atol=1e-6)
    assert expected.std() > 0.05


def test_features_come_in_the_pictures_order_whatever_the_batches(network, monkeypatch):
    pictures = [picture(seed) for seed in range(7)]
    at_once = network.features(pictures)
    monkeypatch.setattr(inception, "BATCH", 3)
    assert np.allclose(network.features(iter(pictures)), at_once, atol=1e-6)
    assert np.abs(np.diff(at_once, axis=0)).max(1).min() > 0.01
    assert network.features([]).shape == (0, FEATURES)


def test_a_file_a_picture_and_its_pixels_are_the_same(network, tmp_path):
    shown = picture(8)
    shown.save(tmp_path / "shown.png")
    shown.convert("RGBA").save(tmp_path / "with alpha.webp", lossless=True)
    found = network.features([shown, np.asarray(shown), tmp_path / "shown.png", tmp_path / "with alpha.webp"])
    assert np.allclose(found, found[0], atol=1e-6)


def test_the_pixels_are_taken_as_they_are_stored(network, tmp_path):
    """A turn that is only written beside the pixels counts in no published figure."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(9).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(network.features([tmp_path / "turned.png"]), network.features([picture(9)]))


def test_a_broken_picture_is_named(network, tmp_path):
    picture(1).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:400])
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("cut.jpg", "text.jpg", "absent.jpg"):
        with pytest.raises(InputError, match=name) as caught:
            network.features([picture(1), tmp_path / name])
        assert caught.value.code == "picture.broken"


def test_a_file_that_is_not_the_network_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("no network")
    write_inception(tmp_path / "bare.pt", whole=False)
    for name in ("text.pt", "bare.pt", "absent.pt"):
        with pytest.raises(WeightsError, match=name):
            Inception.from_file(tmp_path / name)


def test_a_network_of_other_features_is_refused(tmp_path):
    write_inception(tmp_path / "few.pt", features=10)
    with pytest.raises(WeightsError, match="2048"):
        Inception.from_file(tmp_path / "few.pt").features([picture(1)])
