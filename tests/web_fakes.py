"""A `TryOn` without a model for the web tests: quick, deterministic, and slow only when a test holds its gate."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from catvton.cards import RESOURCE, ModelCard, Range
from catvton.engines import StepReport
from catvton.errors import InputError
from catvton.images import open_mask, open_picture
from catvton.options import check_options
from catvton.progress import Progress, as_stream
from catvton.result import TryOnRequest, TryOnResult
from catvton.safety.statement import Statement
from catvton.settings import Settings
from catvton.web.examples import EXAMPLES
from catvton.web.server import Server, start
from tests.ports import free_port


def card(name: str, *, steps: Range, commercial: bool = True) -> ModelCard:
    return ModelCard(
        name=name, revision="1", title=f"{name.capitalize()} engine", description="", licence="Apache-2.0",
        commercial=commercial, folder=RESOURCE, files=(), mend="", sizes=((288, 384),), steps=steps,
        guidance=Range(default=2.5, minimum=0, maximum=7.5), placement=False,
    )


@dataclass
class FakeTryOn:
    """Colours the masked pixels with the garment's mean colour, shifted by the seed.

    Attributes:
        gate: closed, every step waits for it; a test thereby decides when a run goes on.
        free_steps: so many steps of a run pass a closed gate; holds: so do all of a run for another part than this.
        started: set by the first step of a run; ended: set while none is under way; steps_done: over all runs.
        closing: set when somebody closes a run's stream, or it ends.
        requests: what was asked, in order; refuses: {how manieth of them: the error it ends with}.
    """

    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    requests: list[TryOnRequest] = field(default_factory=list)
    steps_done: int = 0
    free_steps: int = 0
    holds: str = ""
    refuses: dict[int, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def cards(self) -> dict[str, ModelCard]:
        cards = (card("plain", steps=Range(default=4, minimum=1, maximum=50)),
                 card("careful", steps=Range(default=20, minimum=10, maximum=100), commercial=False))
        return {each.name: each for each in cards}

    def load(self, engine: str | None = None) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to close."""

    def run(self, request: TryOnRequest, on_step: Any = None) -> TryOnResult:
        self.ended.clear()
        try:
            return self._run(request, on_step)
        finally:
            self.ended.set()

    def _run(self, request: TryOnRequest, on_step: Any) -> TryOnResult:
        self.requests.append(request)
        if len(self.requests) in self.refuses:
            raise self.refuses[len(self.requests)]
        options = check_options(request, self.cards, default="plain")
        steps = options.steps * len(options.seeds)
        track = Progress(on_step, steps=steps)
        with track.stage("open"):
            photo = open_picture(request.person)
            garment = open_picture(request.garment, what="garment photo")
            mask = self.mask(photo, options.part).mask if request.mask is None else open_mask(
                request.mask, size=photo.size)
        with track.stage("generate", preview=photo):
            report = track.steps(finish=lambda picture: picture)
            for step in range(1, steps + 1):
                self.started.set()
                if step > self.free_steps and self.holds in ("", options.part):
                    self.gate.wait(600)
                self.steps_done += 1
                report(StepReport(step=step, steps=steps, preview=lambda: photo))
        images = tuple(_coloured(photo, garment, mask, seed) for seed in options.seeds)
        return TryOnResult(
            image=images[0], images=images, mask=mask, person=photo, garment=garment, part=options.part,
            steps=options.steps, guidance=options.guidance, size=options.size, seed=options.seeds[0],
            seeds=options.seeds, engine=options.card.id, seconds=track.seconds, notes=("A note for <you>.",),
            job_id="0" * 12, statement=Statement(engine=options.card.id, job_id="0" * 12),
        )

    def stream(self, request: TryOnRequest) -> Iterator[StepReport | TryOnResult]:
        items = as_stream(lambda listener: self.run(request, listener))
        try:
            for item in items:  # noqa: UP028  `yield from` would hand a close() on before anything is noted
                yield item
        finally:
            self.closing.set()
            items.close()

    def mask(self, person: Any, part: str = "upper", *, engine: str | None = None) -> Any:
        """The middle of the photo, for "lower" what is below it; a photo that is one flat colour shows no person."""
        if part not in ("upper", "lower", "overall"):
            raise InputError(f'Part "{part}" is not possible.', code="option.part")
        pixels = np.asarray(open_picture(person))
        if np.ptp(pixels.reshape(-1, 3), axis=0).max() == 0:
            raise InputError("No person was found in the photo: use one that shows a whole person.",
                             code="person.not_found")
        height, width = pixels.shape[:2]
        mask = np.zeros((height, width), np.uint8)
        top = height // 2 if part == "lower" else height // 4
        mask[top:top + height // 4, width // 4:3 * width // 4] = 255
        return SimpleNamespace(mask=mask, notes=())


def _coloured(photo: Image.Image, garment: Image.Image, mask: np.ndarray, seed: int) -> Image.Image:
    colour = (np.asarray(garment).reshape(-1, 3).mean(0) + seed % 50).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.where(mask[..., None] > 0, colour, np.asarray(photo)))


# ---- pictures and servers --------------------------------------------------------------------------------------------


def person_picture(size: tuple[int, int] = (300, 400)) -> Image.Image:
    """A figure on grey, RGB, with enough in it that no two pixels of a row need to be equal."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([150 + rows % 40, 150 + columns % 40, np.full((height, width), 170)], -1).astype(np.uint8)
    pixels[height // 4:height // 2, width // 3:2 * width // 3] = (70, 90, 130)
    return Image.fromarray(pixels)


def garment_picture(colour: tuple[int, int, int] = (200, 40, 60)) -> Image.Image:
    picture = Image.new("RGB", (120, 140), "white")
    picture.paste(colour, (30, 20, 90, 120))
    return picture


def layer(
    size: tuple[int, int], box: tuple[int, ...] | None = None, colour: tuple[int, ...] = (226, 70, 111, 153)
) -> bytes:
    """A painted layer as the browser sends it: a PNG, transparent but for `box`."""
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    if box:
        picture.paste(colour, box)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def saved(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


@contextmanager
def serving(tryon: Any, temp_dir: Path, *, example_folder: Path = EXAMPLES, **settings: Any) -> Iterator[Server]:
    """A live server on a free port of this machine."""
    port = free_port()
    server = start(Settings(port=port, temp_dir=temp_dir, **settings), tryon, examples=example_folder)
    try:
        yield server
    finally:
        server.close()
