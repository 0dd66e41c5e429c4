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

import numpy as np

from catvton.cards import ModelCard
from catvton.errors import NotEnoughMemory
from catvton.memory import GIBIBYTE, PRESETS, Preset, apply, choose_preset, estimate, free_memory
from model.memory import Memory, pixels_key

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from catvton.pipeline import CatVTONPipeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Where a run is.

    Attributes:
        step: steps done, 0 before the first; steps: how many there will be.
        stage: "mask", "place", "generate", "paste" or "check".
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
        say: Callable[[str], None] | None = None,
    ) -> Image.Image:
        """Dress the person.

        Args:
            person: RGB, one of the card's sizes. Only its pixels outside the mask are used.
            garment: RGB, any size; fitted onto white at the person's size.
            mask: uint8 HxW {0, 255} of the person's size; 255 is made anew.
            masked_image: RGB of the person's size to start from instead of the person without the masked pixels.
            generator: the only source of chance; the same one in the same state gives the same picture.
            on_step: called after each step; may raise `Cancelled`, which ends the run and comes out here.
            say: told sentences the user should see.

        Returns:
            RGB of the person's size.
        """


REMEMBERED = 32  # people and garments whose latents are kept, about 0.2 MB each: another garment need not encode anew


class PipelineEngine:
    """A `CatVTONPipeline` as an engine, loaded at first use.

    On the processor runs may overlap, each with its own state; on another device they wait for each other.

    Args:
        card: what it is, and where its files lie.
        device, dtype: as in `catvton.devices.choose`.
        memory: what may be given up for memory, as in `catvton.memory.choose_preset`.
    """

    def __init__(self, card: ModelCard, *, device: str = "auto", dtype: str = "auto", memory: str = "auto") -> None:
        self.card = card
        self._device, self._dtype, self._memory = device, dtype, memory
        self._pipe: CatVTONPipeline | None = None
        self._preset = PRESETS["speed"]
        self._people: Memory[torch.Tensor] = Memory(REMEMBERED)
        self._garments: Memory[torch.Tensor] = Memory(REMEMBERED)
        self._loading = threading.Lock()
        self._turn: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()

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
        from catvton.builders import build
        from catvton.devices import choose

        self.card.require_files()
        wanted = self.card.precision if self._dtype == "auto" else self._dtype
        device, dtype = choose(self._device, wanted)
        self._preset = self._first_preset(device, dtype)
        with _no_loading_bar():
            pipe = build(self.card, dtype=dtype)
        log.info("engine %s loaded", self.card.id)
        if device.type != "cpu":
            self._turn = threading.Lock()
        return apply(self._preset, _silent(pipe), device)

    def _first_preset(self, device: torch.device, dtype: torch.dtype) -> Preset:
        """Says what a run will need before anything is loaded."""
        from catvton.builders import describe

        networks = describe(self.card)
        if networks is None:
            return choose_preset(self._memory, {}, None)[0]
        width, height = self.card.size
        figures = {
            name: estimate(networks, preset, size=(width, height), dtype=dtype, guided=True)
            for name, preset in PRESETS.items()
        }
        preset, why = choose_preset(self._memory, figures, free_memory(device))
        needed = ", ".join(f"{name} {size / GIBIBYTE:.1f} GiB" for name, size in figures.items())
        log.info(
            "%s at %dx%d needs about (computed): %s; taking %s (%s)",
            self.card.id, width, height, needed, preset.name, why,
        )  # fmt: skip
        return preset

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
        say: Callable[[str], None] | None = None,
    ) -> Image.Image:
        import torch

        pipe = self.load()
        pictures = {"mask": None if self.card.mask_free else mask, "masked_image": masked_image}
        options = {"num_inference_steps": steps, "guidance_scale": guidance}
        state = generator.get_state()
        with self._turn:
            try:
                return self._run(pipe, person, garment, **pictures, **options, generator=generator, on_step=on_step)
            except torch.OutOfMemoryError as error:
                self._step_down(pipe, error, say)
            generator.set_state(state)
            try:
                return self._run(pipe, person, garment, **pictures, **options, generator=generator, on_step=on_step)
            except torch.OutOfMemoryError as error:
                raise NotEnoughMemory(self.card.id, size=person.size) from error

    def _step_down(self, pipe: CatVTONPipeline, error: Exception, say: Callable[[str], None] | None) -> None:
        """Give up some speed for memory, from now on. Raises NotEnoughMemory when there is nothing left to give."""
        import torch

        lower = self._preset.lower()
        if lower is None:
            raise NotEnoughMemory(self.card.id, size=self.card.size) from error
        log.warning("%s ran out of memory with preset %s; trying %s", self.card.id, self._preset.name, lower.name)
        device = pipe._execution_device
        self._preset = lower
        if device.type == "cuda":
            torch.cuda.empty_cache()
        apply(lower, pipe, device)
        if say is not None:
            say(f'Memory ran out; the picture was made with the slower memory setting "{lower.name}".')

    def _run(
        self,
        pipe: CatVTONPipeline,
        person: Image.Image,
        garment: Image.Image,
        *,
        mask: np.ndarray | None,
        masked_image: Image.Image | None,
        on_step: Callable[[StepReport], None] | None,
        **options: Any,
    ) -> Image.Image:
        steps, size = options["num_inference_steps"], {"width": person.width, "height": person.height}
        people = {"mask": mask, "masked_image": masked_image}
        shown = self._people(
            pixels_key(person, mask, masked_image), lambda: pipe.person_latents(person, **people, **size)
        )
        worn = self._garments(
            pixels_key(garment, np.array(person.size)), lambda: pipe.garment_latents(garment, **size)
        )

        def report(_: Any, index: int, __: Any, tensors: dict[str, torch.Tensor]) -> None:
            if on_step is not None:
                denoised = tensors["denoised"]
                on_step(StepReport(step=index + 1, steps=steps, preview=lambda: pipe.preview(denoised)[0]))

        output = pipe(
            image_latents=shown,
            condition_latents=worn,
            mask=mask,
            **size,
            one_row_at_a_time=self._preset.one_row_at_a_time,
            callback_on_step_end=report,
            callback_on_step_end_tensor_inputs=("denoised",),
            **options,
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


def by_name(engines: Iterable[Engine]) -> dict[str, Engine]:
    return {engine.card.name: engine for engine in engines}
