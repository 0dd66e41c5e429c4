"""Pairs encoded once: what a run reads at every step is four arrays on disk, and the autoencoder is not needed again.

Latents are the means of the autoencoder's posterior, as the pipeline takes them; the published run drew a sample, whose
spread is tiny. The arrays are memory-mapped, so the set may be larger than the memory.

    cache.json      what the latents were made from, and how
    pairs.csv       a line for each pair that is encoded: place, name, "" or why it is left out
    person.npy  shown.npy  garment.npy  mask.npy
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from catvton.errors import InputError
from catvton.evaluation.result_folder import differences
from catvton.hub.verify import human
from catvton.pipeline_inputs import mask_pixels
from catvton.training.synthetic_pairs import Redressed

if TYPE_CHECKING:
    from PIL import Image

    from catvton.datasets import Pictures, Source
    from catvton.pipeline import CatVTONPipeline

logger = logging.getLogger(__name__)

FACTS, PAIRS = "cache.json", "pairs.csv"
DTYPES = ("float16", "float32")
TOGETHER = 4  # pairs that are encoded at once: 8 GB of activations at 768x1024

Masker = Callable[["Image.Image", str], Any]  # (photo, part) -> .mask uint8 (H, W) {0, 255}; raises model.MaskError
Watch = Callable[[Iterable[Any], int], Iterable[Any]]  # (steps, how many) -> the steps, as `Bar` shows them


@dataclass(frozen=True)
class Latents:
    """Encoded pairs.

    Attributes:
        arrays: `person`, `shown`, `garment` (N, C, h, w) float; `mask` uint8 (N, 1, h, w) of 0 and 1, where there is
            one. `shown` is what the network sees of the person.
        names: of the pairs, by place; None for one that is left out.
    """

    arrays: dict[str, np.ndarray]
    names: Sequence[str | None]

    @classmethod
    def blank(cls, pipe: CatVTONPipeline, *, pairs: int = 1) -> Latents:
        """Pairs of zeros at the pipeline's size: to measure a step before anything is encoded."""
        arrays = {name: np.zeros((pairs, *shape), dtype) for name, (shape, dtype) in _layout(pipe, "float32").items()}
        return cls(arrays, ["" for _ in range(pairs)])

    def rows(self, places: Sequence[int] | np.ndarray) -> dict[str, torch.Tensor]:
        """The pairs at these places, float32."""
        return {name: torch.from_numpy(array[places].astype(np.float32)) for name, array in self.arrays.items()}

    def split(self, share: float) -> tuple[list[int], list[int]]:
        """(places to train on, places held out): `share` of the names, chosen by hash, the same ones in every run."""
        usable = [(place, name) for place, name in enumerate(self.names) if name is not None]
        held = [place for place, name in usable if _draw(name) < share]
        return [place for place, name in usable if _draw(name) >= share], held


@dataclass(frozen=True, kw_only=True)
class LatentCache:
    """The latents of a source in a folder.

    Args:
        source: the pairs, always in the same order.
        pipe: encodes them at its own size.
        dtype: of the stored latents; float16 is exact to a thousandth of their spread.
        masker: makes the masks that the source lacks; `masker_name` tells one masker from another.
    """

    folder: Path
    source: Source
    pipe: CatVTONPipeline
    dtype: str = "float16"
    masker: Masker | None = None
    masker_name: str = ""

    def planned_bytes(self) -> int:
        """What the whole cache takes on the disk: pairs times the size of one."""
        each = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in self._layout().values())
        return each * len(self.source)

    def bytes(self) -> int:
        """What is on the disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def build(self, watch: Watch = lambda steps, count: steps) -> Latents:
        """The latents; what is not encoded yet is encoded, from where an earlier build was interrupted.

        Raises:
            InputError: the folder holds latents of something else, or its disk is too small; the source has changed;
                or masks are missing and there is no masker.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._agree()
        names = _read_names(self.folder / PAIRS)
        count = len(self.source)
        if len(names) < count:
            self._require_room(1 - len(names) / count)
            arrays = {name: self._array(name, shape, dtype) for name, (shape, dtype) in self._layout().items()}
            pairs = iter(watch(self.source, count))
            self._skip(pairs, names)
            self._encode_rest(pairs, arrays, names)
        if len(names) != count:
            raise self._changed(f"it has {len(names)} pairs instead of {count}")
        left_out = sum(name is None for name in names)
        if left_out == count:
            raise InputError(f"{self.source.name} has no pairs to train on.", code="data.empty")
        if left_out:
            logger.warning("%d of %d pairs are left out: their masks cannot be made", left_out, count)
        return Latents(self._opened(), names)

    # -- what the folder holds -----------------------------------------------------------------------------------------

    def _layout(self) -> dict[str, tuple[tuple[int, ...], str]]:
        return _layout(self.pipe, self.dtype)

    def _facts(self) -> dict[str, Any]:
        config = self.pipe.config
        return {
            "source": self.source.name,
            "pairs": len(self.source),
            "size": [config.width, config.height],
            "autoencoder": identity(self.pipe.vae),
            "dtype": self.dtype,
            "masks": (self.masker_name or "the set's own") if self.pipe.layout.use_mask else "none",
        }

    def _agree(self) -> None:
        path, facts = self.folder / FACTS, self._facts()
        if not path.is_file():
            path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            return
        if wrong := differences(json.loads(path.read_text(encoding="utf-8")), facts):
            raise InputError(
                f"{self.folder} holds latents of something else: {'; '.join(wrong)}. Give another --cache, or remove "
                "the folder.",
                code="cache.mismatch",
            )

    def _require_room(self, share: float) -> None:
        """The rest must fit: a mapped file that outgrows its disk ends the process without a word."""
        needed, free = round(share * self.planned_bytes()), shutil.disk_usage(self.folder).free
        if needed > free:
            raise InputError(
                f"{self.folder} needs {human(needed)} more for the latents, and {human(free)} are free: give another "
                "--cache, or --cache-dtype float16.",
                code="cache.room",
            )

    def _array(self, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        if path.is_file():
            return np.load(path, mmap_mode="r+")
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(len(self.source), *shape))

    def _opened(self) -> dict[str, np.ndarray]:
        return {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in self._layout()}

    # -- encoding ------------------------------------------------------------------------------------------------------

    def _skip(self, pairs: Iterable[Pictures], names: list[str | None]) -> None:
        """Pass over what is encoded already; it must be what the source still begins with."""
        for place, pictures in enumerate(itertools.islice(pairs, len(names))):
            if names[place] not in (None, pictures.name):
                raise self._changed(f"pair {place} is {pictures.name} and was {names[place]}")

    def _changed(self, what: str) -> InputError:
        return InputError(
            f"{self.source.name} has changed since {self.folder} was begun: {what}. Remove the folder.",
            code="cache.changed",
        )

    def _encode_rest(self, pairs: Iterable[Pictures], arrays: dict[str, np.ndarray], names: list[str | None]) -> None:
        while batch := list(itertools.islice(pairs, TOGETHER)):
            masked = [(pictures, self._mask(pictures)) for pictures in batch]
            places = [len(names) + i for i, (_, mask) in enumerate(masked) if mask is not None]
            usable = [(pictures, mask) for pictures, mask in masked if mask is not None]
            if usable:
                for name, values in encode(self.pipe, usable).items():
                    arrays[name][places] = values
                    arrays[name].flush()  # before the line that says it is there
            said = [pictures.name if mask is not None else None for pictures, mask in masked]
            _append_names(self.folder / PAIRS, len(names), said)
            names += said

    def _mask(self, pictures: Pictures) -> Any:
        """The pair's mask, the masker's where it has none; None where that cannot be made."""
        if not self.pipe.layout.use_mask:
            return ()
        if pictures.mask is not None:
            return pictures.mask
        if self.masker is None:
            raise InputError(
                f"{pictures.name} has no mask, and there is no masker: name an engine whose masker makes them.",
                code="data.masks",
            )
        from model.errors import MaskError

        try:
            return self.masker(pictures.person, pictures.part).mask
        except MaskError as error:
            logger.warning("%s is left out: %s", pictures.name, error)
            return None


@torch.no_grad()
def encode(pipe: CatVTONPipeline, pairs: Sequence[tuple[Pictures, Any]]) -> dict[str, np.ndarray]:
    """The arrays' rows of some pairs with their masks, as the pipeline itself would encode them."""
    pictures, masks = [one for one, _ in pairs], [mask for _, mask in pairs]
    people = [one.person for one in pictures]
    parts = {
        "person": pipe.person_latents(masked_image=people),
        "garment": pipe.garment_latents([one.garment for one in pictures]),
    }
    if pipe.layout.use_mask:
        size = (pipe.config.height, pipe.config.width)
        hole = mask_pixels(masks, people, size=size, device=pipe.device, required=True)
        parts["shown"] = pipe.person_latents(people, masks)
        parts["mask"] = F.interpolate(hole, size=parts["person"].shape[-2:], mode="nearest")
    else:
        parts["shown"] = pipe.person_latents(masked_image=[_redressed(one) for one in pictures])
    return {name: part.cpu().numpy() for name, part in parts.items()}


def identity(module: nn.Module) -> str:
    """sha256 over a network's tensors and their names, the first sixteen digits."""
    total = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        total.update(f"{name} {tuple(tensor.shape)} ".encode())
        total.update(tensor.detach().float().cpu().contiguous().numpy())
    return total.hexdigest()[:16]


def _redressed(pictures: Pictures) -> Image.Image:
    if not isinstance(pictures, Redressed):
        raise InputError(
            f"{pictures.name} shows the person in the garment itself: a network without a mask learns from redressed "
            "people.",
            code="data.redressed",
        )
    return pictures.shown


def _layout(pipe: CatVTONPipeline, dtype: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """{array: (shape of one row, dtype)}."""
    cells = tuple(side // pipe.spatial_factor for side in (pipe.config.height, pipe.config.width))
    latent = ((pipe.vae.config.latent_channels, *cells), dtype)
    masks = {"mask": ((1, *cells), "uint8")} if pipe.layout.use_mask else {}
    return {"person": latent, "shown": latent, "garment": latent, **masks}


def _read_names(path: Path) -> list[str | None]:
    """The names in the file's whole lines; a last one cut short by a kill is taken out of the file."""
    if not path.is_file():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    rows = csv.reader(io.StringIO(whole.decode("utf-8")))
    return [None if why else name for _, name, why in rows]


def _append_names(path: Path, start: int, names: Sequence[str | None]) -> None:
    rows = [(start + i, name or "", "" if name is not None else "no mask") for i, name in enumerate(names)]
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _draw(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
