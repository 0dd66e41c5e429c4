"""FID and KID: their arithmetic against scipy and plain loops in float64, and intervals that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from catvton.errors import InputError
from catvton.evaluation import frechet
from catvton.evaluation.frechet import fid_interval, frechet_distance, kernel_distance, kid_interval


def features(count: int, *, seed: int, width: int = 12, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    """float64 (count, width), not below 0 and correlated, as a network's features are."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).standard_normal((width, width)) / width**0.5
    return np.maximum(scale * rng.standard_normal((count, width)) @ mix + shift, 0)


def by_scipy(one: np.ndarray, other: np.ndarray) -> float:
    """FID as clean-fid writes it down."""
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = linalg.sqrtm(first @ second)
    assert np.allclose(np.imag(root), 0, atol=1e-3)
    shift = one.mean(0) - other.mean(0)
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(np.real(root)))


def by_loops(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased squared discrepancy of all rows, pair by pair."""

    def mean(left, right, *, skip):
        pairs = [(i, j) for i in range(len(left)) for j in range(len(right)) if not (skip and i == j)]
        return sum((float(np.dot(left[i], right[j])) / left.shape[1] + 1) ** 3 for i, j in pairs) / len(pairs)

    return mean(one, one, skip=True) + mean(other, other, skip=True) - 2 * mean(one, other, skip=False)


@pytest.mark.parametrize(("here", "there"), [(200, 200), (60, 150), (13, 13)])
def test_frechet_distance_is_scipys(here, there):
    one, other = features(here, seed=1), features(there, seed=2, scale=1.3, shift=0.2)
    assert frechet_distance(one, other) == pytest.approx(by_scipy(one, other), rel=1e-9)


def test_frechet_distance_of_fewer_images_than_features_is_scipys():
    one, other = features(20, seed=1, width=40), features(25, seed=2, width=40, scale=1.3)
    assert frechet_distance(one, other) == pytest.approx(by_scipy(one, other), rel=1e-5)


def test_frechet_distance_of_a_shift_is_its_square():
    one = features(80, seed=3)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, one + np.arange(12) / 10) == pytest.approx(np.square(np.arange(12) / 10).sum())


def test_kernel_distance_of_few_images_is_that_of_all_pairs():
    one, other = features(23, seed=4), features(23, seed=5, shift=0.3)
    measured = kernel_distance(one, other, generator=np.random.default_rng(0))
    assert measured == pytest.approx(by_loops(one, other), rel=1e-10)


def test_kernel_distance_draws_its_subsets_without_replacement(monkeypatch):
    monkeypatch.setattr(frechet, "SUBSETS", 5)
    monkeypatch.setattr(frechet, "SUBSET", 9)
    one, other = features(31, seed=6), features(14, seed=7, shift=0.2)
    drawn = []

    class Watched:
        def __init__(self):
            self._generator = np.random.default_rng(8)

        def choice(self, count, size, *, replace):
            assert size == 9 and replace is False
            drawn.append((count, self._generator.choice(count, size, replace=replace)))
            return drawn[-1][1]

    measured = kernel_distance(one, other, generator=Watched())
    mine = [one[rows] for count, rows in drawn if count == 31]
    theirs = [other[rows] for count, rows in drawn if count == 14]
    assert len(mine) == len(theirs) == 5
    assert measured == pytest.approx(np.mean([by_loops(*pair) for pair in zip(mine, theirs, strict=True)]), rel=1e-10)


def test_kernel_distance_is_the_same_in_blocks(monkeypatch):
    one, other = features(23, seed=4), features(23, seed=5, shift=0.3)
    monkeypatch.setattr(frechet, "_BLOCK", 7)
    measured = kernel_distance(one, other, generator=np.random.default_rng(0))
    assert measured == pytest.approx(by_loops(one, other), rel=1e-10)


def test_published_sizes_of_the_subsets():
    assert (frechet.SUBSETS, frechet.SUBSET) == (100, 1000)


@pytest.mark.parametrize(
    ("distance", "interval"),
    [
        (frechet_distance, fid_interval),
        (lambda one, other: kernel_distance(one, other, generator=np.random.default_rng(1)), kid_interval),
    ],
)
def test_interval_is_as_wide_as_the_figure_really_varies(distance, interval):
    """The half width at 68.27 % against the standard deviation over fresh draws of matched cases."""

    def cases(seed):
        one = features(60, seed=seed, width=6)
        return one, np.maximum(1.5 * one + features(60, seed=seed + 500, width=6, scale=0.5, shift=0.4), 0)

    truly = np.std([distance(*cases(seed)) for seed in range(120)], ddof=1)
    said = []
    for seed in range(8):
        low, high = interval(*cases(seed), generator=np.random.default_rng(seed), level=0.6827, matched=True)
        assert low < distance(*cases(seed)) < high
        said.append((high - low) / 2)
    assert 0.75 * truly < np.mean(said) < 1.35 * truly


@pytest.mark.parametrize("interval", [fid_interval, kid_interval])
def test_interval_depends_on_the_generator_and_the_level_alone(interval):
    one, other = features(50, seed=9), features(50, seed=10, shift=0.3)

    def found(seed=0, **options):
        return interval(one, other, generator=np.random.default_rng(seed), **options)

    assert found() == found()
    assert found() != found(seed=1)
    narrow, wide = found(level=0.5), found(level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("interval", [fid_interval, kid_interval])
def test_matched_sides_are_drawn_together(interval):
    """A truth and a result that move together leave less to chance than two strangers."""
    one = features(60, seed=11)
    other = one + 0.5
    together = interval(one, other, generator=np.random.default_rng(0), matched=True)
    apart = interval(one, other, generator=np.random.default_rng(0))
    assert together[1] - together[0] < 0.5 * (apart[1] - apart[0])
    with pytest.raises(InputError, match="60 and 59"):
        interval(one, other[1:], generator=np.random.default_rng(0), matched=True)


def test_frechet_interval_is_never_below_nothing():
    one = features(30, seed=12)
    assert fid_interval(one, one, generator=np.random.default_rng(0))[0] == 0


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        (np.zeros((3, 5)), np.zeros((9, 5)), "features.few"),
        (np.zeros((9, 5)), np.zeros((9, 6)), "features.shape"),
        (np.zeros(9), np.zeros(9), "features.shape"),
        (np.full((9, 5), np.nan), np.zeros((9, 5)), "features.finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(one, other, code):
    generator = np.random.default_rng(0)
    for ask in (
        lambda: frechet_distance(one, other),
        lambda: kernel_distance(one, other, generator=generator),
        lambda: fid_interval(one, other, generator=generator),
        lambda: kid_interval(one, other, generator=generator),
    ):
        with pytest.raises(InputError) as caught:
            ask()
        assert caught.value.code == code
