"""Weights from a file into a network: every tensor counted, whatever is missing, left over or misshapen named."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from densepose.errors import WeightsFileError
from densepose.pickled import read_pickle

COUNTER = "num_batches_tracked"  # batch norms count their training steps; nothing reads it afterwards
# Constants that older files hold among the weights; here they come from the config.
CONSTANTS = frozenset(("pixel_mean", "pixel_std"))
CELL_ANCHORS = "cell_anchors."
SUFFIXES = (".safetensors", ".pkl")

State = dict[str, torch.Tensor]


def find_weights(folder: Path, *, name: str | None = None, suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """The weights file of a folder: the one called `name`, or the only one with one of `suffixes`.

    A .safetensors beside the .pkl of the same name was converted from it, and wins.

    Raises:
        WeightsFileError: there is none, or there are several.
    """
    if name is not None:
        if not (folder / name).is_file():
            raise WeightsFileError(f"There is no weights file {folder / name}.")
        return folder / name
    found = sorted(path for path in folder.glob("*") if path.suffix in suffixes and path.is_file())
    chosen = [path for path in found if path.suffix == suffixes[0] or path.with_suffix(suffixes[0]) not in found]
    if not chosen:
        raise WeightsFileError(f"{folder} has no weights: put model_final_*.pkl or a .safetensors made from it there.")
    if len(chosen) > 1:
        names = ", ".join(path.name for path in chosen)
        raise WeightsFileError(f"{folder} has several weights files ({names}): name the one to use.")
    return chosen[0]


def read_state(path: Path) -> State:
    """Key -> tensor on the CPU, floats as float32, from a .pkl (read as data, never run) or a .safetensors file.

    Raises:
        WeightsFileError: the file is missing, damaged or not what its name says.
    """
    if path.suffix == ".pkl":
        # frombuffer's arrays are read-only and may be big-endian: both are mended by the copy
        arrays = read_pickle(path)
        state = {key: torch.from_numpy(arrays[key].astype(arrays[key].dtype.newbyteorder("="))) for key in arrays}
    else:
        state = _read_safetensors(path)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _read_safetensors(path: Path) -> State:
    if not path.is_file():  # safetensors' own error does not name the file
        raise WeightsFileError(f"There is no weights file {path}.")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsFileError(f"{path.name} is damaged or no .safetensors file: {error}") from error


def load_strictly(model: nn.Module, state: Mapping[str, torch.Tensor], *, source: str) -> None:
    """Put `state` into `model` (which may be on the meta device); the tensors themselves are taken over, not copied.

    Raises:
        WeightsFileError: something is missing, unexpected or of another shape; the text starts with `source`.
    """
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: value for key, value in state.items() if key in expected or not _is_known_extra(key)}
    faults = {
        "missing": [key for key in expected if key not in given and not key.endswith(COUNTER)],
        "unexpected": [key for key in given if key not in expected],
        "of another shape": [
            f"{key} {tuple(given[key].shape)} for {expected[key]}"
            for key in expected
            if key in given and tuple(given[key].shape) != expected[key]
        ],
    }
    if any(faults.values()):
        said = "; ".join(f"{len(keys)} {fault}: {_some(keys)}" for fault, keys in faults.items() if keys)
        raise WeightsFileError(f"{source} does not fit this config ({len(expected)} tensors wanted): {said}.")
    counters = {key: torch.zeros((), dtype=torch.long) for key in expected if key.endswith(COUNTER)}
    model.load_state_dict({**given, **counters}, strict=True, assign=True)


def convert(source: str | PathLike, target: str | PathLike | None = None) -> Path:
    """Write a published .pkl as .safetensors (same keys; beside it, unless `target` says where) and return its path.

    Raises:
        WeightsFileError: the .pkl cannot be read, or the target cannot be written.
    """
    source = Path(source)
    target = Path(target) if target is not None else source.with_suffix(SUFFIXES[0])
    state = {key: value.contiguous() for key, value in read_state(source).items()}
    try:
        save_file(state, target, metadata={"format": "pt", "source": source.name})
    except (OSError, SafetensorError) as error:
        raise WeightsFileError(f"{target} cannot be written: {error}") from error
    return target


def _is_known_extra(key: str) -> bool:
    return key in CONSTANTS or CELL_ANCHORS in key or key.endswith(COUNTER)


def _some(keys: list[str], most: int = 4) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
