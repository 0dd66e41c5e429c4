"""Folding a saved model: every network in its folder, with what it changed in numbers and time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from catvton.compact_unet import CompactUNet
from catvton.errors import InputError, WeightsError
from catvton.folded_unet import FoldedTryOnUNet
from catvton.training.folding import fold_compact, fold_official, fold_parser, fold_warp
from catvton.training.students import Made, compared, half_copy, name_of, pipeline_with, save_student, teacher_of
from catvton.unet import TryOnUNet
from catvton.warp_net import GRID, WarpNet
from catvton.weights import load_strictly
from model.compact_parser import WINDOW, CompactParser

if TYPE_CHECKING:
    from catvton.pipeline import CatVTONPipeline

_FOLDS = {CompactUNet: fold_compact, TryOnUNet: fold_official, FoldedTryOnUNet: fold_official}


@dataclass(frozen=True)
class Effect:
    """What folding one network of a folder did.

    Attributes:
        norms: how many norms went into other layers; 0 for a network that was folded already, or has none to fold.
        difference: the outputs', the largest as a share of the largest output, on random input in float32.
        saved: the same with the folded weights as they are in the file, in fp16.
        before, after: milliseconds of a pass, batch 1, medians.
    """

    norms: int
    difference: float
    saved: float
    before: float
    after: float

    def __str__(self) -> str:
        return (
            f"{self.norms} norms folded, outputs differ by {self.difference:.1e}, from the fp16 file {self.saved:.1e}; "
            f"{self.before:.1f} → {self.after:.1f} ms a pass on {torch.get_num_threads()} threads"
        )


def fold_folder(source: Path, out: Path) -> Made:
    """Fold every network of a saved pipeline, or a parser, and save it in another folder with a card.

    Raises:
        InputError: the folder is neither, or is itself `out`.
        WeightsError: a file is missing or damaged.
    """
    if source.resolve() == out.resolve():
        raise InputError("The folded networks need a folder of their own: give another --out.", code="fold.out")
    effects = _fold_pipeline(source, out) if (source / "model_index.json").is_file() else _fold_alone(source, out)
    made = Made(
        title=f"{name_of(source)}, folded",
        how=["The same function with fewer layers: see `catvton/training/folding.py`. Group norms cannot be folded."],
        teacher=teacher_of(source),
        parts=compared(source, out),
        figures={name: str(effect) for name, effect in effects.items()},
    )
    made.write(out)
    return made


def _fold_pipeline(source: Path, out: Path) -> dict[str, Effect]:
    from catvton.pipeline import CatVTONPipeline

    pipe = CatVTONPipeline.from_pretrained(source)
    fold = _FOLDS.get(type(pipe.unet))
    if fold is None:
        raise InputError(f"A {type(pipe.unet).__name__} cannot be folded.", code="fold.kind")
    network, norms = fold(pipe.unet)
    save_student(pipeline_with(pipe, network), source, out)
    saved = load_strictly(type(network), out, subfolder="unet", dtype=torch.float32)
    effects = {"unet": _effect(norms, (pipe.unet, network, saved), _unet_inputs(pipe))}
    if (source / "placement").is_dir():
        effects["placement"] = _fold_placement(source / "placement", out / "placement")
    if (source / "parser").is_dir():
        effects["parser"] = _fold_parser(source / "parser", out / "parser")
    return effects


def _fold_alone(source: Path, out: Path) -> dict[str, Effect]:
    if not (source / "model.safetensors").is_file():
        raise InputError(f"{source} is neither a saved pipeline nor a built-in parser.", code="fold.kind")
    return {"model": _fold_parser(source, out)}


def _fold_placement(source: Path, out: Path) -> Effect:
    network = load_strictly(WarpNet, source, dtype=torch.float32)
    folded, norms = fold_warp(network)
    half_copy(folded).save_pretrained(out)
    saved = load_strictly(WarpNet, out, dtype=torch.float32)
    return _effect(norms, (network, folded, saved), (_random(1, 8, GRID[1], GRID[0]),))


def _fold_parser(source: Path, out: Path) -> Effect:
    parser = _parser(source)
    folded, norms = fold_parser(parser)
    folded.save(out)
    return _effect(norms, (parser, folded, _parser(out)), (_random(1, 3, WINDOW[1], WINDOW[0]),))


def _parser(folder: Path) -> CompactParser:
    try:
        return CompactParser.from_pretrained(folder)
    except (OSError, KeyError, ValueError) as error:
        raise WeightsError(f"The parser in {folder} is missing or damaged ({error}).") from error


@torch.inference_mode()
def _effect(norms: int, networks: tuple[nn.Module, nn.Module, nn.Module], inputs: tuple[Any, ...]) -> Effect:
    """Compares the unfolded, the folded and the folded network as saved."""
    plain, folded, saved = (_first(network(*inputs)) for network in networks)
    largest = plain.abs().max().clamp_min(1e-12)
    differences = (float((other - plain).abs().max() / largest) for other in (folded, saved))
    return Effect(norms, *differences, *milliseconds(networks[:2], inputs))


@torch.inference_mode()
def milliseconds(networks: Sequence[nn.Module], inputs: tuple[Any, ...], *, repeat: int = 9) -> list[float]:
    """The median time of a pass of each, taken in turns so that a busy machine slows all alike."""
    times: list[list[float]] = [[] for _ in networks]
    for _ in range(repeat + 1):
        for network, spent in zip(networks, times, strict=True):
            start = time.perf_counter()
            network(*inputs)
            spent.append(1000 * (time.perf_counter() - start))
    return [statistics.median(spent[1:]) for spent in times]  # the first one only warms up


def _unet_inputs(pipe: CatVTONPipeline) -> tuple[Any, ...]:
    """One unguided row at the pipeline's own size."""
    cells = (pipe.config.height // pipe.spatial_factor, pipe.config.width // pipe.spatial_factor)
    half = torch.zeros(1, 1, *cells)
    rows = _random(1, pipe.unet.config.in_channels, *pipe.layout.join(half, half).shape[-2:])
    return rows, torch.tensor(500), None


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
