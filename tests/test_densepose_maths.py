"""Boxes, anchors, non-maximum suppression, RoIAlign and charts against small plain computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from densepose.anchors import cell_anchors, grid_anchors
from densepose.boxes import apply_deltas, clip, larger_than, nms, overlaps
from densepose.charts import label_map, part_labels, place, whole_box
from densepose.roi_align import RoiPooler, roi_align


def random_boxes(count: int, *, size: float = 40, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner, extent = torch.rand(2, count, 2, generator=generator) * size
    return torch.cat((corner, corner + extent + 0.1), 1)


def plain_overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def plain_nms(boxes: list, scores: list, groups: list, threshold: float) -> list[int]:
    kept: list[int] = []
    for n in sorted(range(len(scores)), key=lambda n: -scores[n]):
        if all(groups[n] != groups[k] or plain_overlap(boxes[n], boxes[k]) <= threshold for k in kept):
            kept.append(n)
    return kept


def plain_bilinear(plane: np.ndarray, y: float, x: float) -> float:
    """The value between pixels; the border's up to a pixel outside, 0 beyond."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = plane[top, left] * (1 - (x - left)) + plane[top, right] * (x - left)
    lower = plane[bottom, left] * (1 - (x - left)) + plane[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def plain_roi_align(features, boxes, *, scale, size, sampling, aligned) -> np.ndarray:
    """RoIAlign by its definition, one sample after another."""
    out = np.zeros((len(boxes), len(features), size, size))
    for n, box in enumerate(boxes.tolist()):
        left, top, right, bottom = (side * scale - (0.5 if aligned else 0.0) for side in box)
        width, height = right - left, bottom - top
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        down, across = (sampling or math.ceil(side / size) for side in (height, width))
        for c, plane in enumerate(features.double().numpy()):
            for i in range(size):
                for j in range(size):
                    samples = [
                        plain_bilinear(plane, top + (i + (k + 0.5) / down) * height / size,
                                       left + (j + (m + 0.5) / across) * width / size)
                        for k in range(down) for m in range(across)
                    ]  # fmt: skip
                    out[n, c, i, j] = sum(samples) / len(samples)
    return out


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2, 3])
def test_roi_align(aligned, sampling):
    features = torch.randn(3, 9, 12, generator=torch.Generator().manual_seed(1))
    inside = random_boxes(5, size=18)
    special = torch.tensor(
        [
            [0, 0, 48, 36],  # everything
            [-9, -12, 5, 6],  # over the corner, further than a pixel
            [40, 30, 70, 60],  # over the opposite one
            [10, 10, 10.5, 10.25],  # smaller than a pixel
            [8, 4, 16, 4.5],  # flat
            [60, 50, 80, 70],  # outside altogether
        ]
    )
    boxes = torch.cat((inside, special))
    settings = {"scale": 0.25, "size": 3, "sampling": sampling, "aligned": aligned}
    found = roi_align(features, boxes, **settings)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), plain_roi_align(features, boxes, **settings), atol=2e-6)


def test_roi_align_takes_many_boxes_in_parts():
    features = torch.randn(2, 8, 8, generator=torch.Generator().manual_seed(2))
    boxes = random_boxes(700, size=6)
    found = roi_align(features, boxes, scale=1.0, size=7, sampling=2, aligned=True)  # 34,300 bins
    picked = [0, 333, 334, 335, 699]
    expected = plain_roi_align(features, boxes[picked], scale=1.0, size=7, sampling=2, aligned=True)
    np.testing.assert_allclose(found[picked].numpy(), expected, atol=2e-6)


def test_a_box_is_read_from_the_level_of_its_size():
    strides = {"p2": 4, "p3": 8, "p4": 16, "p5": 32}
    features = {level: torch.full((2, 1, 64, 64), float(stride)) for level, stride in strides.items()}
    features = {level: value * torch.tensor([1.0, 100.0]).view(2, 1, 1, 1) for level, value in features.items()}
    pooler = RoiPooler(strides, size=2, sampling=2, kind="ROIAlignV2")
    sides = {8: 4, 111: 4, 112: 8, 223: 8, 224: 16, 447: 16, 448: 32, 2000: 32}
    boxes = torch.tensor([[10.0, 10.0, 10.0 + side, 10.0 + side] for side in sides])
    found = pooler(features, [boxes[:3], boxes])
    assert found.shape == (3 + len(sides), 1, 2, 2)
    assert found[:3, 0, 0, 0].tolist() == list(sides.values())[:3]
    assert found[3:, 0, 0, 0].tolist() == [100 * stride for stride in sides.values()]


def test_nobody_to_pool():
    pooler = RoiPooler({"p2": 4}, size=7, sampling=2, kind="ROIAlign")
    assert pooler({"p2": torch.zeros(1, 5, 8, 8)}, [torch.zeros(0, 4)]).shape == (0, 5, 7, 7)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("groups", [1, 4])
def test_nms(threshold, groups):
    boxes = random_boxes(120, seed=3)
    scores = torch.rand(120, generator=torch.Generator().manual_seed(4))
    groups = torch.arange(120) % groups
    found = nms(boxes, scores, groups, threshold=threshold)
    assert found.tolist() == plain_nms(boxes.tolist(), scores.tolist(), groups.tolist(), threshold)


def test_nms_of_equals_keeps_the_first_and_of_nothing_nothing():
    box = torch.tensor([[0.0, 0, 4, 4]])
    kept = nms(box.repeat(5, 1), torch.ones(5), torch.zeros(5), threshold=0.5)
    assert kept.tolist() == [0]
    assert nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0), threshold=0.5).tolist() == []


def test_a_struck_box_strikes_nobody():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3), threshold=0.3).tolist() == [0, 2]


def test_overlaps():
    boxes = random_boxes(20)
    expected = [[plain_overlap(a, b) for b in boxes.tolist()] for a in boxes.tolist()]
    np.testing.assert_allclose(overlaps(boxes).numpy(), expected, atol=1e-6)


def test_deltas_move_and_scale_a_box():
    boxes = torch.tensor([[10.0, 20, 30, 60]])
    deltas = torch.tensor([[1.0, -2.0, 5 * math.log(2), 0.0, 0, 0, 0, 0]])
    found = apply_deltas(deltas, boxes, weights=(10, 10, 5, 5))
    # the centre (20, 40) moves by 0.1 of the width 20 and -0.2 of the height 40; the width doubles
    np.testing.assert_allclose(found.numpy(), [[2, 12, 42, 52], [10, 20, 30, 60]], atol=1e-5)


def test_a_box_grows_at_most_62_5_times():
    found = apply_deltas(torch.tensor([[0.0, 0, 100, 100]]), torch.tensor([[0.0, 0, 2, 2]]), weights=(1, 1, 1, 1))
    np.testing.assert_allclose((found[0, 2:] - found[0, :2]).numpy(), [125, 125], rtol=1e-5)


def test_clip_and_size():
    boxes = torch.tensor([[-5.0, -5, 5, 5], [30, 90, 80, 200], [-9, 0, -1, 5]])
    clipped = clip(boxes, (100, 50))
    assert clipped.tolist() == [[0, 0, 5, 5], [30, 90, 50, 100], [0, 0, 0, 5]]
    assert larger_than(clipped, 0).tolist() == [True, True, False]
    assert larger_than(clipped, 5).tolist() == [False, True, False]


def test_anchors():
    cell = cell_anchors((32,), (0.5, 1.0, 2.0))
    root = 32 * 2**0.5
    expected = [
        [-root / 2, -root / 4, root / 2, root / 4],
        [-16, -16, 16, 16],
        [-root / 4, -root / 2, root / 4, root / 2],
    ]
    np.testing.assert_allclose(cell.numpy(), expected, rtol=1e-6)
    grid = grid_anchors(cell, (2, 3), stride=8, offset=0.0)
    assert grid.shape == (18, 4)
    np.testing.assert_allclose(grid.view(2, 3, 3, 4)[1, 2, 1].numpy(), [0, -8, 32, 24])
    shifted = grid_anchors(cell, (2, 3), stride=8, offset=0.5)
    np.testing.assert_allclose((shifted - grid).numpy(), 4, atol=1e-5)


def test_a_box_is_cut_to_whole_pixels_and_never_empty():
    assert whole_box(torch.tensor([122.7, 0.0, 264.46, 290.49])) == (122, 0, 141, 290)
    assert whole_box(torch.tensor([5.9, 6.2, 6.1, 6.9])) == (5, 6, 1, 1)


def test_the_coarse_map_gates_the_fine_one():
    coarse = torch.tensor([[[1.0, 0], [0, 0]], [[0.0, 1], [1, 1]]])
    fine = torch.zeros(25, 2, 2)
    fine[7, 0, 0] = fine[7, 0, 1] = fine[24, 1, 0] = 1.0
    assert part_labels(coarse, fine, (2, 2)).tolist() == [[0, 7], [24, 0]]


def test_any_part_of_a_finer_coarse_map_is_body():
    coarse = torch.zeros(15, 1, 2)
    coarse[14, 0, 0] = coarse[0, 0, 1] = 1.0
    fine = torch.zeros(25, 1, 2)
    fine[3] = 1.0
    assert part_labels(coarse, fine, (1, 2)).tolist() == [[3, 0]]


def test_labels_are_laid_at_the_box_and_cut_at_the_border():
    coarse, fine = torch.zeros(2, 4, 4), torch.zeros(25, 4, 4)
    coarse[1] = fine[9] = 1.0
    labels = label_map(coarse, fine, torch.tensor([2.5, 1.0, 4.9, 3.0]), (4, 6))
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0] * 6, [0, 0, 9, 9, 0, 0], [0, 0, 9, 9, 0, 0], [0] * 6]
    assert label_map(coarse, fine, torch.tensor([5.9, 3.9, 6.0, 4.0]), (4, 6)).sum() == 9
    assert place(np.full((9, 9), 5, np.uint8), (4, 2), (4, 6)).sum() == 5 * 4
