"""How large the watermark's tiles are in a picture that may have been resized since: by how far it repeats itself."""

from __future__ import annotations

import cv2
import numpy as np

SMALLEST, LARGEST = 48.0, 300.0  # pixels; what is looked for
_FARTHEST = 8  # repeats that are looked at in each direction
_LOUDEST = 4.0  # standard deviations; what a single feature of the picture may add


def periods(even: np.ndarray, count: int) -> list[float]:
    """The likeliest periods of a pattern that repeats both ways, in pixels, likeliest first; fewer if there are none.

    even: float32 HxW, a picture all of whose parts are equally loud (mean about 0).
    """
    reach = [int(min(0.75 * side, _FARTHEST * LARGEST)) for side in even.shape]
    if min(reach) < SMALLEST:
        return []
    likeness = _self_likeness(even, reach)
    tried = np.geomspace(SMALLEST, LARGEST, 1 + int(np.log(LARGEST / SMALLEST) * 1.5 * max(reach)))  # to a pixel there
    scores = _scores(likeness, tried)
    found = []
    while len(found) < count and scores.max() > 0:
        best = tried[scores.argmax()]
        found.append(float(best))
        scores[np.abs(tried / best - 1) < 0.01] = 0
    return found


def _self_likeness(even: np.ndarray, reach: list[int]) -> np.ndarray:
    """float32 (reach + 2): the autocorrelation from lag 0 on, down and across; its own standard deviation is 1."""
    shape = [cv2.getOptimalDFTSize(side + far + 2) for side, far in zip(even.shape, reach, strict=True)]
    power = np.abs(np.fft.rfft2(even, shape)) ** 2
    likeness = np.fft.irfft2(power, shape)[: reach[0] + 2, : reach[1] + 2]
    return (likeness / max(float(likeness[8:, 8:].std()), 1e-12)).astype(np.float32)


def _scores(likeness: np.ndarray, tried: np.ndarray) -> np.ndarray:
    """How much more the picture is like itself at the multiples of each period than elsewhere, in standard deviations.

    tried: float (n,); returns float (n,).
    """
    rows = columns = tried[:, None] * np.arange(_FARTHEST + 1)
    last_row, last_column = (side - 2 for side in likeness.shape)
    looked_at = (rows <= last_row)[:, :, None] & (columns <= last_column)[:, None, :]
    looked_at[:, 0, 0] = False  # without lag 0
    values = _sampled(likeness, rows.clip(max=last_row)[:, :, None], columns.clip(max=last_column)[:, None, :])
    total = (values.clip(-_LOUDEST, _LOUDEST) * looked_at).sum(axis=(1, 2))
    return total / np.sqrt(looked_at.sum(axis=(1, 2)).clip(min=1))


def _sampled(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    top, left = rows.astype(int), columns.astype(int)
    down, right = rows - top, columns - left
    upper = values[top, left] * (1 - right) + values[top, left + 1] * right
    lower = values[top + 1, left] * (1 - right) + values[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down
