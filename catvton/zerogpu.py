"""Hugging Face's ZeroGPU: a graphics card that is there only inside one function, in a process of its own.

The package `spaces`, which such a Space brings along, runs what is decorated with `spaces.GPU` in a fork of this
process and gives it a card for as many seconds as were asked for. Only what can be pickled crosses, there and back:
no callback, no generator of torch's, no error of ours. So the work is one value, and what comes back are the values
that a generator in that process yields; `BorrowedEngine` turns them into what any `Engine` does. Closing it stops the
run at its next step.

The card is asked for around the denoising and nothing else, because its seconds are the visitor's quota: masks,
placing, safety and marks are made on the processor, and so is whatever the built-in engine makes. Weights are loaded
before the server starts and in the main thread, where `spaces` keeps what is moved to "cuda" for the forks. Half-made
pictures do not cross: the engines that need a card have a safety checker, and those show the photo until the result
was checked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from catvton.engines import PipelineEngine, StepReport
from catvton.errors import Cancelled, InputError, TryOnError, WeightsError
from catvton.progress import as_stream

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from catvton.cards import ModelCard
    from catvton.engines import Engine
    from catvton.progress import Listener

log = logging.getLogger(__name__)

# How long to ask for: what is used is charged, but who asks for less waits less. Assumed, on the safe side.
START_SECONDS = 12.0  # a process, the weights onto the card, encoding and decoding
STEP_SECONDS = 0.4
STEP_PIXELS = 768 * 1024

_YES = ("1", "t", "true")


def active() -> bool:
    """Whether this process runs on a ZeroGPU Space."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in _YES


@dataclass(frozen=True, kw_only=True)
class Work:
    """One `Engine.generate`, ready to be pickled.

    Attributes:
        engine: its name; person, garment, masked_image: PIL RGB; mask: uint8 HxW {0, 255}.
        state: the state of the request's generator.
    """

    engine: str
    person: Image.Image
    garment: Image.Image
    mask: np.ndarray
    masked_image: Image.Image | None
    steps: int
    guidance: float
    state: bytes


@dataclass(frozen=True)
class Stepped:
    step: int
    steps: int


@dataclass(frozen=True)
class Said:
    sentence: str


@dataclass(frozen=True)
class Made:
    picture: Image.Image
    state: bytes


@dataclass(frozen=True)
class Failed:
    """An error of ours. `code` is an `InputError`'s, or ""."""

    sentence: str
    code: str = ""


News = Stepped | Said | Made | Failed
Generate = Callable[[Work], Iterator[News]]


def seconds(work: Work) -> int:
    """How long the card is asked for. Attention grows faster than the picture does."""
    width, height = work.person.size
    rows = 1.0 if work.guidance > 1 else 0.6
    step = STEP_SECONDS * rows * (width * height / STEP_PIXELS) ** 1.5
    return round(START_SECONDS + work.steps * step)


def prepare() -> None:
    """Import `spaces`, which from then on stands in for CUDA in this process. Before anything asks for a device."""
    import spaces  # noqa: F401


def engines(cards: Iterable[ModelCard], *, dtype: str = "auto", memory: str = "auto") -> list[Engine]:
    """The engines of a ZeroGPU Space: those that ship with the app on the processor, the others on a borrowed card.

    Loads the others' weights now. Call it in the main thread, before the server starts.

    Args:
        dtype, memory: as for `PipelineEngine`; moving networks off the card ("low") is left to `spaces`.
    """
    import spaces

    memory = "balanced" if memory == "low" else memory
    here = {card.name: PipelineEngine(card, device="cpu") for card in cards if not card.sources}
    there = {card.name: PipelineEngine(card, device="cuda", dtype=dtype, memory=memory)
             for card in cards if card.sources}
    generate = spaces.GPU(duration=seconds)(on_the_card(there))
    for engine in there.values():
        _load(engine)
    return [here.get(card.name) or BorrowedEngine(there[card.name], generate) for card in cards]


def _load(engine: PipelineEngine) -> None:
    try:
        engine.load()
    except WeightsError as error:  # its requests will say the same; the other engines go on
        log.error("%s", error)


class BorrowedEngine:
    """An engine whose `generate` happens where there is a card.

    Args:
        engine: the engine itself, loaded before the first fork.
        generate: `on_the_card`, decorated.
    """

    def __init__(self, engine: PipelineEngine, generate: Generate) -> None:
        self.card = engine.card
        self._engine, self._generate = engine, generate

    def load(self) -> Any:
        return self._engine.load()

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
        on_step: Listener | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Image.Image:
        """See `Engine.generate`; a step's preview is the person as they are. InputError where no card can be had."""
        work = Work(engine=self.card.name, person=person, garment=garment, mask=mask, masked_image=masked_image,
                    steps=steps, guidance=guidance, state=_state(generator))
        made = None
        with closing(_asking(self._generate(work))) as news:
            for item in news:  # to its end, so that the card is given back in the usual way
                made = item if isinstance(item, Made) else made
                _pass_on(item, person, on_step, say)
        if made is None:
            raise RuntimeError("The process with the card ended without a picture.")
        _set_state(generator, made.state)
        return made.picture


def _pass_on(item: News, person: Image.Image, on_step: Listener | None, say: Callable[[str], None] | None) -> None:
    if isinstance(item, Failed):
        raise InputError(item.sentence, code=item.code) if item.code else WeightsError(item.sentence)
    if isinstance(item, Stepped) and on_step is not None:
        on_step(StepReport(step=item.step, steps=item.steps, preview=lambda: person))
    if isinstance(item, Said) and say is not None:
        say(item.sentence)


def _asking(news: Iterator[News]) -> Iterator[News]:
    """The same news. What `spaces` says where it lends no card, of quotas and waiting, is its reader's to mend."""
    from gradio import Error

    try:
        yield from news
    except Error as error:
        if "worker" in str(error.title):  # our own fault: the process ended, or an error nobody foresaw
            raise RuntimeError(f"{error.title}: {error.message}") from error
        raise InputError(str(error.message), code="engine.gpu") from error


def on_the_card(engines: Mapping[str, PipelineEngine]) -> Generate:
    """The function for `spaces.GPU`: does the work with one of the engines and yields what is to be told."""

    def generate(work: Work) -> Iterator[News]:
        last = step = None
        for item in as_stream(lambda listen: _run(engines[work.engine], work, listen)):
            step = item if isinstance(item, Stepped) else step
            yield step if item is last else item  # nothing new for a second: the step again, the chance to stop the run
            last = item

    return generate


def _run(engine: PipelineEngine, work: Work, tell: Callable[[News], None]) -> Made | Failed:
    import torch

    generator = _set_state(torch.Generator("cpu"), work.state)
    tell(Stepped(0, work.steps))
    try:
        picture = engine.generate(
            work.person, work.garment, work.mask, masked_image=work.masked_image, steps=work.steps,
            guidance=work.guidance, generator=generator, say=lambda sentence: tell(Said(sentence)),
            on_step=lambda report: tell(Stepped(report.step, report.steps)),
        )  # fmt: skip
    except Cancelled:
        raise  # nobody listens any more
    except InputError as error:
        return Failed(str(error), error.code)
    except TryOnError as error:
        return Failed(str(error))
    return Made(picture, _state(generator))


def _state(generator: torch.Generator) -> bytes:
    return generator.get_state().numpy().tobytes()


def _set_state(generator: torch.Generator, state: bytes) -> torch.Generator:
    import torch

    return generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
