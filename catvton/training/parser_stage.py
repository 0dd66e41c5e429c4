"""Training the built-in human parser on labelled photos and rendered figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from catvton.training.balance import balancing_bias
from catvton.training.photos import Labelled, jitter_colours, look_at, random_view, replace_background
from catvton.training.sheet import sheet
from catvton.training.stage import mean_loss
from model.compact_parser import CLASSES, WINDOW, CompactParser, normalise
from model.labels import Label

PALETTE = np.array(
    [
        [0, 0, 0],
        [120, 60, 20],
        [255, 200, 160],
        [220, 40, 40],
        [40, 80, 220],
        [180, 60, 200],
        [240, 200, 40],
        [40, 200, 90],
    ],
    np.uint8,
)
FIGURE_SIZE = (288, 384)  # rendered people are stored at this size
NEAR = 0.5  # share of close views: three of the parser's five looks are
CLASS_WEIGHTS = (0.6, 1.2, 1.0, 1.0, 1.0, 1.6, 1.5, 1.6)


class ParserStage:
    """Cross-entropy plus a soft Dice term (close to the mean IoU that is reported).

    Args:
        photos: labelled photos to train on.
        guessed: photos labelled by an earlier parser; they teach no more than it knew, but more evenly.
        guessed_share: share of them among the photos.
        rendered: draws one more training pair, image uint8 (H, W, 3) and labels (H, W) of a 3:4 figure, or None.
        rendered_share: share of such pairs in a batch.
        validation: photos shown in the sample grid and scored there.
    """

    name = "parser"

    def __init__(
        self,
        photos: Sequence[Labelled],
        *,
        validation: Sequence[Labelled] = (),
        guessed: Sequence[Labelled] = (),
        guessed_share: float = 0.4,
        rendered: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]] | None = None,
        rendered_share: float = 0.12,
        batch_size: int = 12,
        seed: int = 0,
    ) -> None:
        self.photos, self.validation, self.rendered = photos, validation, rendered
        self.rendered_share, self.batch_size = rendered_share, batch_size
        self.guessed, self.guessed_share = guessed, guessed_share if guessed else 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module: nn.Module = CompactParser().to(memory_format=torch.channels_last)
        self.weights = torch.tensor(CLASS_WEIGHTS)
        self.odds = _odds(photos)

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """`image` uint8 (B, 3, 256, 192) and `labels` int64 (B, 256, 192)."""
        return _collate([self._pair(rng) for _ in range(self.batch_size)])

    def loss(self, module: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
        """Weighted cross-entropy + 1 - mean soft Dice over the classes present."""
        logits = module(normalise(batch["image"]).contiguous(memory_format=torch.channels_last))
        entropy = F.cross_entropy(logits, batch["labels"], weight=self.weights.to(logits.device))
        truth = F.one_hot(batch["labels"], CLASSES).permute(0, 3, 1, 2).to(logits.dtype)
        guess = logits.softmax(1)
        both = (guess * truth).sum((0, 2, 3))
        total = guess.sum((0, 2, 3)) + truth.sum((0, 2, 3))
        present = truth.sum((0, 2, 3)) > 0
        dice = 1 - (2 * both / total)[present].mean()
        return entropy + dice, {"entropy": float(entropy.detach()), "dice": float(dice.detach())}

    def samples(self, module: nn.Module) -> Image.Image:
        """Validation windows beside what the parser sees in them."""
        rows = []
        for photo in self.validation[:24]:
            view = look_at(photo.box, size=WINDOW)
            image = view.image(photo.image)
            guess = predict(module, image[None])[0]
            rows.append([image, PALETTE[view.labels(photo.labels)], PALETTE[guess]])
        return sheet(rows, columns=4)

    def held_out(self, module: nn.Module) -> float:
        """The loss on the validation windows as they are."""
        views = [(look_at(photo.box, size=WINDOW), photo) for photo in self.validation]
        pairs = [(view.image(photo.image), view.labels(photo.labels)) for view, photo in views]
        size = self.batch_size
        return mean_loss(self, module, (_collate(pairs[i : i + size]) for i in range(0, len(pairs), size)))

    def identity(self) -> dict[str, int]:
        return {"batch": self.batch_size, "photos": len(self.photos), "guessed photos": len(self.guessed)}

    def load(self, folder: Path) -> None:
        """The evened-out head comes along; training moves it, and `save` evens it out anew."""
        self.module.load_state_dict(CompactParser.from_pretrained(folder).state_dict())

    def save(self, module: nn.Module, folder: Path) -> None:
        """As `CompactParser.from_pretrained` reads it, its classes evened out on some of the training photos."""
        balanced = CompactParser(tuple(module.config["widths"]), module.config["classes"])
        balanced.load_state_dict(module.state_dict())
        balanced.eval()
        with torch.no_grad():
            balanced.head.bias += torch.from_numpy(self._bias(balanced))
        balanced.save(folder)

    def _bias(self, module: CompactParser) -> np.ndarray:
        """See `balancing_bias`; about a hundred photos, half a minute."""
        chances, truths = [], []
        for photo in self.photos[:: max(1, len(self.photos) // 100)]:
            view = look_at(photo.box, size=WINDOW)
            chance = _chances(module, view.image(photo.image))
            chances.append(np.log(chance[:, ::2, ::2] + 1e-6))
            truths.append(view.labels(photo.labels)[::2, ::2])
        return balancing_bias(np.stack(chances), np.stack(truths))

    def mean_iou(self, module: nn.Module) -> tuple[float, np.ndarray]:
        """Mean IoU over the eight classes and each class's, on the validation windows at 192x256."""
        confusion = np.zeros((CLASSES, CLASSES), np.int64)
        for photo in self.validation:
            view = look_at(photo.box, size=WINDOW)
            guess, truth = predict(module, view.image(photo.image)[None])[0], view.labels(photo.labels)
            confusion += np.bincount(truth.ravel() * CLASSES + guess.ravel(), minlength=CLASSES**2).reshape(
                CLASSES, CLASSES
            )
        both = np.diag(confusion)
        each = both / np.maximum(1, confusion.sum(0) + confusion.sum(1) - both)
        return float(each.mean()), each

    def _pair(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self.rendered is not None and rng.random() < self.rendered_share:
            source = _whole(*self.rendered(rng))
        else:
            source = self._photo(rng)
        view = random_view(rng, source, WINDOW, near=NEAR)
        image, labels = view.image(source.image), view.labels(source.labels)
        if rng.random() < 0.3:
            image = replace_background(rng, image, labels)
        return jitter_colours(rng, image), labels

    def _photo(self, rng: np.random.Generator) -> Labelled:
        if rng.random() < self.guessed_share:
            return self.guessed[rng.integers(len(self.guessed))]
        return self.photos[rng.choice(len(self.photos), p=self.odds)]


def _collate(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
    images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
    return {"image": images, "labels": torch.from_numpy(np.stack([labels for _, labels in pairs])).long()}


def _whole(image: np.ndarray, labels: np.ndarray) -> Labelled:
    """A picture that is its own window."""
    height, width = labels.shape
    return Labelled(image, labels, (0.0, 0.0, float(width), float(height)))


def _odds(photos: Sequence[Labelled]) -> np.ndarray:
    """How often each photo is drawn: those with a dress twice as often, as it is the class most often missed."""
    odds = np.array([2.0 if (p.labels == Label.DRESS).mean() > 0.01 else 1.0 for p in photos])
    return odds / odds.sum()


def predict(module: nn.Module, images: np.ndarray) -> np.ndarray:
    """uint8 (B, 256, 192, 3) RGB -> uint8 labels (B, 256, 192), as `CompactParser.probabilities` sees them."""
    return np.stack([_chances(module, image) for image in images]).argmax(1).astype(np.uint8)


def _chances(module: nn.Module, image: np.ndarray) -> np.ndarray:
    """uint8 (256, 192, 3) RGB -> float32 (classes, 256, 192)."""
    planes = module.probabilities(Image.fromarray(image))
    return np.stack([cv2.resize(plane, WINDOW, interpolation=cv2.INTER_AREA) for plane in planes])


class FigureCache:
    """Draws stored rendered people, 3:4: `images` uint8 (N, H, W, 3) and `labels` uint8 (N, H, W) of an .npz."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            self.images, self.labels = stored["images"], stored["labels"]

    @classmethod
    def made(cls, path: Path, *, count: int, seed: int = 7) -> FigureCache:
        """The cache at `path`, rendered first when it is not there (about a tenth of a second each)."""
        if not path.exists():
            from catvton.training.figures import render_figure

            figures = [render_figure(np.random.default_rng((seed, i)), size=FIGURE_SIZE) for i in range(count)]
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, images=np.stack([f.image for f in figures]), labels=np.stack([f.labels for f in figures]))
        return cls(path)

    def labelled(self, count: int) -> list[Labelled]:
        """The first `count` of them, as photos."""
        return [_whole(*pair) for pair in zip(self.images[:count], self.labels[:count], strict=True)]

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        index = rng.integers(len(self.images))
        return self.images[index], self.labels[index]
