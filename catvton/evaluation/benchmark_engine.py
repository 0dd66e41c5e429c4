"""An engine as a benchmark calls it: pictures at the protocol's size in, pictures of that size out.

The published evaluation stretches person, garment and mask to the working size, whole: nothing is cropped or padded,
which differs from what the app does with a user's photo (both data sets are 3:4 as it is).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from catvton.cards import find_card, read_versions
from catvton.errors import InputError
from catvton.hub.digest import Digest
from catvton.hub.store import Store

if TYPE_CHECKING:
    import torch

    from catvton.cards import ModelCard
    from catvton.engines import PipelineEngine
    from catvton.pipeline import CatVTONPipeline
    from catvton.settings import Settings

SIZE = (384, 512)  # of the published figures


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A case at the results' size (W, H), stretched to it.

    Attributes:
        person, garment: RGB, by LANCZOS.
        mask: L, by LANCZOS as CatVTON's network sees it; seam: L, by the nearest pixel as CatVTON pastes along it.
            Both from 128 may change; None for an engine without masks.
    """

    person: Image.Image
    garment: Image.Image
    mask: Image.Image | None = None
    seam: Image.Image | None = None

    @classmethod
    def of(cls, person: Image.Image, garment: Image.Image, mask: Image.Image | None, *, size: tuple[int, int]) -> Sized:
        """Pictures of any size at `size` (W, H)."""
        fine, nearest = Image.Resampling.LANCZOS, Image.Resampling.NEAREST
        return cls(
            person=person.resize(size, fine),
            garment=garment.resize(size, fine),
            mask=mask and mask.resize(size, fine),
            seam=mask and mask.resize(size, nearest),
        )


@dataclass(frozen=True, kw_only=True)
class How:
    """The options of every picture: size (W, H) of the results, denoising steps, guidance."""

    size: tuple[int, int]
    steps: int
    guidance: float


class Dresser(Protocol):
    """An engine ready to dress.

    Attributes:
        mask_free: whether it takes no masks.
        precision: the number format of its network, e.g. "bfloat16".
    """

    mask_free: bool
    precision: str

    def __call__(self, cases: Sequence[Sized], generators: Sequence[torch.Generator]) -> list[Image.Image]:
        """One picture (RGB, the results' size) for each case, drawn from the generator of the same place.

        Raises InputError where the memory does not hold so many at once.
        """


class Batched:
    """A pipeline that takes all cases in one go, as the published evaluation does."""

    def __init__(self, pipe: CatVTONPipeline, how: How) -> None:
        self._pipe, self._how = pipe, how
        self.mask_free = not pipe.layout.use_mask
        self.precision = _precision(pipe)

    def __call__(self, cases: Sequence[Sized], generators: Sequence[torch.Generator]) -> list[Image.Image]:
        import torch

        width, height = self._how.size
        try:
            return self._pipe(
                [case.person for case in cases],
                [case.garment for case in cases],
                None if self.mask_free else [case.mask for case in cases],
                num_inference_steps=self._how.steps,
                guidance_scale=self._how.guidance,
                width=width,
                height=height,
                generator=list(generators),
            ).images
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{len(cases)} pictures of {width}x{height} at once do not fit the memory: go on with --resume and a "
                "smaller --batch.",
                code="option.batch",
            ) from error


class Placed:
    """An engine that starts from the garment laid on the body: one case after the other, at the engine's own size.

    The app's own steps, but with the whole picture as the window and the mask that is given.
    """

    mask_free = False

    def __init__(self, engine: PipelineEngine, how: How) -> None:
        from catvton.start import Placer

        self._engine, self._placer, self._how = engine, Placer(engine.card), how
        self._placer.load()
        self.precision = _precision(engine.load())

    def __call__(self, cases: Sequence[Sized], generators: Sequence[torch.Generator]) -> list[Image.Image]:
        return [self._one(case, generator) for case, generator in zip(cases, generators, strict=True)]

    def _one(self, case: Sized, generator: torch.Generator) -> Image.Image:
        from catvton.framing import Frame
        from catvton.masking import View, bare

        mask = np.where(np.asarray(case.mask) > 127, np.uint8(255), np.uint8(0))
        frame = Frame(box=(0, 0, *self._how.size), size=self._engine.card.size)
        person = frame.cut(bare(case.person, mask))
        start = self._placer(case.garment, view := View(frame=frame, person=person, hole=frame.cut_map(mask)))
        picture = self._engine.generate(
            view.person,
            start.garment,
            view.hole,
            masked_image=start.masked_image,
            steps=self._how.steps,
            guidance=self._how.guidance,
            generator=generator,
        )
        refined = np.asarray(start.refine(picture, frame))
        return Image.fromarray(frame.back(refined, photo_size=self._how.size))


def dresser(card: ModelCard, how: How, *, device: str, dtype: str) -> Dresser:
    """The card's engine, loaded. Raises WeightsError. `device` and `dtype` as in `catvton.devices.choose`."""
    from catvton.engines import PipelineEngine

    engine = PipelineEngine(card, device=device, dtype=dtype, memory="speed")
    return Placed(engine, how) if card.placement else Batched(engine.load(), how)


def find_engine(wish: str, settings: Settings) -> ModelCard:
    """The card of "engine" or "engine@version". Raises InputError "option.engine", which lists the names."""
    versions = read_versions(overlay=settings.registry, models_dir=settings.models_dir)
    return find_card(wish, versions, lock=Store(settings.models_dir).read_lock())


def with_weights(card: ModelCard, folder: Path) -> ModelCard:
    """The card with the saved pipeline in `folder` in place of its own weights; the folder's name is its revision."""
    card = replace(card, folder=folder, revision=folder.resolve().name)
    if not card.sources:
        return card
    mend = "give --weights the folder of a saved pipeline, with model_index.json in it"
    return replace(card, kind="saved", sources=(), install=None, files=("model_index.json",), mend=mend)


def size_of(card: ModelCard) -> tuple[int, int]:
    """The results' default size (W, H).

    The published one for CatVTON, and for an engine that places the garment, whose own size is smaller: figures at
    another size would stand beside no others. The card's for the rest.
    """
    return SIZE if card.kind == "official" or card.placement else card.size


def identity(card: ModelCard) -> dict[str, str]:
    """What the weights are: {role: repository and commit}, or {file: sha256} of weights that are not from a hub.

    Raises WeightsError: files are missing.
    """
    card.require_files()
    if card.install and card.sources:
        roles = {source.role for source in card.sources}
        return {pin.role: f"{pin.repo}@{pin.commit}" for pin in card.install.pins if pin.role in roles}
    files = sorted(path for path in card.folder.rglob("*") if path.suffix in (".safetensors", ".bin"))
    return {path.relative_to(card.folder).as_posix(): Digest().read(path).sha256 for path in files}


def generator_of(seed: int, name: str) -> torch.Generator:
    """A case's only source of chance: it depends on the seed and the case's name, not on its neighbours in a batch.

    On the processor for every device: one seed, one start.
    """
    import torch

    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:4], "big"))


def _precision(pipe: CatVTONPipeline) -> str:
    return str(pipe.unet.dtype).removeprefix("torch.")
