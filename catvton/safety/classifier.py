"""Any image classifier of the Hugging Face hub as a checker: what it thinks unsafe is flagged.

The operator names the model and which of its labels count as unsafe. A label the model does not have, a tensor its file
does not have, or a number that is not finite is an error that says so: nothing is passed by a check that cannot judge.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from catvton.errors import SettingsError, WeightsError
from catvton.safety import Verdict
from catvton.safety.quiet import quietly
from catvton.weights import from_pretrained, load_strictly, looks_local

log = logging.getLogger(__name__)

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
MULTI_LABEL = "multi_label_classification"

# What transformers raises on the way for files that can be read but are of something else.
_UNREADABLE = (StrictDataclassError, TypeError, LookupError, AttributeError, EOFError, pickle.UnpicklingError)


class ImageClassifier:
    """A `catvton.safety.Checker` around a transformers image classifier. Pictures are judged one by one.

    Args:
        model: with `config.id2label`; labels that exclude each other unless its configuration says otherwise.
        processor: PIL RGB -> the model's `pixel_values`.
        unsafe: the labels that count, upper and lower case alike.
        threshold: above this chance (0..1) a picture is flagged; the chances of labels that exclude each other add up.

    Raises:
        SettingsError: the model has no such label; the message names those it has.
    """

    def __init__(self, model: Any, processor: Any, *, unsafe: Sequence[str], threshold: float) -> None:
        self._model, self._processor = model, processor
        self._threshold = threshold
        self._unsafe = _indices(model.config.id2label, unsafe)
        self._exclusive = model.config.problem_type != MULTI_LABEL

    @classmethod
    def from_source(
        cls,
        source: str | PathLike,
        *,
        unsafe: Sequence[str],
        threshold: float,
        token: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> ImageClassifier:
        """The classifier in a local folder, or of the hub, which is fetched at the first time.

        Args:
            source: a folder with config.json, preprocessor_config.json and the weights, or "owner/name".
            token: for a repository that asks for one.

        Raises:
            WeightsError: a file or a tensor is missing, left over, of another shape or unusable; it is named.
            SettingsError: as above.
        """
        if looks_local(source):
            _require_files(Path(source))
        options = {"trust_remote_code": False} | ({"token": token} if token else {})
        try:
            with quietly():
                processor = from_pretrained(AutoImageProcessor, source, backend="pil", **options)
                model = load_strictly(
                    AutoModelForImageClassification,
                    source,
                    dtype=torch.float32,
                    ignore_mismatched_sizes=True,  # lets them be named; `load_strictly` refuses them
                    **options,
                )
        except _UNREADABLE as error:
            raise WeightsError(f"The image classifier in {source} is damaged or of something else: {error}") from error
        _require_sound(model, source)
        log.info("image classifier %s loaded, labels that count: %s", source, ", ".join(unsafe))
        return cls(model.to(device, dtype), processor, unsafe=unsafe, threshold=threshold)

    def check(self, images: Sequence[Image.Image]) -> list[Verdict]:
        """One verdict per picture (PIL RGB, any size).

        Raises:
            WeightsError: the model gives numbers that are not finite.
        """
        return [self._judge(self._chances(image)) for image in images]

    @torch.no_grad()
    def _chances(self, image: Image.Image) -> np.ndarray:
        """PIL RGB -> float32 (labels,) in 0..1."""
        pixels = self._processor(images=[image], return_tensors="pt")["pixel_values"]
        logits = self._model(pixels.to(self._model.device, self._model.dtype)).logits[0].float()
        chances = logits.softmax(-1) if self._exclusive else logits.sigmoid()
        if not torch.isfinite(chances).all():
            raise WeightsError("The image classifier gives numbers that are not finite: it cannot judge a picture.")
        return chances.cpu().numpy()

    def _judge(self, chances: np.ndarray) -> Verdict:
        found = {name: float(chances[index]) for name, index in self._unsafe.items()}
        level = sum(found.values()) if self._exclusive else max(found.values())
        flagged = level > self._threshold
        return Verdict(
            flagged=flagged,
            scores=MappingProxyType({name: round(chance - self._threshold, 3) for name, chance in found.items()}),
            hits=(max(found, key=found.get),) if flagged else (),
        )


def _indices(names: dict[int, str], unsafe: Sequence[str]) -> dict[str, int]:
    """{label: its place among the model's} of the unsafe ones."""
    places = {name.lower(): (name, index) for index, name in names.items()}
    unknown = [label for label in unsafe if label.lower() not in places]
    if unknown or not unsafe:
        known = ", ".join(names.values())
        raise SettingsError(
            f"CATVTON_MODERATION_LABELS: the classifier has no label {', '.join(unknown) or 'to look for'}; "
            f"it has {known}."
        )
    return dict(places[label.lower()] for label in unsafe)


def _require_files(folder: Path) -> None:
    missing = [name for name in (CONFIG, PREPROCESSOR) if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"The image classifier lacks {' and '.join(missing)} in {folder}.")


def _require_sound(model: torch.nn.Module, source: str | PathLike) -> None:
    for name, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{source}: {name} has numbers that are not finite.")
