"""SSIM: torchmetrics' figure held to the definition written out in float64."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from catvton.errors import InputError
from catvton.evaluation.similarity import ssim
from tests.tiny_metrics import picture


def written_out(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004 with a window of sigma 1.5, channel by channel, mirrored at the edges."""
    one, other = one / 255.0, other / 255.0

    def mean(values):
        return gaussian_filter(values, (1.5, 1.5, 0), radius=(5, 5, 0), mode="mirror")

    here, there = mean(one), mean(other)
    both = mean(one * one) - here**2 + mean(other * other) - there**2
    top = (2 * here * there + 0.01**2) * (2 * (mean(one * other) - here * there) + 0.03**2)
    return float((top / ((here**2 + there**2 + 0.01**2) * (both + 0.03**2))).mean())


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.asarray(picture(seed, (57, 70)))
    noise = np.random.default_rng(seed).normal(0, 25, one.shape)
    return one, np.clip(one + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", [1, 2])
def test_ssim_is_the_definition(seed):
    one, other = pair(seed)
    assert ssim(one, other) == pytest.approx(written_out(one, other), abs=2e-5)
    assert 0.1 < ssim(one, other) < 0.9


def test_ssim_of_the_same_picture_is_one():
    one, _ = pair(3)
    assert ssim(one, one) == pytest.approx(1, abs=1e-6)
    assert ssim(one, 255 - one) < 0.3


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (np.zeros((40, 40, 3), np.uint8), np.zeros((40, 41, 3), np.uint8), "picture.sizes"),
        (np.zeros((40, 40, 3)), np.zeros((40, 40, 3)), "picture.array"),
        (np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8), "picture.array"),
        (np.zeros((31, 40, 3), np.uint8), np.zeros((31, 40, 3), np.uint8), "picture.too_small"),
    ],
)
def test_what_cannot_be_compared_is_refused(one, other, code):
    with pytest.raises(InputError) as caught:
        ssim(one, other)
    assert caught.value.code == code


def test_no_figure_needs_torchvision():
    """In an interpreter where importing torchvision fails, as where it is absent."""
    code = """
import sys
sys.modules["torchvision"] = None
import numpy as np
import catvton.evaluation.networks, catvton.evaluation.scores
from catvton.evaluation.similarity import ssim
print(ssim(np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)))
"""
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 1
