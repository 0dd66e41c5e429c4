"""Training the built-in try-on network: from a roughly placed garment to the photo as it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from PIL import Image
from torch import nn

from catvton.compact_unet import CompactUNet
from catvton.placement import Placement, place
from catvton.training.pairs import FRAME, Pair, PairMaker
from catvton.training.photos import Labelled
from catvton.training.sheet import sheet
from catvton.training.stage import mean_loss
from catvton.training.students import half_copy
from catvton.vae import PatchAutoencoder
from catvton.warp_net import WarpNet
from catvton.weights import load_strictly

KEPT = 2000  # prepared pairs held in memory, about 1.2 MB each
COVERED = 0.75  # how much less an error counts where the placed garment covers it


Case = dict[str, np.ndarray]
"""A prepared pair, uint8 (C, H, W) each: `image`, `placed`, `cover`, `garment`, `mask`."""


def compact_scheduler() -> DDIMScheduler:
    """Zero terminal signal and trailing steps: a run starts from what training calls the noisiest step."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="sample",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )


class UNetStage:
    """Distance between decoded prediction and photo under the mask, plus that of their edges.

    Args:
        vae: fitted autoencoder, frozen.
        warp: trained placement network, frozen.
        repeats: how often a prepared pair is used, each time with other noise; preparing costs as much as a step.
        dropout: share of samples whose garment half is zero, so that guidance has something to guide away from.
        first_step: share of samples at the noisiest step, the one few-step sampling leans on.
    """

    name = "unet"

    def __init__(
        self,
        photos: Sequence[Labelled],
        *,
        vae: PatchAutoencoder,
        warp: WarpNet,
        validation: Sequence[Labelled] = (),
        batch_size: int = 8,
        repeats: int = 3,
        dropout: float = 0.1,
        first_step: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.pairs = PairMaker(photos)
        self.vae, self.warp = vae.eval(), warp.eval()
        self.batch_size, self.repeats, self.dropout, self.first_step = batch_size, repeats, dropout, first_step
        self.scheduler = compact_scheduler()
        self._prepared: OrderedDict[int, Case | None] = OrderedDict()  # by seed; None: not prepared since a resume
        self.shown = [
            PairMaker([p]).draw(np.random.default_rng(i)) for i, p in enumerate(validation[:40]) if PairMaker([p]).cases
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module: nn.Module = CompactUNet().to(memory_format=torch.channels_last)

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """`image`, `placed`, `garment` uint8 (B, 3, H, W); `mask`, `cover` (B, 1, H, W); `noise`, `step`, `read`."""
        fresh = [int(rng.integers(1 << 40)) for _ in range(max(1, self.batch_size // self.repeats))]
        for seed in fresh:
            self._prepared[seed] = None
        while len(self._prepared) > KEPT:
            self._prepared.popitem(last=False)
        kept = list(self._prepared)
        again = [kept[rng.integers(len(kept))] for _ in range(self.batch_size - len(fresh))]
        return self._collate([self._case(seed) for seed in (*fresh, *again)], rng, dropout=self.dropout)

    def _collate(self, cases: Sequence[Case], rng: np.random.Generator, *, dropout: float) -> dict[str, torch.Tensor]:
        batch = {k: torch.from_numpy(np.stack([c[k] for c in cases])) for k in cases[0]}
        sides = (n // self.vae.config.spatial_factor for n in FRAME[::-1])
        shape = (len(cases), self.vae.config.latent_channels, *sides)
        batch["noise"] = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        last = self.scheduler.config.num_train_timesteps - 1
        steps = np.where(rng.random(len(cases)) < self.first_step, last, rng.integers(0, last + 1, len(cases)))
        read = (rng.random(len(cases)) >= dropout).astype(np.float32)
        return batch | {"step": torch.from_numpy(steps), "read": torch.from_numpy(read)}

    def state(self) -> dict[str, list[int]]:
        """Which pairs are at hand for repeats, the oldest first."""
        return {"prepared": list(self._prepared)}

    def restore(self, state: dict[str, list[int]]) -> None:
        """They are prepared again when they are drawn."""
        self._prepared = OrderedDict.fromkeys(state["prepared"])

    def identity(self) -> dict[str, Any]:
        return {"batch": self.batch_size, "photos": len(self.pairs.photos), "dropout": self.dropout}

    def held_out(self, module: nn.Module) -> float:
        """The loss on the pairs of the sample grid and a few more, none of them trained on; no garment is left out."""
        cases, rng, size = [self._prepare(pair) for pair in self.shown], np.random.default_rng(0), self.batch_size
        parts = (cases[i : i + size] for i in range(0, len(cases), size))
        return mean_loss(self, module, (self._collate(part, rng, dropout=0.0) for part in parts))

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean absolute error of pixels and of their differences in the mask, in units of the full range.

        Where the placed garment lies it counts less: there the finished picture takes its texture (`merge_detail`).
        """
        image, placed, garment = (batch[k].float() / 127.5 - 1 for k in ("image", "placed", "garment"))
        hole = (batch["mask"] > 127).float()
        weight = hole * (1 - COVERED * batch["cover"].float() / 255)
        with torch.no_grad():
            target, condition, worn = (self.encode(x) for x in (image, placed, garment))
        worn = worn * batch["read"][:, None, None, None]
        predicted = module(self._rows(batch, target, condition, worn, hole), batch["step"])[0].chunk(2, dim=2)[0]
        picture = self.vae.decode(predicted).sample
        pixels = ((picture - image).abs() * weight).sum() / weight.sum().clamp_min(1) / 3
        edges = _edge_distance(picture, image, weight)
        with torch.no_grad():
            start = ((placed - image).abs() * weight).sum() / weight.sum().clamp_min(1) / 3
        figures = {"pixels": float(pixels.detach()), "placed": float(start), "edges": float(edges.detach())}
        return pixels + 0.5 * edges, figures

    def samples(self, module: nn.Module) -> Image.Image:
        """Rows of: hole, garment picture, placement, four-step result, truth."""
        return sheet([self._show(module, pair) for pair in self.shown[:24]], shrink=2)

    def load(self, folder: Path) -> None:
        saved = load_strictly(CompactUNet, folder, dtype=torch.float32)
        self.module.load_state_dict(saved.state_dict())

    def save(self, module: nn.Module, folder: Path) -> None:
        """An ordinary saved `CatVTONPipeline` in fp16, the placement network beside it."""
        from catvton.pipeline import CatVTONPipeline

        parts = [half_copy(part) for part in (self.vae, module)]
        pipe = CatVTONPipeline(
            *parts, self.scheduler, garment_noise="clean", uncond="zero_garment", height=FRAME[1], width=FRAME[0]
        )
        pipe.save_pretrained(folder)
        half_copy(self.warp).save_pretrained(folder / "placement")

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> scaled latents."""
        return self.vae.encode(pictures).latent_dist.mode() * self.vae.config.scaling_factor

    def _rows(
        self,
        batch: dict[str, torch.Tensor],
        target: torch.Tensor,
        condition: torch.Tensor,
        worn: torch.Tensor,
        hole: torch.Tensor,
    ) -> torch.Tensor:
        """The UNet's input as `catvton.layout` lays it out: height axis, mask, clean garment."""
        noisy = self.scheduler.add_noise(target, batch["noise"], batch["step"])
        mask = F.interpolate(hole, size=target.shape[-2:], mode="nearest")
        person = torch.cat((noisy, mask, condition), 1)
        garment = torch.cat((worn, torch.zeros_like(mask), worn), 1)
        return torch.cat((person, garment), 2)

    def _case(self, seed: int) -> Case:
        case = self._prepared[seed]
        if case is None:
            case = self._prepared[seed] = self._prepare(self.pairs.draw(np.random.default_rng(seed)))
        return case

    def _prepare(self, pair: Pair) -> Case:
        placement = self._placement(pair)
        _, cover = placement.render(FRAME)
        return {
            "image": pair.image.transpose(2, 0, 1),
            "placed": np.asarray(placement.image).transpose(2, 0, 1),
            "cover": np.rint(cover * 255).astype(np.uint8)[None],
            "garment": pair.canvas[..., :3].transpose(2, 0, 1),
            "mask": pair.mask[None],
        }

    def _placement(self, pair: Pair) -> Placement:
        cutout = Image.fromarray(pair.canvas)
        return place(cutout, Image.fromarray(pair.image), pair.mask, network=self.warp, detail=1.0)

    @torch.no_grad()
    def _show(self, module: nn.Module, pair: Pair) -> list[np.ndarray]:
        placed = np.asarray(self._placement(pair).image)
        result = denoise(self, module, placed, pair.canvas[..., :3], pair.mask, steps=4)
        hole = np.where((pair.mask > 127)[..., None], np.uint8(128), pair.image)
        result = np.where((pair.mask > 127)[..., None], result, pair.image)
        return [hole, pair.canvas[..., :3], placed, result, pair.image]


@torch.no_grad()
def denoise(
    stage: UNetStage, module: nn.Module, placed: np.ndarray, canvas: np.ndarray, mask: np.ndarray, *, steps: int
) -> np.ndarray:
    """The pipeline's result for uint8 pictures at frame size, without building a pipeline."""
    from catvton.pipeline import CatVTONPipeline

    pipe = CatVTONPipeline(
        stage.vae,
        module,
        stage.scheduler,
        garment_noise="clean",
        uncond="zero_garment",
        height=FRAME[1],
        width=FRAME[0],
    )
    pipe.set_progress_bar_config(disable=True)
    picture = Image.fromarray(placed)
    output = pipe(
        picture,
        Image.fromarray(canvas),
        Image.fromarray(mask),
        masked_image=picture,
        num_inference_steps=steps,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(0),
    )
    return np.asarray(output.images[0])


def _edge_distance(picture: torch.Tensor, image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean absolute error of first differences, along both axes."""
    across = ((picture - image).diff(dim=-1).abs() * weight[..., 1:]).sum()
    down = ((picture - image).diff(dim=-2).abs() * weight[..., 1:, :]).sum()
    return (across + down) / weight.sum().clamp_min(1) / 6
