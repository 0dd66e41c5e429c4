"""Training the published try-on network: a `Stage` whose batches are cached latents."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from catvton.errors import InputError
from catvton.official import self_attentions
from catvton.training.official_export import export_attention, export_unet, without_origin
from catvton.training.recipes import LossRules, Scope
from catvton.training.sheet import sheet
from catvton.training.stage import mean_loss
from catvton.training.tryon_loss import Samples, tryon_loss
from catvton.unet import TryOnUNet
from catvton.weights import load_strictly

if TYPE_CHECKING:
    from catvton.pipeline import CatVTONPipeline
    from catvton.training.latent_cache import Latents
    from catvton.training.recipes import TryOnRecipe

SHOWN = 4  # pairs on a sheet of samples
SAMPLE_STEPS, SAMPLE_GUIDANCE = 30, 2.5
JUDGED = 64  # held-out pairs whose loss compares runs
YARDSTICK = LossRules(region="person")  # runs with other rules are compared by the same loss
OFFICIAL = "official"  # the folder of other tools' files in a saved model


class TryOnStage:
    """The loss of `catvton.training.tryon_loss` on cached pairs.

    Args:
        pipe: what the run begins with, in float32 and in the recipe's layout (`start_weights.open_base`).
        latents: the pairs, encoded at the pipeline's size.
        held_out: share of the pairs that is never trained on.
    """

    def __init__(
        self, pipe: CatVTONPipeline, latents: Latents, recipe: TryOnRecipe, *, batch_size: int, held_out: float = 0.01
    ) -> None:
        self.name, self.pipe, self.recipe, self.rules = recipe.name, pipe, recipe, recipe.loss
        self._latents, self._batch_size = latents, batch_size
        places, self._held = latents.split(held_out)
        if not places:
            raise InputError("Every pair is held out: give a smaller --held-out.", code="data.empty")
        self._places = np.array(places)
        self.module: nn.Module = pipe.unet
        self.frozen = [pipe.vae]  # for the samples

    def trainable(self) -> list[nn.Parameter]:
        """The parameters of the recipe's scope."""
        return in_scope(self.module, self.recipe.scope)

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """The tensors of `Samples`, by their names."""
        places = rng.choice(self._places, size=self._batch_size)
        return self._draws(places, rng, dropout=self.recipe.dropout)

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """The recipe's loss, and each half's mean squared error."""
        return tryon_loss(module, self.pipe.scheduler, self.pipe.layout, self.rules, samples=Samples.of(batch))

    def held_out(self, module: nn.Module) -> float:
        """The error of the noise over the person's half, on held-out pairs with fixed noise, whatever the rules are."""
        judge, rng, size = copy.copy(self), np.random.default_rng(0), self._batch_size
        judge.rules = YARDSTICK
        held = self._held[:JUDGED]
        parts = (held[i : i + size] for i in range(0, len(held), size))
        return mean_loss(judge, module, (self._draws(part, rng, dropout=0.0) for part in parts))

    def samples(self, module: nn.Module) -> Image.Image:
        """Rows of: what is shown of the person, the garment, the result, the truth; held-out pairs if there are any."""
        return sheet([self._row(place) for place in (self._held or self._places.tolist())[:SHOWN]], columns=1)

    def save(self, module: nn.Module, folder: Path) -> None:
        """A saved pipeline, and in `official/` the files that other tools load."""
        self.pipe.save_pretrained(folder)
        without_origin(folder)
        export = export_unet if self.recipe.scope == "full" else export_attention
        export(module, folder / OFFICIAL)

    def identity(self) -> dict[str, Any]:
        """The recipe's choices that shape what is learned, and on how many pairs."""
        recipe, rules = self.recipe, self.recipe.loss
        chosen = {name: getattr(recipe, name) for name in ("scope", "dropout", "concat_axis", "use_mask", "uncond")}
        counts = {"batch": self._batch_size, "pairs": len(self._places)}
        return chosen | {f"loss {name}": value for name, value in vars(rules).items()} | counts

    def load(self, folder: Path) -> None:
        """Begin with a saved pipeline's network."""
        saved = load_strictly(TryOnUNet, folder, subfolder="unet", dtype=torch.float32)
        self.module.load_state_dict(saved.state_dict())

    @torch.no_grad()
    def redraw(self, places: list[int], *, steps: int = SAMPLE_STEPS, guidance: float = SAMPLE_GUIDANCE) -> np.ndarray:
        """What the network makes of some pairs, uint8 (N, H, W, 3), each from the same start noise."""
        return np.stack([self._picture(place, steps=steps, guidance=guidance) for place in places])

    def _draws(
        self, places: np.ndarray | list[int], rng: np.random.Generator, *, dropout: float
    ) -> dict[str, torch.Tensor]:
        rows = self._latents.rows(places)
        shape = self.pipe.layout.join(rows["person"], rows["garment"]).shape
        last = self.pipe.scheduler.config.num_train_timesteps
        return rows | {
            "noise": torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)),
            "timesteps": torch.from_numpy(rng.integers(0, last, len(places))),
            "kept": torch.from_numpy(rng.random(len(places)) >= dropout),
        }

    def _row(self, place: int) -> list[np.ndarray]:
        rows = self._latents.rows([place])
        decoded = (self.pipe.preview(rows[name])[0] for name in ("shown", "garment", "person"))
        shown, garment, truth = map(np.asarray, decoded)
        return [shown, garment, self._picture(place, steps=SAMPLE_STEPS, guidance=SAMPLE_GUIDANCE), truth]

    def _picture(self, place: int, *, steps: int, guidance: float) -> np.ndarray:
        rows, size = self._latents.rows([place]), (self.pipe.config.height, self.pipe.config.width)
        mask = F.interpolate(rows["mask"], size=size) if "mask" in rows else None
        output = self.pipe(
            image_latents=rows["shown"],
            condition_latents=rows["garment"],
            mask=mask,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator().manual_seed(0),
        )
        return np.asarray(output.images[0])


def in_scope(unet: nn.Module, scope: Scope) -> list[nn.Parameter]:
    """The parameters a scope trains: those of the self-attentions, or all."""
    parts = [unet] if scope == "full" else self_attentions(unet).values()
    return [parameter for part in parts for parameter in part.parameters()]
