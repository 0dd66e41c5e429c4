"""RoIAlign: a fixed grid of features from each box, averaged from bilinear samples; and the choice of the map to read.

Plain indexing and sums, in float32: no compiled extension, nothing that CUDA or MPS lack. (`grid_sample` would serve
on some devices, but its border rules are not RoIAlign's.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log2

import torch

# Bins gathered at once: with 256 channels 8 MiB for each step. With more a CPU is slower: they leave its cache.
MAX_BINS = 2**13


class RoiPooler:
    """Reads each box from the pyramid level of its size.

    Args:
        strides: the levels to read, name -> stride, finest first.
        size: bins on each side.
        sampling: samples on each side of a bin; 0 takes as many as there are feature pixels in it.
        kind: "ROIAlign" or "ROIAlignV2" (which shifts by half a pixel, so that pixel centres are met).
    """

    canonical_side, canonical_level = 224, 4  # a box of 224² pixels is read at stride 16, half of it one level finer

    def __init__(self, strides: Mapping[str, int], *, size: int, sampling: int, kind: str) -> None:
        self.strides = dict(strides)
        self.size = size
        self.sampling = sampling
        self.aligned = kind == "ROIAlignV2"

    def __call__(self, features: Mapping[str, torch.Tensor], boxes: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (N, C, h, w) of each level, N times boxes (n, 4) in image pixels -> (sum of n, C, size, size)."""
        return torch.cat([self._one(features, image, mine) for image, mine in enumerate(boxes)])

    def _one(self, features: Mapping[str, torch.Tensor], image: int, boxes: torch.Tensor) -> torch.Tensor:
        channels = features[next(iter(self.strides))].shape[1]
        out = boxes.new_zeros(len(boxes), channels, self.size, self.size)
        levels = self._levels(boxes)
        for level, stride in self.strides.items():
            chosen = torch.nonzero(levels == int(log2(stride)))[:, 0]
            if len(chosen):
                out[chosen] = roi_align(
                    features[level][image], boxes[chosen], scale=1 / stride, size=self.size, sampling=self.sampling,
                    aligned=self.aligned,
                )  # fmt: skip
        return out

    def _levels(self, boxes: torch.Tensor) -> torch.Tensor:
        """int64 (n,): the logarithm of the stride to read each box at."""
        numbers = [int(log2(stride)) for stride in self.strides.values()]
        sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
        levels = torch.floor(self.canonical_level + torch.log2(sides / self.canonical_side + 1e-8))
        return levels.clamp(min(numbers), max(numbers)).long()


def roi_align(
    features: torch.Tensor, boxes: torch.Tensor, *, scale: float, size: int, sampling: int, aligned: bool
) -> torch.Tensor:
    """Features (C, h, w) under boxes (n, 4) in image pixels -> (n, C, size, size).

    Args:
        scale: feature pixels for each image pixel.
        sampling: samples on each side of a bin; 0 takes ceil(box side / size), of each box and side its own.
        aligned: shift by half a feature pixel. Without it, boxes are also at least one feature pixel wide.
    """
    start, extent = _in_features(boxes, scale=scale, aligned=aligned)
    rows = features.permute(1, 2, 0).flatten(0, 1).contiguous()  # a pixel's channels side by side: quick to gather
    out = features.new_empty(len(boxes), size * size, features.shape[0])
    for count, alike in _by_count(extent / size, sampling):
        for part in alike.split(max(1, MAX_BINS // size**2)):
            points = [
                _Points.along(start[part, axis], extent[part, axis], size=size, count=count[axis],
                              limit=features.shape[1 + axis])
                for axis in (0, 1)
            ]  # fmt: skip
            out[part] = _gather(rows, *points, width=features.shape[2])
    return out.transpose(1, 2).unflatten(2, (size, size))


def _by_count(bins: torch.Tensor, sampling: int) -> Iterator[tuple[tuple[int, int], torch.Tensor]]:
    """Which boxes take how many samples in a bin, (down, across), from the bins' sizes (n, 2)."""
    if sampling:
        yield (sampling, sampling), torch.arange(len(bins), device=bins.device)
        return
    counts = bins.cpu().ceil().clamp(min=1).long()  # on the CPU: MPS has no unique over rows
    for count in counts.unique(dim=0):
        yield (int(count[0]), int(count[1])), torch.nonzero((counts == count).all(1))[:, 0].to(bins.device)


def _in_features(boxes: torch.Tensor, *, scale: float, aligned: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Where boxes start and how far they reach in feature pixels, both (n, 2), y before x."""
    shift = 0.5 if aligned else 0.0
    corners = boxes * scale - shift
    start, end = corners[:, [1, 0]], corners[:, [3, 2]]
    extent = end - start
    return start, extent if aligned else extent.clamp(min=1.0)


class _Points:
    """The samples of n boxes along one axis: the two pixels each lies between, and their weights.

    `low`, `high`: int64 (n, size, count); `low_weight`, `high_weight`: float32, both 0 for samples off the map.
    """

    def __init__(self, position: torch.Tensor, limit: int) -> None:
        inside = (position >= -1) & (position <= limit)
        position = position.clamp(0, limit - 1)  # up to a pixel outside, the border's value goes on
        self.low = position.floor().long().clamp(max=limit - 1)
        self.high = (self.low + 1).clamp(max=limit - 1)
        self.high_weight = (position - self.low) * inside
        self.low_weight = (1 - (position - self.low)) * inside

    @classmethod
    def along(cls, start: torch.Tensor, extent: torch.Tensor, *, size: int, count: int, limit: int) -> _Points:
        bins = torch.arange(size, device=start.device, dtype=start.dtype)[None, :, None]
        samples = torch.arange(count, device=start.device, dtype=start.dtype)[None, None, :]
        bin_side = (extent / size)[:, None, None]
        return cls(start[:, None, None] + bins * bin_side + (samples + 0.5) * bin_side / count, limit)


def _gather(rows: torch.Tensor, y: _Points, x: _Points, *, width: int) -> torch.Tensor:
    """The mean of each bin's samples: (n, size * size, C) from `rows`, (h * w, C)."""
    n, size, y_count = y.low.shape
    x_count = x.low.shape[2]
    out = rows.new_zeros(n * size * size, rows.shape[1])
    for y_index, y_weight in ((y.low, y.low_weight), (y.high, y.high_weight)):
        for x_index, x_weight in ((x.low, x.low_weight), (x.high, x.high_weight)):
            for i in range(y_count):
                for j in range(x_count):
                    index = y_index[:, :, None, i] * width + x_index[:, None, :, j]
                    weight = y_weight[:, :, None, i] * x_weight[:, None, :, j]
                    out += rows.index_select(0, index.flatten()) * weight.flatten()[:, None]
    return out.view(n, size * size, -1) / (y_count * x_count)
