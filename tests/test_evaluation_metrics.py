"""Every figure beside a second, slow and plain computation of it."""

import math

import numpy as np
import pytest

from catvton.evaluation import metrics


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    one = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    other = np.clip(one.astype(int) + rng.integers(-60, 60, one.shape), 0, 255).astype(np.uint8)
    return one, other


# ---- colour ----------------------------------------------------------------------------------------------------------


def lab(rgb: np.ndarray) -> list[float]:
    """sRGB 0..1 to CIE Lab under D65, from the standard's formulas."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    rows = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
    xyz = [sum(m * c for m, c in zip(row, linear, strict=True)) for row in rows]
    scaled = [v / w for v, w in zip(xyz, (0.95047, 1.0, 1.08883), strict=True)]
    f = [v ** (1 / 3) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29 for v in scaled]
    return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]


def ciede2000(one: list[float], other: list[float]) -> float:
    """After Sharma, Wu, Dalal 2005, written from the formulas."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c7 = ((math.hypot(a1, b1) + math.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - math.sqrt(mean_c7 / (mean_c7 + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = 0.0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    if c1 * c2 == 0:
        hue = h1 + h2
    elif abs(h1 - h2) <= 180:
        hue = (h1 + h2) / 2
    else:
        hue = (h1 + h2 + (360 if h1 + h2 < 360 else -360)) / 2
    t = (
        1
        - 0.17 * math.cos(math.radians(hue - 30))
        + 0.24 * math.cos(math.radians(2 * hue))
        + 0.32 * math.cos(math.radians(3 * hue + 6))
        - 0.20 * math.cos(math.radians(4 * hue - 63))
    )
    sl = 1 + 0.015 * (lightness - 50) ** 2 / math.sqrt(20 + (lightness - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rt = (
        -2
        * math.sqrt(chroma**7 / (chroma**7 + 25**7))
        * math.sin(math.radians(60 * math.exp(-(((hue - 275) / 25) ** 2))))
    )
    return math.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * (dc / sc) * (dh / sh))


def test_our_second_computation_gives_published_values():
    assert ciede2000([50, 2.6772, -79.7751], [50, 0, -82.7485]) == pytest.approx(2.0425, abs=1e-4)
    assert ciede2000([22.7233, 20.0904, -46.6940], [23.0331, 14.9730, -42.5619]) == pytest.approx(2.0373, abs=1e-4)
    assert ciede2000([2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514]) == pytest.approx(0.9082, abs=1e-4)


def blurred(picture: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    """A Gaussian, cut at 4 sigma, mirrored at the edge: rows, then columns."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    out = picture / 255
    for axis in (0, 1):
        wide = np.pad(out, [(reach, reach) if i == axis else (0, 0) for i in range(3)], mode="symmetric")
        out = sum(w * np.take(wide, range(i, i + out.shape[axis]), axis=axis) for i, w in enumerate(weights))
    return out


def test_colour_difference(pictures):
    found = metrics.colour_difference(*pictures)
    one, other = (blurred(p) for p in pictures)
    for y, x in ((0, 0), (5, 7), (12, 10), (23, 19)):
        assert found[y, x] == pytest.approx(ciede2000(lab(one[y, x]), lab(other[y, x])), abs=2e-3)


# ---- structure -------------------------------------------------------------------------------------------------------


def test_structure(pictures):
    found = metrics.structure(*pictures)
    one, other = (p @ np.array([0.2125, 0.7154, 0.0721]) / 255 for p in pictures)
    c1, c2 = 0.01**2, 0.03**2
    for y, x in ((3, 3), (8, 9), (20, 16)):
        a, b = (p[y - 3 : y + 4, x - 3 : x + 4].ravel() for p in (one, other))
        (va, cov), (_, vb) = np.cov(a, b)
        expected = ((2 * a.mean() * b.mean() + c1) * (2 * cov + c2)) / (
            (a.mean() ** 2 + b.mean() ** 2 + c1) * (va + vb + c2)
        )
        assert found[y, x] == pytest.approx(expected, abs=1e-9)


def test_the_same_picture_is_perfect(pictures):
    area = np.ones((24, 20), bool)
    (same,) = metrics.likeness(pictures[0], pictures[0], area)
    assert (same.colour, same.structure) == (0.0, pytest.approx(1.0))


def test_only_the_area_counts(pictures):
    one, other = pictures
    area = np.zeros((24, 20), bool)
    area[4:9, 5:12] = True
    found, everywhere = metrics.likeness(one, other, area, np.ones_like(area))
    assert found.colour == pytest.approx(metrics.colour_difference(one, other)[4:9, 5:12].mean())
    assert found.structure == pytest.approx(metrics.structure(one, other)[4:9, 5:12].mean())
    assert found != everywhere


# ---- classes ---------------------------------------------------------------------------------------------------------


def test_intersection_over_union():
    rng = np.random.default_rng(0)
    truth, guess = rng.integers(0, 4, (2, 30, 17), dtype=np.uint8)
    found = metrics.intersection_over_union(metrics.confusion(truth, guess, 5))
    for label in range(4):
        a, b = ({tuple(p) for p in np.argwhere(m == label)} for m in (truth, guess))
        assert found[label] == pytest.approx(len(a & b) / len(a | b))
    assert np.isnan(found[4])  # neither there nor guessed


def test_confusion_has_truth_in_rows():
    matrix = metrics.confusion(np.array([0, 0, 1]), np.array([2, 2, 1]), 3)
    assert matrix.tolist() == [[0, 0, 2], [0, 1, 0], [0, 0, 0]]


# ---- histograms ------------------------------------------------------------------------------------------------------


def test_histogram_distance():
    rng = np.random.default_rng(1)
    one, other = (metrics.lab_histogram(rng.integers(0, 256, (500, 3), dtype=np.uint8)) for _ in range(2))
    overlap = sum(math.sqrt(a * b) for a, b in zip(one.ravel(), other.ravel(), strict=True))
    assert metrics.histogram_distance(one, other) == pytest.approx(math.sqrt(1 - overlap))
    assert metrics.histogram_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert one.sum() == pytest.approx(1)


def test_histograms_do_not_care_where_pixels_are():
    pixels = np.random.default_rng(2).integers(0, 256, (300, 3), dtype=np.uint8)
    assert np.allclose(metrics.lab_histogram(pixels), metrics.lab_histogram(pixels[::-1]))


def test_shade_is_closer_than_another_colour():
    def histogram(*colour: int) -> np.ndarray:
        noise = np.random.default_rng(0).normal(0, 6, (400, 3))
        return metrics.lab_histogram(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))

    red = histogram(200, 30, 40)
    assert metrics.histogram_distance(red, histogram(170, 25, 34)) < metrics.histogram_distance(
        red, histogram(30, 50, 200)
    )
    assert metrics.histogram_distance(red, histogram(30, 50, 200)) > 0.95


def test_no_pixels_no_histogram():
    with pytest.raises(ValueError, match="no pixels"):
        metrics.lab_histogram(np.zeros((0, 3), np.uint8))
