"""Strict loading: what diffusers only warns about (a missing tensor is left random) is refused here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import Any

import diffusers
from diffusers import ModelMixin
from safetensors import SafetensorError

from catvton.errors import WeightsError

_FAULTS = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")


def looks_local(source: str | PathLike) -> bool:
    """Whether `source` can only be a path: Hub ids are strings like 'owner/name'."""
    return not isinstance(source, str) or source.startswith((".", "/", "~")) or source.count("/") != 1


def from_pretrained(kind: type, source: str | PathLike, **options: Any) -> Any:
    """`kind.from_pretrained(source, ...)`; whatever keeps it from loading becomes a `WeightsError` that says where."""
    if looks_local(source) and not Path(source).is_dir():
        raise WeightsError(f"There is no folder {source}.")
    try:
        return kind.from_pretrained(source, **options)
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        where = "/".join(filter(None, (str(source), options.get("subfolder"))))
        raise WeightsError(f"{kind.__name__} cannot be loaded from {where}: {error}") from error


def load_strictly(kind: type[ModelMixin], source: str | PathLike, **options: Any) -> ModelMixin:
    """A model of which every tensor came from the file, and of which the file has no other; in evaluation mode."""
    model, info = from_pretrained(kind, source, output_loading_info=True, **options)
    for fault in _FAULTS:
        if found := sorted(map(str, info.get(fault) or ())):
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            what = fault.replace("_", " ")
            raise WeightsError(f"{source}: {what} for {kind.__name__}: {', '.join(found[:3])}{more}.")
    return model.eval()


def load_models(folder: str | PathLike, *, skip: Collection[str] = (), **options: Any) -> dict[str, ModelMixin]:
    """The models of a saved pipeline's folder by component name, loaded strictly, but for those in `skip`."""
    models = {}
    for name, entry in _read_index(Path(folder)).items():
        if name in skip or not (isinstance(entry, list) and len(entry) == 2 and all(entry)):
            continue  # given by the caller; or a setting; or a component that was saved as absent
        kind = _component(*entry)
        if issubclass(kind, ModelMixin):
            models[name] = load_strictly(kind, folder, subfolder=name, **options)
    return models


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} is no saved pipeline: its model_index.json cannot be read ({error}).") from error


def _component(library: str, name: str) -> type:
    """The class a saved pipeline names: of diffusers, this package, or imported already (importing runs code)."""
    if library == "diffusers":
        module = diffusers
    elif library.split(".")[0] == "catvton":
        module = _own_module(library)
    else:
        module = sys.modules.get(library)
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        raise WeightsError(f"The saved pipeline needs {library}.{name}, which is not there; is this version too old?")
    return kind


def _own_module(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise WeightsError(f"The saved pipeline needs {library}; this version does not have it.") from error
