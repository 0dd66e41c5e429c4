"""The safety checker published with Stable Diffusion: a CLIP image encoder and twenty concepts it looks for.

A picture's embedding is compared with each concept's. What counts is how far the cosine lies above the concept's own
threshold, plus an adjustment: positive is stricter. Three special-care concepts flag nothing by themselves; any hit
among them adds `SPECIAL_CARE` to the adjustment for the other seventeen. The network is diffusers', the arithmetic is
here, so that the adjustment can be set, the scores can be told, and no picture is painted black.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from catvton.errors import WeightsError
from catvton.safety import Verdict
from catvton.safety.quiet import quietly
from catvton.weights import from_pretrained, load_strictly

SPECIAL_CARE = 0.01
DIGITS = 3  # scores are rounded before they are compared with 0, as published

CONFIG = "config.json"
FILES: dict[str, dict[str, Any]] = {  # how transformers is asked for each, the best first
    "model.safetensors": {"use_safetensors": True},
    "model.fp16.safetensors": {"use_safetensors": True, "variant": "fp16"},
    "pytorch_model.bin": {"use_safetensors": False},  # a pickle, which transformers lets hold nothing but tensors
}
PREPROCESSOR = "preprocessor_config.json"

# What transformers raises on the way for files that can be read but are of something else, or hold more than tensors.
_UNREADABLE = (
    StrictDataclassError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, pickle.UnpicklingError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """What pictures are compared with. All float32; rows need not have unit length.

    Attributes:
        concepts (17, D), thresholds (17,): those that flag a picture.
        special (3, D), special_thresholds (3,): those that call for special care.
    """

    concepts: np.ndarray
    thresholds: np.ndarray
    special: np.ndarray
    special_thresholds: np.ndarray

    @classmethod
    def of(cls, model: StableDiffusionSafetyChecker) -> Concepts:
        """The model's own, best taken before it is cast to half precision."""
        return cls(
            concepts=_array(model.concept_embeds),
            thresholds=_array(model.concept_embeds_weights),
            special=_array(model.special_care_embeds),
            special_thresholds=_array(model.special_care_embeds_weights),
        )

    def judge(self, embedding: np.ndarray, *, adjustment: float = 0.0) -> Verdict:
        """The verdict on one picture.

        Args:
            embedding: float32 (D,), of any length.
            adjustment: added to every score; positive is stricter.

        Raises:
            WeightsError: the embedding has numbers that are not finite, which would be above no threshold.
        """
        special = _scores(embedding, self.special, self.special_thresholds, adjustment)
        if (special > 0).any():
            adjustment = adjustment + SPECIAL_CARE
        concepts = _scores(embedding, self.concepts, self.thresholds, adjustment)
        scores = _named("special-care", special) | _named("concept", concepts)
        return Verdict(
            flagged=bool((concepts > 0).any()),
            scores=MappingProxyType(scores),
            hits=tuple(name for name, score in scores.items() if score > 0),
        )


class StableDiffusionChecker:
    """A `catvton.safety.Checker`. Pictures are judged one by one: a verdict does not depend on the batch."""

    def __init__(
        self,
        model: StableDiffusionSafetyChecker,
        processor: CLIPImageProcessorPil,
        *,
        concepts: Concepts | None = None,
        adjustment: float = 0.0,
    ) -> None:
        self._model, self._processor = model, processor
        self._concepts = concepts or Concepts.of(model)
        self._adjustment = adjustment

    @classmethod
    def from_folder(
        cls,
        folder: str | PathLike,
        feature_extractor: str | PathLike | None = None,
        *,
        adjustment: float = 0.0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> StableDiffusionChecker:
        """The checker in an official `safety_checker/` folder: config.json and one of `FILES`.

        Files written for transformers 4 (`vision_model.vision_model.*`) are read as well.

        Args:
            feature_extractor: the folder of preprocessor_config.json; None is the folder of that name beside `folder`.
            adjustment: added to cosine minus threshold; positive is stricter.
            dtype: of the network; concepts and thresholds are float32 always.

        Raises:
            WeightsError: a file or a tensor is missing, left over, of another shape or unusable; it is named.
        """
        folder = Path(folder)
        model = _read_model(folder)
        processor = _read_processor(Path(feature_extractor or folder.parent / "feature_extractor"), model, folder)
        concepts = Concepts.of(model)
        return cls(model.to(device, dtype), processor, concepts=concepts, adjustment=adjustment)

    def check(self, images: Sequence[Image.Image]) -> list[Verdict]:
        """One verdict per picture (PIL RGB, any size: the middle square is looked at, as published)."""
        return [self._concepts.judge(self._embed(image), adjustment=self._adjustment) for image in images]

    @torch.no_grad()
    def _embed(self, image: Image.Image) -> np.ndarray:
        """PIL RGB -> float32 (D,)."""
        pixels = self._processor(images=[image], return_tensors="pt").pixel_values
        pooled = self._model.vision_model(pixels.to(self._model.device, self._model.dtype)).pooler_output
        return _array(self._model.visual_projection(pooled)[0])


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy().copy()


def _scores(embedding: np.ndarray, rows: np.ndarray, thresholds: np.ndarray, adjustment: float) -> np.ndarray:
    """Cosine of the embedding (D,) with each row (N, D), minus the row's threshold, plus the adjustment, rounded."""
    scores = _unit(rows) @ _unit(embedding) - thresholds + adjustment
    if not np.isfinite(scores).all():
        raise WeightsError("The safety checker's network gives numbers that are not finite: it cannot judge a picture.")
    return scores.round(DIGITS)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _named(kind: str, scores: np.ndarray) -> dict[str, float]:
    return {f"{kind} {index}": round(float(score), DIGITS) for index, score in enumerate(scores)}


# ---- reading ---------------------------------------------------------------------------------------------------------


def _read_model(folder: Path) -> StableDiffusionSafetyChecker:
    """In float32 and evaluation mode, every tensor from the file."""
    file = _weights_file(folder)
    with quietly(), _as_weights_error(folder):
        model = load_strictly(
            StableDiffusionSafetyChecker,
            folder,
            dtype=torch.float32,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # lets them be named; `load_strictly` refuses them
            **FILES[file],
        )
    _require_sound(model, folder / file)
    return model


def _weights_file(folder: Path) -> str:
    """The name of the weights' file. Without a config.json transformers would take another network's."""
    if not (folder / CONFIG).is_file():
        raise WeightsError(f"The safety checker lacks {CONFIG} in {folder}.")
    found = [name for name in FILES if (folder / name).is_file()]
    if not found:
        raise WeightsError(f"The safety checker lacks {' or '.join(FILES)} in {folder}.")
    return found[0]


def _require_sound(model: StableDiffusionSafetyChecker, file: Path) -> None:
    """Raises WeightsError for numbers with which some concept could never be hit: that would be a pass."""
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{file}: {name} has numbers that are not finite.")
    for name in ("concept_embeds", "special_care_embeds"):
        highest = (getattr(model, name).norm(dim=1) > 0).float()  # the cosine nothing can exceed
        if (getattr(model, f"{name}_weights") >= highest).any():
            raise WeightsError(f"{file}: {name} and {name}_weights are no trained ones: a concept could never be hit.")


def _read_processor(folder: Path, model: StableDiffusionSafetyChecker, checker: Path) -> CLIPImageProcessorPil:
    if not (folder / PREPROCESSOR).is_file():
        raise WeightsError(f"The safety checker in {checker} lacks {PREPROCESSOR} in {folder}.")
    with quietly(), _as_weights_error(folder):
        processor = from_pretrained(CLIPImageProcessorPil, folder, local_files_only=True)
    side = model.config.vision_config.image_size
    crop = processor.crop_size
    if not processor.do_center_crop or (crop.height, crop.width) != (side, side):
        raise WeightsError(f"{folder / PREPROCESSOR} does not crop to the {side} x {side} pixels {checker} looks at.")
    return processor


@contextlib.contextmanager
def _as_weights_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise WeightsError(f"The files in {folder} are damaged or of something else: {error}") from error
