"""Two sets of features held against each other: Frechet distance (FID), kernel distance (KID), and how sure they are.

Features are float64 (N, D), one row per image; D is 2048 for Inception's. The definitions are clean-fid's. FID: Heusel
et al. (arXiv 1706.08500). KID: Binkowski et al. (arXiv 1801.01401).
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from catvton.errors import InputError

SUBSETS, SUBSET = 100, 1000  # KID is the mean over so many draws of at most so many images from each side
MIN_IMAGES = 4  # half of them still have a covariance

_FID_HALVES = 40  # they give the spread to about a tenth, and take ten seconds for 2032 images on two cores
_KID_HALVES = 400
_BLOCK = 1024  # rows of the kernel at a time


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """FID: squared distance of two normal distributions with the means and covariances of the features; 0 for the same.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With C = F^T F for the centred features F, the eigenvalues of C1 C2 are
    the squared singular values of F1 F2^T, so the trace of the root is the sum of the singular values. clean-fid takes
    scipy.linalg.sqrtm of C1 C2 instead; that is the same number, but with fewer than 2049 images the product is
    singular, where sqrtm needs an offset on the diagonal and may leave an imaginary part. Here neither can happen.

    FID falls as N grows, for the same two distributions: only figures of equally many images can be compared.

    Raises:
        InputError: fewer than 4 images on a side, or not features of one network; its code begins with "features.".
    """
    return _distance(*_checked(one, other))


def kernel_distance(one: np.ndarray, other: np.ndarray, *, generator: np.random.Generator) -> float:
    """KID: unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3; near 0, also below, for the same.

    The mean over 100 subsets of 1000 images from each side (all there are if fewer), drawn without replacement. Papers
    on try-on print it times 1000.

    Raises:
        InputError: as `frechet_distance`.
    """
    one, other = _checked(one, other)
    size = min(len(one), len(other), SUBSET)
    mine, theirs = (_picks(len(side), size, times=SUBSETS, generator=generator) for side in (one, other))
    return float(_discrepancies(one, other, mine, theirs).mean())


def fid_interval(
    one: np.ndarray, other: np.ndarray, *, generator: np.random.Generator, level: float = 0.95, matched: bool = False
) -> tuple[float, float]:
    """How far FID would move with other images of the same kind, and as many: an interval for its mean at this N.

    It says nothing of what FID would be with more images: FID falls with N, and no interval around it holds the value
    for infinitely many. Compare intervals of equal N only.

    The spread is that of 40 random halves of the images (a delete-half jackknife). The usual bootstrap draws images
    twice, which shrinks the covariance's rank: its values lie far above FID itself and spread further. Where the two
    sides hardly differ, halves too give an interval that is somewhat too wide.

    Args:
        matched: row i of both sides belongs to the same case (a result and its truth), and the two are drawn together.
    """
    one, other = _checked(one, other)
    distances = [
        _distance(one[mine], other[theirs])
        for mine, theirs in _halves(len(one), len(other), times=_FID_HALVES, generator=generator, matched=matched)
    ]
    low, high = _around(_distance(one, other), np.std(distances, ddof=1), level)
    return max(0.0, low), high


def kid_interval(
    one: np.ndarray, other: np.ndarray, *, generator: np.random.Generator, level: float = 0.95, matched: bool = False
) -> tuple[float, float]:
    """An interval for KID, which does not depend on N: the value over all images, and the spread of 400 random halves.

    Args:
        matched: as for `fid_interval`.
    """
    one, other = _checked(one, other)
    halves = _halves(len(one), len(other), times=_KID_HALVES, generator=generator, matched=matched)
    mine, theirs = (np.stack(picks, axis=1).astype(float) for picks in zip(*halves, strict=True))
    spread = np.std(_discrepancies(one, other, mine, theirs), ddof=1)
    whole = _discrepancies(one, other, np.ones((len(one), 1)), np.ones((len(other), 1)))
    return _around(float(whole[0]), spread, level)


# ---- FID -------------------------------------------------------------------------------------------------------------


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    shift = one.mean(0) - other.mean(0)
    one, other = _factor(one), _factor(other)
    common = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(shift @ shift + np.square(one).sum() + np.square(other).sum() - 2 * common)


def _factor(features: np.ndarray) -> np.ndarray:
    """F (min(N, D), D), with F^T F the covariance of the features."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return np.linalg.qr(centred, mode="r") if len(centred) > centred.shape[1] else centred


# ---- KID -------------------------------------------------------------------------------------------------------------


def _discrepancies(one: np.ndarray, other: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """float64 (S,): the unbiased squared discrepancy of each of S choices of rows.

    mine, theirs: float64 (N, S) for each side, 1 where a row is chosen, else 0: so the kernel is computed once for all.
    """
    across = _sums(one, other, mine, theirs) / (mine.sum(0) * theirs.sum(0))
    return _within(one, mine) + _within(other, theirs) - 2 * across


def _within(rows: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """float64 (S,): the kernel's mean over pairs of two different chosen rows."""
    count = picks.sum(0)
    with_itself = (np.square(rows).sum(1) / rows.shape[1] + 1) ** 3 @ picks
    return (_sums(rows, rows, picks, picks) - with_itself) / (count * (count - 1))


def _sums(one: np.ndarray, other: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """float64 (S,): the kernel's sum over all pairs of chosen rows."""
    total = np.zeros(mine.shape[1])
    for start in range(0, len(one), _BLOCK):
        part = slice(start, start + _BLOCK)
        kernel = (one[part] @ other.T / one.shape[1] + 1) ** 3
        total += (mine[part] * (kernel @ theirs)).sum(0)
    return total


# ---- draws -----------------------------------------------------------------------------------------------------------


def _picks(count: int, size: int, *, times: int, generator: np.random.Generator) -> np.ndarray:
    """float64 (count, times) of 0 and 1, `size` ones in every column."""
    chosen = np.zeros((count, times))
    for column in chosen.T:
        column[generator.choice(count, size, replace=False)] = 1
    return chosen


def _halves(
    one: int, other: int, *, times: int, generator: np.random.Generator, matched: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Random halves of the rows of both sides, as bool (N,) masks."""
    if matched and one != other:
        raise InputError(f"{one} and {other} images cannot be cases of two sides each.", code="features.matched")
    for _ in range(times):
        mine, theirs = (_picks(count, count // 2, times=1, generator=generator)[:, 0] > 0 for count in (one, other))
        yield mine, mine if matched else theirs


def _around(value: float, spread: float, level: float) -> tuple[float, float]:
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(spread)
    return value - reach, value + reach


def _checked(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sides = tuple(np.asarray(side, np.float64) for side in (one, other))
    if any(side.ndim != 2 for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
        raise InputError(
            f"Features of shapes {sides[0].shape} and {sides[1].shape} cannot be compared: (N, D) is needed, with the "
            "same D.",
            code="features.shape",
        )
    if min(map(len, sides)) < MIN_IMAGES:
        raise InputError(
            f"{len(sides[0])} and {len(sides[1])} images are too few to compare: at least {MIN_IMAGES} on each side "
            "are needed, and thousands for figures to rely on.",
            code="features.few",
        )
    if not all(np.isfinite(side).all() for side in sides):
        raise InputError("Some features are no numbers: the network is damaged.", code="features.finite")
    return sides
