"""Training the network that tells how long sleeves are, on cut-outs of the clothing set."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from catvton.ccp import Clothing
from catvton.placement import garment_canvas, warp_affine
from catvton.sleeve_net import KINDS, SleeveNet, network_input
from catvton.training.photos import jitter_colours
from catvton.training.sheet import sheet
from catvton.training.stage import mean_loss
from catvton.training.students import half_copy
from catvton.weights import load_strictly

CANVAS = (96, 128)  # width, height at which canvases are held and changed
NAMES = tuple(kind.name for kind in KINDS)
LABELS = Path(__file__).with_name("data") / "sleeves.json"  # by class, by picture where it varies
# What is drawn, and which kind it is.
RENDERED = {"tshirt": "short", "shirt": "long", "dress": "short", "jumper": "long", "skirt": "no top", "coat": "long"}
HELD_OUT = 5  # one garment in so many, chosen by its id, is for validation
SMOOTHING = 0.05
SHOWN = 12  # garments in a row of samples


@dataclass(frozen=True)
class Garment:
    """A cut-out on its canvas, uint8 (128, 96, 4), and its place in `KINDS`."""

    canvas: np.ndarray
    kind: int


class SleeveStage:
    """Cross-entropy over the kinds, each drawn equally often."""

    name = "sleeves"

    def __init__(
        self, garments: Sequence[Garment], *, validation: Sequence[Garment] = (), batch_size: int = 64, seed: int = 0
    ) -> None:
        kinds = [[g for g in garments if g.kind == kind] for kind in range(len(KINDS))]
        self._by_kind = [each for each in kinds if each]
        self._count, self.validation, self.batch_size = len(garments), validation, batch_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module: nn.Module = SleeveNet()

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """`inputs` float32 (B, 4, 64, 48), `kinds` int64 (B,)."""
        rows = (self._by_kind[rng.integers(len(self._by_kind))] for _ in range(self.batch_size))
        chosen = [each[rng.integers(len(each))] for each in rows]
        return _collate([Garment(_changed(rng, g.canvas), g.kind) for g in chosen])

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Cross-entropy with smoothed labels, and the share that was right."""
        logits = module(batch["inputs"])
        right = (logits.argmax(-1) == batch["kinds"]).float().mean()
        return F.cross_entropy(logits, batch["kinds"], label_smoothing=SMOOTHING), {"right": float(right)}

    def held_out(self, module: nn.Module) -> float:
        """The loss on the validation garments as they are."""
        return mean_loss(self, module, [_collate(self.validation)] if self.validation else [])

    def accuracy(self, module: nn.Module) -> float:
        """Share of the validation garments told right."""
        return float((self._told(module, self.validation) == [g.kind for g in self.validation]).mean())

    def identity(self) -> dict[str, int]:
        return {"batch": self.batch_size, "garments": self._count}

    def samples(self, module: nn.Module) -> Image.Image:
        """A row for each kind that is told: validation garments for which it is wrong, then others."""
        shown = self.validation or [g for each in self._by_kind for g in each[:SHOWN]]
        told = self._told(module, shown)
        order = sorted(range(len(told)), key=lambda i: told[i] == shown[i].kind)
        rows = [[shown[i].canvas[..., :3] for i in order if told[i] == kind] for kind in range(len(KINDS))]
        return sheet([(row + [np.zeros((*CANVAS[::-1], 3), np.uint8)] * SHOWN)[:SHOWN] for row in rows], columns=1)

    def save(self, module: nn.Module, folder: Path) -> None:
        """In half precision, as `SleeveNet.from_pretrained` reads it."""
        half_copy(module).save_pretrained(folder)

    def load(self, folder: Path) -> None:
        self.module.load_state_dict(load_strictly(SleeveNet, folder, dtype=torch.float32).state_dict())

    @torch.no_grad()
    def _told(self, module: nn.Module, garments: Sequence[Garment]) -> np.ndarray:
        inputs = _collate(garments)["inputs"].to(next(module.parameters()).device)
        return module(inputs).argmax(-1).cpu().numpy()


def load_garments(clothing: Clothing, cache: Path) -> tuple[list[Garment], list[Garment]]:
    """The labelled garments to train on, and to validate with; cut out once into `cache`, some minutes in all."""
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    by_picture = {id: NAMES.index(name) for name in NAMES for id in labels["pictures"].get(name, ())}
    by_class = {name: NAMES.index(kind) for name, kind in labels["classes"].items()}
    wanted = {garment.id: by_picture.get(garment.id, by_class.get(garment.kind)) for garment in clothing.garments}
    canvases = _canvases(clothing, [id for id, kind in wanted.items() if kind is not None], cache)
    parts: tuple[list[Garment], list[Garment]] = ([], [])
    for id, canvas in canvases.items():
        parts[zlib.crc32(id.encode()) % HELD_OUT == 0].append(Garment(canvas, wanted[id]))
    return parts


def rendered_garments(count: int, *, seed: int = 7) -> list[Garment]:
    """Drawn garments laid flat, as catalogues have them, with exact outlines; a tenth of a second each."""
    from catvton.training.figures_flat import render_garment

    kinds = list(RENDERED)
    made = []
    for number in range(count):
        kind, rng = kinds[number % len(kinds)], np.random.default_rng((seed, number))
        flat = render_garment(rng, kind=kind, size=(192, 256))
        cutout = Image.fromarray(np.dstack([flat.image, flat.alpha]))
        made.append(Garment(garment_canvas(cutout, CANVAS), NAMES.index(RENDERED[kind])))
    return made


def _canvases(clothing: Clothing, ids: Iterable[str], cache: Path) -> dict[str, np.ndarray]:
    from catvton.cutout import cut_out

    if not cache.exists():
        made = {id: garment_canvas(cut_out(clothing.image(id)), CANVAS) for id in ids}
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, ids=list(made), canvases=np.stack(list(made.values())))
    with np.load(cache) as stored:
        return dict(zip(stored["ids"].tolist(), stored["canvases"], strict=True))


def _collate(garments: Sequence[Garment]) -> dict[str, torch.Tensor]:
    return {
        "inputs": torch.from_numpy(np.stack([network_input(g.canvas) for g in garments])),
        "kinds": torch.tensor([g.kind for g in garments]),
    }


def _changed(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """A canvas mirrored, turned, stretched and recoloured, as other photos of such garments would be."""
    turn, slant, (wide, high) = np.radians(rng.normal(0, 8)), rng.normal(0, 0.08), rng.uniform(0.8, 1.15, 2)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = turned @ np.array([[wide if rng.random() < 0.5 else -wide, slant], [0, high]])
    middle = np.array(CANVAS) / 2
    shift = middle + rng.uniform(-0.04, 0.04, 2) * np.array(CANVAS) - linear @ middle
    moved = warp_affine(canvas, np.hstack([linear, shift[:, None]]), CANVAS, border=(0, 0, 0, 0))
    colours = jitter_colours(rng, moved[..., :3], strength=1.5)
    return np.dstack([colours[..., rng.permutation(3)], moved[..., 3]])
