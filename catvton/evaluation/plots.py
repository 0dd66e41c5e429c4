"""Plots as inline SVG: they scale, follow the page's light or dark colours by their classes, and need no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

BINS = 24
_HIGH = 12  # a bar's height, in units of its own picture


@dataclass(frozen=True)
class Axis:
    """The stretch of values a plot shows; `high` is above `low`."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value lies, in percent of the axis, kept on it."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def bar_axis(values: Sequence[float], *, higher: bool) -> Axis:
    """From 0 where lower is better. Where higher is better figures lie close below 1: from a tenth below the lowest."""
    low = max(0.0, round(math.floor(10 * min(values)) / 10 - 0.1, 1)) if higher else 0.0
    return Axis(low, max(*values, low + 1e-6))  # KID's estimate may lie below 0


def bar(value: float, axis: Axis, *, interval: tuple[float, float] | None = None) -> str:
    """One bar, as wide as what it is put in; `interval` is drawn over it. The text beside it has to say the value."""
    whisker = ""
    if interval is not None:
        low, high = (axis.at(end) for end in interval)
        path = f"M{low} {_HIGH / 2}H{high}M{low} 2V{_HIGH - 2}M{high} 2V{_HIGH - 2}"
        whisker = f'<path class="whisker" vector-effect="non-scaling-stroke" d="{path}"/>'
    return (
        f'<svg class="track" viewBox="0 0 100 {_HIGH}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="bar" width="{axis.at(value)}" height="{_HIGH}"/>{whisker}</svg>'
    )


def edges(values: Sequence[float]) -> np.ndarray:
    """float64 (25,): the limits of 24 bins that hold all values, so that several histograms compare."""
    low, high = float(min(values)), float(max(values))
    return np.linspace(low, high if high > low else low + 1e-3, BINS + 1)


def histogram(values: Sequence[float], limits: np.ndarray, *, label: str) -> str:
    """How many values lie between each two `limits` (N + 1,), with a line at the median. `label` is its text."""
    counts, _ = np.histogram(values, limits)
    axis, wide = Axis(float(limits[0]), float(limits[-1])), 100 / len(counts)
    columns = "".join(
        f'<rect class="bin" x="{i * wide + 0.2:.2f}" y="{60 - height:.2f}" width="{wide - 0.4:.2f}" '
        f'height="{height:.2f}"/>'
        for i, height in enumerate(60 * counts / counts.max())
        if height
    )
    median = axis.at(float(np.median(values)))
    return (
        f'<svg class="histogram" viewBox="0 0 100 60" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{columns}'
        f'<path class="median" vector-effect="non-scaling-stroke" d="M{median} 0V60"/></svg>'
    )
