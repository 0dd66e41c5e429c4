"""Engines: a named way to turn a person, a garment and a mask into a picture, at the engine's own small size.

What an engine does not do: it opens no files, finds no masks and pastes nothing back; see `catvton.tryon`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from catvton.cards import ModelCard, read_cards

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from catvton.pipeline import CatVTONPipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Where a run is.

    Attributes:
        step: steps done, 0 before the first; steps: how many there will be.
        stage: "mask", "place" or "generate".
        preview: makes the picture as it stands (PIL RGB); costs a decoding, so call it only to look at it.
    """

    step: int
    steps: int
    preview: Callable[[], Image.Image]
    stage: str = "generate"


class Engine(Protocol):
    """What `TryOn` asks of an engine."""

    card: ModelCard

    def load(self) -> Any:
        """Load the weights, once; later calls cost nothing. Raises WeightsError."""

    def generate(
        self,
        person: Image.Image,
        garment: Image.Image,
        mask: np.ndarray,
        *,
        masked_image: Image.Image | None = None,
        steps: int,
        guidance: float,
        generator: torch.Generator,
        on_step: Callable[[StepReport], None] | None = None,
    ) -> Image.Image:
        """Dress the person.

        Args:
            person: RGB, one of the card's sizes. Only its pixels outside the mask are used.
            garment: RGB, any size; fitted onto white at the person's size.
            mask: uint8 HxW {0, 255} of the person's size; 255 is made anew.
            masked_image: RGB of the person's size to start from instead of the person without the masked pixels.
            generator: the only source of chance; the same one in the same state gives the same picture.
            on_step: called after each step; may raise `Cancelled`, which ends the run and comes out here.

        Returns:
            RGB of the person's size.
        """


class PipelineEngine:
    """A saved `CatVTONPipeline` as an engine, loaded at first use. Runs may overlap; each has its own state."""

    def __init__(self, card: ModelCard, *, device: str = "auto", dtype: str = "auto") -> None:
        self.card = card
        self._device, self._dtype = device, dtype
        self._pipe: CatVTONPipeline | None = None
        self._loading = threading.Lock()

    @classmethod
    def around(cls, pipe: CatVTONPipeline, card: ModelCard) -> PipelineEngine:
        """An engine around a pipeline that is already in memory."""
        engine = cls(card)
        engine._pipe = _silent(pipe)
        return engine

    def load(self) -> CatVTONPipeline:
        with self._loading:
            if self._pipe is None:
                self._pipe = self._read()
            return self._pipe

    def _read(self) -> CatVTONPipeline:
        self.card.require_files()
        from catvton.devices import choose
        from catvton.pipeline import CatVTONPipeline

        device, dtype = choose(self._device, self._dtype)
        with _no_loading_bar():
            pipe = CatVTONPipeline.from_pretrained(
                self.card.folder, dtype=dtype, use_safetensors=True, local_files_only=True
            )
        log.info("engine %s loaded", self.card.id)
        return _silent(pipe).to(device)

    def generate(
        self,
        person: Image.Image,
        garment: Image.Image,
        mask: np.ndarray,
        *,
        masked_image: Image.Image | None = None,
        steps: int,
        guidance: float,
        generator: torch.Generator,
        on_step: Callable[[StepReport], None] | None = None,
    ) -> Image.Image:
        pipe = self.load()

        def report(_: Any, index: int, __: Any, tensors: dict[str, torch.Tensor]) -> None:
            if on_step is not None:
                denoised = tensors["denoised"]
                on_step(StepReport(step=index + 1, steps=steps, preview=lambda: pipe.preview(denoised)[0]))

        width, height = person.size
        output = pipe(
            person,
            garment,
            mask,
            masked_image=masked_image,
            num_inference_steps=steps,
            guidance_scale=guidance,
            width=width,
            height=height,
            generator=generator,
            callback_on_step_end=report,
            callback_on_step_end_tensor_inputs=("denoised",),
        )
        return output.images[0]


def _silent(pipe: CatVTONPipeline) -> CatVTONPipeline:
    """Progress is the listener's business, not a bar on the server's terminal."""
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextlib.contextmanager
def _no_loading_bar() -> Iterator[None]:
    """diffusers draws a bar of its own while loading, in the middle of ours."""
    from diffusers.utils import logging as diffusers_logging

    shown = diffusers_logging.is_progress_bar_enabled()
    diffusers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            diffusers_logging.enable_progress_bar()


def registered_engines(*, device: str = "auto", dtype: str = "auto") -> list[Engine]:
    """An engine for every card of the registry, none of them loaded yet."""
    return [PipelineEngine(card, device=device, dtype=dtype) for card in read_cards().values()]


def by_name(engines: Iterable[Engine]) -> dict[str, Engine]:
    return {engine.card.name: engine for engine in engines}
