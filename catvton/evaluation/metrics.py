"""The figures as pure functions: colour difference, structure, intersection over union, histogram distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.color import deltaE_ciede2000, rgb2gray, rgb2lab
from skimage.metrics import structural_similarity

BLUR = 3.0  # pixels at 192x256: a print that sits a few pixels off is no colour error
WINDOW = 7

# Lab bins: lightness is cut coarser than colour, because light on a body differs from light on a bed.
_BINS = (8, 20, 20)
_RANGE = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))
_SOFTEN = (1.0, 0.7, 0.7)


def colour_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float (H, W): CIEDE2000 between two uint8 (H, W, 3) sRGB pictures, both blurred with sigma 3 first."""
    return deltaE_ciede2000(*(rgb2lab(gaussian_filter(_unit(p), (BLUR, BLUR, 0))) for p in (one, other)))


def structure(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float (H, W): SSIM in 7x7 windows between the greys of two uint8 (H, W, 3) sRGB pictures; 1 where they agree."""
    greys = (rgb2gray(_unit(p)) for p in (one, other))
    return structural_similarity(*greys, win_size=WINDOW, data_range=1.0, full=True)[1]


@dataclass(frozen=True)
class Likeness:
    """How close a picture comes to another: mean CIEDE2000 (0 is the same) and mean SSIM (1 is the same)."""

    colour: float
    structure: float


def likeness(one: np.ndarray, other: np.ndarray, *areas: np.ndarray) -> list[Likeness]:
    """The two figures over each area (bool (H, W)); the maps are computed once, over the whole pictures."""
    colour, same = colour_difference(one, other), structure(one, other)
    return [Likeness(float(colour[area].mean()), float(same[area].mean())) for area in areas]


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """int64 (classes, classes): how many pixels of each true class (row) were given each class (column)."""
    pairs = truth.astype(np.int64).ravel() * classes + guess.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def intersection_over_union(matrix: np.ndarray) -> np.ndarray:
    """float (classes,) per class from a confusion matrix; NaN for a class that is neither there nor guessed."""
    hit = np.diag(matrix).astype(float)
    union = matrix.sum(0) + matrix.sum(1) - hit
    return np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)


def lab_histogram(pixels: np.ndarray) -> np.ndarray:
    """float (8, 20, 20) summing to 1: the soft Lab histogram of uint8 (N, 3) sRGB pixels."""
    if len(pixels) == 0:
        raise ValueError("no pixels to make a histogram of")
    counts, _ = np.histogramdd(rgb2lab(_unit(pixels)), bins=_BINS, range=_RANGE)
    soft = gaussian_filter(counts, _SOFTEN, mode="nearest")
    return soft / soft.sum()


def histogram_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Hellinger distance of two histograms: 0 for the same, 1 for nothing in common."""
    return float(np.sqrt(max(0.0, 1.0 - np.sqrt(one * other).sum())))


def _unit(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels, np.float64) / 255
