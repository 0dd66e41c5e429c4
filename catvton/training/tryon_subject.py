"""The try-on recipes as `train sweep` sweeps them: every run begins with the same weights, on pairs encoded once."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from catvton.training.latent_cache import Latents
from catvton.training.tryon_command import TryOnRun, encoded, open_run

if TYPE_CHECKING:
    from catvton.datasets import Source
    from catvton.training.recipes import TryOnRecipe
    from catvton.training.schedule import Recipe
    from catvton.training.stage import Stage
    from catvton.training.sweep import Options

OPTIONS = ("learning_rate", "dropout", "dream", "loss_region")
_OF_THE_LOSS = {"dream": "dream", "loss_region": "region"}


@dataclass
class TryOnSubject:
    """A recipe whose learning rate, dropout and loss differ from run to run (`catvton.training.sweep.Subject`).

    Args:
        job: the run without what is swept.
    """

    job: TryOnRun
    options = OPTIONS

    @property
    def name(self) -> str:
        return self.job.recipe.name

    @cached_property
    def facts(self) -> dict[str, Any]:
        args, recipe = self.job.args, self.job.recipe
        told = ("data", "resolution", "batch", "accumulate", "held_out", "seed", "bf16")
        chosen = ("base", "scope", "uncond", "garment_noise", "ema")
        return {name: getattr(args, name) for name in told} | {name: getattr(recipe, name) for name in chosen}

    def stage(self, options: Options) -> Stage:
        """The stage with the base's own weights, read anew."""
        run = replace(self.job, recipe=self._recipe(options))
        if self.job.args.dry_run:
            return run.stage(pipe := run.pipe(), Latents.blank(pipe), held_out=0.0)
        return run.stage(run.pipe(), self._latents)

    def recipe(self, options: Options) -> Recipe:
        """The loop's numbers."""
        return replace(replace(self.job, recipe=self._recipe(options)).schedule(), keep=1)

    @cached_property
    def _latents(self) -> Latents:
        return encoded(self.job, self.job.pipe(), self._source(), lambda text: None)

    def _source(self) -> Source:
        if self.job.recipe.use_mask:
            return self.job.source
        from catvton.training.commands.maskfree import redressed

        return redressed(self.job)

    def _recipe(self, options: Options) -> TryOnRecipe:
        loss = {field: options[name] for name, field in _OF_THE_LOSS.items() if name in options}
        own = {name: value for name, value in options.items() if name not in _OF_THE_LOSS}
        recipe = self.job.recipe
        return replace(recipe, loss=replace(recipe.loss, **loss), **own)


def open_tryon_subject(args: argparse.Namespace) -> TryOnSubject:
    """What the arguments of `train sweep catvton`, `deco` or `maskfree` name.

    In them lists stand in the place of the options that are swept.
    """
    own = argparse.Namespace(**{**vars(args), **dict.fromkeys(OPTIONS)})
    return TryOnSubject(open_run(own, preset=args.recipe))
