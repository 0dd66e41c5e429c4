"""What the commands `train catvton`, `deco` and `maskfree` share: the run their options describe."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from catvton.training.tryon_options import check_options, recipe_of

if TYPE_CHECKING:
    from PIL import Image

    from catvton.cards import ModelCard
    from catvton.datasets import Source
    from catvton.masking import Masker
    from catvton.pipeline import CatVTONPipeline
    from catvton.settings import Settings
    from catvton.training.budget import Budget
    from catvton.training.latent_cache import LatentCache, Latents
    from catvton.training.loop import Trainer
    from catvton.training.processes import Processes
    from catvton.training.recipes import TryOnRecipe
    from catvton.training.schedule import Recipe
    from catvton.training.tryon_stage import TryOnStage
    from model import Mask

Say = Callable[[str], None]


@dataclass
class TryOnRun:
    """A run of a recipe.

    Args:
        args: the command's options.
        recipe: the preset with the options laid over it.
        settings: say where models are.
        processes: this one among those that train together.
    """

    args: argparse.Namespace
    recipe: TryOnRecipe
    settings: Settings
    processes: Processes

    @property
    def size(self) -> tuple[int, int]:
        """(W, H)"""
        return self.args.resolution * 3 // 4, self.args.resolution

    @cached_property
    def source(self) -> Source:
        """The pairs on disk."""
        from catvton.datasets import open_source

        return open_source(self.args.data)

    @cached_property
    def masker_card(self) -> ModelCard:
        """The engine whose masker makes missing masks."""
        from catvton.evaluation.benchmark_engine import find_engine

        if self.args.masker is not None:
            return find_engine(self.args.masker, self.settings)
        published = find_engine("catvton", self.settings)
        return find_engine("compact", self.settings) if published.missing_files() else published

    @cached_property
    def _masker(self) -> Masker:
        from catvton.masking import Maskers

        return Maskers(device=str(self.processes.device))(self.masker_card)

    def draw_mask(self, photo: Image.Image, part: str) -> Mask:
        """The mask of a photo that has none; the masker is loaded when the first is asked for. Raises MaskError."""
        return self._masker(photo, part)

    def watch(self, what: str) -> Any:
        """A bar for what goes through a source, in the first process only: `catvton.training.latent_cache.Watch`."""
        from tqdm import tqdm

        return lambda steps, count: tqdm(steps, total=count, desc=what, unit="pair", disable=not self.processes.main)

    def pipe(self) -> CatVTONPipeline:
        """What the run begins with, on its device."""
        from catvton.training.start_weights import open_base

        return open_base(self.recipe, self.settings, size=self.size).to(self.processes.device)

    def cache(self, pipe: CatVTONPipeline, source: Source) -> LatentCache:
        """The cache of a source, which may not have been built yet."""
        from catvton.evaluation.benchmark_masks import masker_name
        from catvton.training.latent_cache import LatentCache

        missing = pipe.layout.use_mask and source.masks_missing()
        return LatentCache(
            folder=self.args.cache or self.args.out / "cache",
            source=source,
            pipe=pipe,
            dtype=self.args.cache_dtype,
            masker=self.draw_mask if missing else None,
            masker_name=masker_name(self.masker_card) if missing else "",
        )

    def stage(self, pipe: CatVTONPipeline, latents: Latents, *, held_out: float | None = None) -> TryOnStage:
        """The stage on encoded pairs."""
        from catvton.training.tryon_stage import TryOnStage

        share = self.args.held_out if held_out is None else held_out
        return TryOnStage(pipe, latents, self.recipe, batch_size=self.args.batch, held_out=share)

    def schedule(self) -> Recipe:
        """The loop's numbers."""
        from catvton.training.recipes import GLOBAL_BATCH

        args = self.args
        accumulate = args.accumulate or max(1, round(GLOBAL_BATCH / (args.batch * self.processes.count)))
        return self.recipe.schedule(
            steps=args.steps or self.recipe.steps_at(args.resolution),
            accumulate=accumulate,
            bf16=args.bf16,
            gradient_checkpointing=args.checkpointing,
            seed=args.seed,
        )

    def trainer(self, pipe: CatVTONPipeline, latents: Latents) -> Trainer:
        """The run, taken up where it was if `--resume` says so."""
        from catvton.training.loop import Trainer

        trainer = Trainer(self.stage(pipe, latents), self.schedule(), self.args.out, device=self.processes.device)
        if self.args.resume:
            trainer.resume()
        return trainer

    def budget(self) -> Budget:
        """What the run would take. Nothing is encoded or made for it: a step is measured on zeros."""
        from catvton.training.budget import describe
        from catvton.training.latent_cache import Latents

        pipe = self.pipe()
        stage = self.stage(pipe, Latents.blank(pipe), held_out=0.0)
        caches = {"latents": self.cache(pipe, self.source).planned_bytes()}
        return describe(stage, self.schedule(), device=self.processes.device, caches=caches)


def open_run(args: argparse.Namespace, *, preset: str) -> TryOnRun:
    """The run the options describe.

    Raises:
        InputError: an option is not possible.
    """
    from catvton.devices import choose
    from catvton.settings import Settings
    from catvton.training.processes import join

    check_options(args)
    processes = join(choose(args.device, "float32")[0])
    return TryOnRun(args, recipe_of(args, preset=preset), Settings(), processes)


def run(args: argparse.Namespace, *, preset: str, say: Say) -> int:
    """Train; ctrl-C finishes the step, writes the checkpoint and the model as far as it is."""
    job = open_run(args, preset=preset)
    if args.dry_run:
        return foretell(job, say)
    return train(job, lambda: job.source, say)


def foretell(job: TryOnRun, say: Say) -> int:
    """Say what the run would take."""
    budget = job.budget()
    if job.processes.main:
        say(json.dumps(budget.json()) if job.args.json else budget.table())
    return 0


def train(job: TryOnRun, source_of: Callable[[], Source], say: Say) -> int:
    """Encode the pairs of a source and train on them. What the run begins with is opened first: it may be missing."""
    from catvton.training.bar import run_with_bar

    pipe = job.pipe()
    say = say if job.processes.main else (lambda text: None)
    latents = encoded(job, pipe, source_of(), say)
    if job.args.prepare:
        return 0
    trainer = job.trainer(pipe, latents)
    state = run_with_bar(trainer)
    say(f"{trainer.stage.name}: {state.step} steps, {state.seconds / 3600:.1f} hours, in {trainer.folder}")
    end = f"The model is in {trainer.folder / 'model'}"
    say(end if trainer.done else "Stopped. To go on: the same command with --resume.")
    return 0


def encoded(job: TryOnRun, pipe: CatVTONPipeline, source: Source, say: Say) -> Latents:
    """The pairs of a source, encoded by the first process; what is there already is only opened."""
    from catvton.hub.verify import human

    cache = job.cache(pipe, source)
    say(f"{len(source)} pairs, {human(cache.planned_bytes())} of latents in {cache.folder}")
    with job.processes.main_first():
        latents = cache.build(job.watch("encoding"))
    say(f"{human(cache.bytes())} on the disk")
    return latents
