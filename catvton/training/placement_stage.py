"""Training `WarpNet`: where each pixel of the hole finds its cloth, learned from pairs whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from catvton.placement import Placement, network_input, rough_matrix, warp_affine
from catvton.training.pairs import FRAME, Pair, PairMaker
from catvton.training.photos import Labelled
from catvton.training.sheet import sheet
from catvton.training.stage import mean_loss
from catvton.warp_net import GRID, WarpNet
from catvton.weights import load_strictly

HALF_FRAME = (
    FRAME[0] // 2,
    FRAME[1] // 2,
)  # pairs are drawn at this size: four times as fast, and the network sees less still


class PlacementStage:
    """Supervised displacement in the garment's region, its true silhouette, and smoothness elsewhere."""

    name = "placement"

    def __init__(
        self, photos: Sequence[Labelled], *, validation: Sequence[Labelled] = (), batch_size: int = 16, seed: int = 0
    ) -> None:
        self.pairs, self.batch_size = PairMaker(photos, size=HALF_FRAME), batch_size
        self.shown = _fixed_pairs(validation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module: nn.Module = WarpNet().to(memory_format=torch.channels_last)

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """`inputs` (B, 8, 96, 72); `target` (B, 2, 96, 72) displacement; `known`, `region` (B, 1, 96, 72) in 0..1."""
        return collate([self.pairs.draw(rng) for _ in range(self.batch_size)])

    def identity(self) -> dict[str, int]:
        return {"batch": self.batch_size, "photos": len(self.pairs.photos)}

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Charbonnier distance in frame pixels where known + silhouette cross-entropy in the hole + bending."""
        displacement, shown = module(batch["inputs"].contiguous(memory_format=torch.channels_last))
        scale = displacement.new_tensor(FRAME)[None, :, None, None]
        error = ((displacement - batch["target"]) * scale).square().sum(1, keepdim=True)
        distance = ((error + 0.25).sqrt() * batch["known"]).sum() / batch["known"].sum().clamp_min(1)
        hole = batch["inputs"][:, :1]
        silhouette = F.binary_cross_entropy_with_logits(shown, batch["region"], weight=0.1 + hole)
        bending = _bending(displacement * scale)
        figures = {"pixels": float(distance.detach()), "silhouette": float(silhouette.detach())}
        return 0.1 * distance + silhouette + 0.02 * bending, figures

    def samples(self, module: nn.Module) -> Image.Image:
        """Rows of: hole, garment picture, rough placement, learned placement, truth."""
        return sheet([show_pair(pair, module) for pair in self.shown[:24]], shrink=2)

    def held_out(self, module: nn.Module) -> float:
        """The loss on the pairs of the sample grid and a few more, none of them trained on."""
        size = self.batch_size
        return mean_loss(self, module, (collate(self.shown[i : i + size]) for i in range(0, len(self.shown), size)))

    def load(self, folder: Path) -> None:
        saved = load_strictly(WarpNet, folder, dtype=torch.float32)
        self.module.load_state_dict(saved.state_dict())

    def save(self, module: nn.Module, folder: Path) -> None:
        """As `WarpNet.from_pretrained` reads it, in fp16."""
        copy = WarpNet.from_config(module.config)
        copy.load_state_dict(module.state_dict())
        copy.half().save_pretrained(folder)


def _fixed_pairs(photos: Sequence[Labelled]) -> list[Pair]:
    """The same pairs at every call, one of each photo that has a garment."""
    return [PairMaker([p]).draw(np.random.default_rng(i)) for i, p in enumerate(photos[:40]) if PairMaker([p]).cases]


def collate(pairs: Sequence[Pair]) -> dict[str, torch.Tensor]:
    """Tensors of `PlacementStage.batch`."""
    cases = [_case(pair) for pair in pairs]
    return {k: torch.from_numpy(np.stack([c[k] for c in cases])) for k in cases[0]}


def _case(pair: Pair) -> dict[str, np.ndarray]:
    matrix = rough_matrix(pair.canvas[..., 3], pair.mask)
    rough = warp_affine(pair.canvas, matrix, pair.image.shape[1::-1])
    target, known = true_displacement(pair, matrix)
    region = cv2.resize(pair.region.astype(np.float32), GRID, interpolation=cv2.INTER_AREA)
    return {
        "inputs": network_input(pair.image, pair.mask, rough),
        "target": target,
        "known": known[None],
        "region": region[None],
    }


def true_displacement(pair: Pair, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each grid cell's cloth lies in the roughly placed garment, by scattering the canvas back onto the photo.

    Returns:
        float32 (2, 96, 72) displacement as fractions of the frame, and (96, 72) 1 where it is known.
    """
    size = pair.image.shape[1::-1]
    step = size[0] / GRID[0]
    y, x = np.nonzero(pair.canvas[..., 3] > 127)
    canvas = np.stack([x, y], 1).astype(np.float32)
    cell = pair.sources[canvas[:, 1].astype(int), canvas[:, 0].astype(int)]
    rough = (canvas + 0.5) @ matrix[:, :2].T + matrix[:, 2]
    shift = (rough - (cell + 0.5)) / np.array(size)
    column, row = np.floor((cell + 0.5) / step).astype(int).T
    inside = (column >= 0) & (column < GRID[0]) & (row >= 0) & (row < GRID[1])
    index = row[inside] * GRID[0] + column[inside]
    count = np.bincount(index, minlength=GRID[0] * GRID[1])
    sums = [np.bincount(index, weights=shift[inside, k], minlength=len(count)) for k in range(2)]
    mean = np.stack(sums) / np.maximum(1, count)
    return mean.reshape(2, GRID[1], GRID[0]).astype(np.float32), (count > 0).reshape(GRID[1], GRID[0]).astype(
        np.float32
    )


def _bending(displacement: torch.Tensor) -> torch.Tensor:
    """Mean absolute second difference, pixels per cell squared: what tears prints apart."""
    across = displacement[..., 2:] - 2 * displacement[..., 1:-1] + displacement[..., :-2]
    down = displacement[..., 2:, :] - 2 * displacement[..., 1:-1, :] + displacement[..., :-2, :]
    return across.abs().mean() + down.abs().mean()


def placed(pair: Pair, displacement: np.ndarray, odds: np.ndarray) -> Image.Image:
    """The pair's frame with its garment placed, as `Placement.image`."""
    matrix = rough_matrix(pair.canvas[..., 3], pair.mask)
    empty = Placement(Image.new("RGB", FRAME), pair.canvas, matrix, displacement, odds, FRAME)
    return empty.over(Image.fromarray(pair.image), pair.mask).image


def show_pair(pair: Pair, module: nn.Module) -> list[np.ndarray]:
    """Pictures of a pair: hole, canvas, rough placement, learned placement, truth; uint8 (H, W, 3) each."""
    inputs = torch.from_numpy(_case(pair)["inputs"])[None].to(next(module.parameters()).device)
    with torch.no_grad():
        displacement, odds = module(inputs)
    hole = np.where((pair.mask > 127)[..., None], np.uint8(128), pair.image)
    rough = placed(pair, np.zeros((2, GRID[1], GRID[0]), np.float32), np.full(GRID[::-1], 30, np.float32))
    fine = placed(pair, displacement[0].cpu().numpy(), odds[0, 0].cpu().numpy())
    return [hole, pair.canvas[..., :3], np.asarray(rough), np.asarray(fine), pair.image]
