"""The published recipes of the CatVTON network, as data: what is trained, on which loss, and how fast.

`catvton`: Chong et al., arXiv 2407.15886, with what its author told in the repository's threads 14, 17, 95, 113, 117.
`deco`: DeCo-VTON / Re-CatVTON, arXiv 2511.18775: the same network trained whole.
`maskfree`: CatVTON's mask-free model, on InstructPix2Pix and on pairs that a mask-based engine redressed.
What none of them states (weight decay, AdamW's betas, averaged weights) is PyTorch's default, or off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from catvton.errors import InputError
from catvton.layout import ConcatAxis, GarmentNoise, Layout, Uncond
from catvton.training.schedule import Recipe

Scope = Literal["attn1", "full"]
Region = Literal["all", "person"]

RESOLUTIONS = (512, 1024)  # heights the published runs were made at, in this order
GLOBAL_BATCH = 128  # pairs a step, in every published run


def _one_of(what: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        code = f"recipe.{what.replace(' ', '_')}"
        raise InputError(f'There is no {what} "{value}": choose one of {", ".join(accepted)}.', code=code)


def _from(what: str, value: float, least: float, most: float = math.inf) -> None:
    if not least <= value <= most:
        bound = f"from {least:g} up" if most == math.inf else f"from {least:g} to {most:g}"
        raise InputError(f"{what} must be {bound}, not {value:g}.", code=f"recipe.{what}")


@dataclass(frozen=True, kw_only=True)
class LossRules:
    """What the loss is; see `catvton.training.tryon_loss`.

    Attributes:
        region: both halves ("all"), or the person's alone ("person").
        dream: power p of DREAM's weight sqrt(1 - abar)^p; 0 leaves DREAM out.
        min_snr: gamma of the min-SNR weights (5 in their paper, arXiv 2303.09556); None weighs all steps alike.
    """

    region: Region = "all"
    dream: float = 0.0
    min_snr: float | None = None

    def __post_init__(self) -> None:
        _one_of("loss region", self.region, get_args(Region))
        _from("dream", self.dream, 0)
        if self.min_snr is not None and not self.min_snr > 0:
            raise InputError(f"min-SNR's gamma must be above 0, not {self.min_snr:g}.", code="recipe.min_snr")


@dataclass(frozen=True, kw_only=True)
class TryOnRecipe:
    """How a try-on network is trained.

    Attributes:
        name: of the preset.
        base: what it starts from: a source or an engine of the registry, or a saved pipeline's folder.
        scope: the self-attentions ("attn1", 49,574,080 parameters of Stable Diffusion 1.5's network), or everything.
        loss: the loss's rules.
        dropout: share of samples that train the unconditional row: what the garment loses there is `uncond`'s.
        concat_axis, use_mask, uncond, garment_noise: the pipeline's layout; "renoise", which replaces the noisy garment
            by the clean one noised anew, changes inference alone.
        steps: of a published run, by height.
        learning_rate: constant.
        clip: gradient norm beyond which gradients are scaled down; None where no clipping is published.
        ema: decay of averaged weights; None saves the last ones, as published.
    """

    name: str
    base: str
    scope: Scope = "attn1"
    loss: LossRules = LossRules()
    dropout: float = 0.1
    concat_axis: ConcatAxis = "height"
    use_mask: bool = True
    uncond: Uncond = "zero_condition"
    garment_noise: GarmentNoise = "noisy"
    steps: tuple[tuple[int, int], ...] = ((512, 16_000), (1024, 48_000))
    learning_rate: float = 1e-5
    clip: float | None = None
    ema: float | None = None

    def __post_init__(self) -> None:
        _one_of("scope", self.scope, get_args(Scope))
        _one_of("uncond", self.uncond, get_args(Uncond))
        _one_of("garment noise", self.garment_noise, get_args(GarmentNoise))
        _from("dropout", self.dropout, 0, 1)
        if not 0 < self.learning_rate <= 1:
            raise InputError(
                f"The learning rate must be above 0 and at most 1, not {self.learning_rate:g}.",
                code="recipe.learning_rate",
            )

    @property
    def layout(self) -> Layout:
        """The shape of the network's input, in training and in the saved pipeline."""
        return Layout(self.concat_axis, self.use_mask, self.uncond, self.garment_noise)

    def steps_at(self, height: int) -> int:
        """Optimiser steps of a published run at this height, or at the nearest published one."""
        return min(self.steps, key=lambda row: abs(row[0] - height))[1]

    def schedule(self, *, steps: int, **changes: Any) -> Recipe:
        """The loop's numbers: AdamW at a constant rate, float32 master weights.

        Args:
            changes: further fields of `Recipe`.
        """
        return Recipe(
            steps=steps,
            learning_rate=self.learning_rate,
            weight_decay=0.01,
            betas=(0.9, 0.999),
            warmup_steps=1,
            decay=0.0,
            ema=self.ema,
            clip=math.inf if self.clip is None else self.clip,
            checkpoint_minutes=15.0,  # 10 GB each of a whole network
            sample_minutes=30.0,
            **changes,
        )


PRESETS = {
    recipe.name: recipe
    for recipe in (
        TryOnRecipe(name="catvton", base="sd15-inpainting", loss=LossRules(dream=10.0)),
        TryOnRecipe(
            name="deco",
            base="sd15-inpainting",
            scope="full",
            loss=LossRules(region="person", dream=10.0),
            uncond="zero_garment",
            garment_noise="renoise",
            steps=((512, 16_000), (1024, 16_000)),
            clip=1.0,
        ),
        TryOnRecipe(
            name="maskfree",
            base="instruct-pix2pix",
            loss=LossRules(dream=10.0),
            concat_axis="width",
            use_mask=False,
        ),
    )
}
