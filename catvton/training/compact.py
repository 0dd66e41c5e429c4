"""The recipe of the built-in model, stage by stage, from raw photos to the folder that ships.

Order matters: the parser stands alone; the autoencoder is fitted before the try-on network, which also needs the
placement network. Each stage keeps its own folder under the run's, so that any of them can be taken up again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catvton.ccp import CCP, Clothing
from catvton.errors import WeightsError
from catvton.training.budget import Budget, describe
from catvton.training.loop import Trainer
from catvton.training.pairs import FRAME
from catvton.training.parser_stage import FIGURE_SIZE, FigureCache
from catvton.training.photos import Labelled, load_guessed, load_labelled, look_at
from catvton.training.processes import join
from catvton.training.schedule import Recipe
from catvton.training.stage import Stage
from catvton.vae import PatchAutoencoder
from model import AutoMasker
from model.compact_parser import CompactParser

logger = logging.getLogger(__name__)

STAGES = ("parser", "vae", "placement", "sleeves", "unet")
MINUTES = {"parser": 110.0, "placement": 40.0, "sleeves": 3.0, "unet": 80.0}  # what the first weights took, on one core
FIGURES = 1200  # rendered people mixed into the parser's photos
DRAWN_GARMENTS = 240  # rendered garments among those that show how long sleeves are
GUESS_BYTES = 5_000  # of a photo's guessed labels on disk, on average
DRESSED_FIGURES = 300  # of them, how many are also undressed and dressed again


@dataclass
class CompactRun:
    """One training of `compact` under `folder`.

    Args:
        data: folder with `ccp/` in it, and for the stage of sleeves `clothing/`.
        folder: where stages keep checkpoints, curves, samples and models.
        device: torch device.
        figures: how many rendered people the parser also sees.
        start: a saved model (as `assemble` writes it) whose weights the stages begin with, and whose parts stand in for
            stages not run here; None begins with random ones.
        changes: fields of every stage's `Recipe` that differ from its own.
    """

    data: Path
    folder: Path
    device: torch.device
    figures: int = FIGURES
    seed: int = 0
    start: Path | None = None
    changes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def photos(self) -> list[Labelled]:
        """The training split at working size; read once, half a minute."""
        return self._read("train")

    @cached_property
    def validation(self) -> list[Labelled]:
        return self._read("validation")

    @cached_property
    def dressed(self) -> list[Labelled]:
        """What pairs are made from: the labelled photos, those the parser labels, and some rendered people."""
        rendered = self._rendered.labelled(DRESSED_FIGURES) if self.figures else []
        return [*self.photos, *self._guessed(self._model("parser"), self.folder / "guessed"), *rendered]

    @cached_property
    def recalled(self) -> list[Labelled]:
        """What the parser stage learns from beside labels: what the parser it starts from sees in unlabelled photos."""
        return self._guessed(self.start / "parser", self.folder / "parser" / "guessed") if self.start else []

    def _guessed(self, parser: Path, cache: Path) -> list[Labelled]:
        """The unlabelled photos with a parser's labels: a quarter of an hour at first, then half a minute."""
        masker = AutoMasker(CompactParser.from_pretrained(parser).probabilities, remember=0)
        ccp = CCP(self.data)
        return load_guessed(ccp, ccp.numbers("unlabelled"), masker.parse, cache)

    @cached_property
    def _rendered(self) -> FigureCache:
        return FigureCache.made(self.folder / "figures.npz", count=self.figures)

    def _read(self, split: str) -> list[Labelled]:
        ccp = CCP(self.data)
        return load_labelled(ccp, ccp.numbers(split))

    def trainer(self, name: str, *, minutes: float | None = None, steps: int | None = None) -> Trainer:
        """The trainer of a stage that trains: all but `vae`, which is solved in closed form (`fit_vae`)."""
        recipe = self.recipe(name, minutes=minutes, steps=steps)
        with join(self.device).main_first():
            stage = self.stage(name)
        return Trainer(stage, recipe, self.folder / name, device=self.device)

    def budget(self, name: str, *, minutes: float | None = None, steps: int | None = None) -> Budget:
        """What a stage would take, measured with the labelled photos alone: nothing is rendered or labelled for it."""
        job = replace(self, figures=0)
        job.dressed, job.recalled = job.photos, []
        recipe = self.recipe(name, minutes=minutes, steps=steps)
        return describe(job.stage(name), recipe, device=self.device, caches=self._caches(name))

    def _caches(self, name: str) -> dict[str, int]:
        """Bytes of what a stage finds in the run's folder, or puts there."""
        width, height = FIGURE_SIZE
        guesses = name != "parser" or self.start is not None
        unlabelled = CCP(self.data).numbers("unlabelled") if guesses else []
        return {"rendered": self.figures * width * height * 4, "guessed": len(unlabelled) * GUESS_BYTES}

    def recipe(self, name: str, *, minutes: float | None = None, steps: int | None = None) -> Recipe:
        """A stage's numbers; without a length the minutes the shipped weights took."""
        if steps is None and minutes is None:
            minutes = MINUTES[name]
        return Recipe(minutes=minutes, steps=steps, seed=self.seed, **(_RATES[name] | self.changes))

    def stage(self, name: str, **options: Any) -> Stage:
        """A stage that trains; options are those of its class."""
        stage = self._stage(name, **options)
        if self.start is not None:
            stage.load(self.start / name)
        return stage

    def fit_vae(self) -> dict[str, float]:
        """Fit and save the autoencoder; returns its figures on the training windows."""
        vae = PatchAutoencoder()
        windows = np.stack([look_at(p.box, size=FRAME, zoom=0.95).image(p.image) for p in self.photos[::2]])
        figures = vae.fit(torch.from_numpy(windows).permute(0, 3, 1, 2).float() / 127.5 - 1)
        with join(self.device).main_first():
            vae.save_pretrained(self.folder / "vae")
        return figures

    def assemble(self) -> Path:
        """Put the trained stages together as the folder the engine loads; returns it."""
        import shutil

        target = self.folder / "model"
        shutil.copytree(self._model("unet"), target, dirs_exist_ok=True)
        for part in ("parser", "sleeves"):
            shutil.copytree(self._model(part), target / part, dirs_exist_ok=True)
        return target

    def _stage(self, name: str, **options: Any) -> Stage:
        options["seed"] = self.seed
        if name == "sleeves":
            from catvton.training.sleeve_stage import SleeveStage, load_garments, rendered_garments

            garments, validation = load_garments(Clothing(self.data), self.folder / "garments.npz")
            drawn = rendered_garments(min(self.figures, DRAWN_GARMENTS))
            return SleeveStage([*garments, *drawn], validation=validation, **options)
        options["validation"] = self.validation
        if name == "parser":
            from catvton.training.parser_stage import ParserStage

            rendered = self._rendered if self.figures else None
            return ParserStage(self.photos, guessed=self.recalled, rendered=rendered, **options)
        if name == "placement":
            from catvton.training.placement_stage import PlacementStage

            return PlacementStage(self.dressed, **options)
        from catvton.training.unet_stage import UNetStage
        from catvton.warp_net import WarpNet

        vae = PatchAutoencoder.from_pretrained(self._need("vae", self.folder / "vae"), dtype=torch.float32)
        warp = WarpNet.from_pretrained(self._model("placement"), dtype=torch.float32)
        return UNetStage(self.dressed, vae=vae.to(self.device), warp=warp.to(self.device), **options)

    def _model(self, name: str) -> Path:
        return self._need(name, self.folder / name / "model")

    def _need(self, name: str, path: Path) -> Path:
        if not path.is_dir() and self.start is not None:
            path = self.start / name
        if not path.is_dir():
            raise WeightsError(f"{path} is missing: run the stage first, with --stage {name}.")
        return path


_RATES: dict[str, dict[str, float]] = {
    "parser": {"learning_rate": 1.5e-3, "ema": 0.998},
    "placement": {"learning_rate": 1.5e-3, "ema": 0.995},
    "sleeves": {"learning_rate": 2e-3, "ema": 0.99},
    "unet": {"learning_rate": 6e-4, "ema": 0.997},
}
