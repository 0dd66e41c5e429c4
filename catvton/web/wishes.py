"""What one press of the button asks for: one garment, several in turn, or an outfit, as runs one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.result import TryOnRequest, TryOnResult
from catvton.web.looks import Look, looks_of
from catvton.web.previews import Moment, watch
from catvton.web.shelf import Kept

if TYPE_CHECKING:
    import numpy as np

    from catvton.tryon import TryOn

OUTFIT = "outfit"  # a part only the page knows: the top, then on its result the bottom


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to try on whom.

    Attributes:
        person: the photo.
        garments: tried on in turn, each on the photo; of an outfit the top and the bottom.
        part: a `TryOnRequest` part, or `OUTFIT`.
        mask: uint8 HxW {0, 255} of the photo's size, or None. An outfit has none.
        steps, guidance, seed, engine, variations: as in `TryOnRequest`, unchecked.
    """

    person: Kept
    garments: tuple[Kept, ...]
    part: Any
    mask: np.ndarray | None = None
    steps: Any = None
    guidance: Any = None
    seed: Any = 42
    engine: Any = None
    variations: Any = 1

    def request(self, garment: Kept) -> TryOnRequest:
        return TryOnRequest(
            person=self.person.data,
            garment=garment.data,
            part=self.part,
            mask=self.mask,
            steps=self.steps,
            guidance=self.guidance,
            seed=self.seed,
            engine=self.engine,
            variations=self.variations,
        )


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A garment of several that could not be tried on; run: which one, counted from 1."""

    run: int
    error: InputError


def fulfil(tryon: TryOn, wish: Wish) -> Iterator[Moment | Look | Skipped]:
    """Do what was wished. Closing it stops the run at work, without making the closer wait.

    Raises:
        InputError: nothing came of it; where some garments worked the others are told as `Skipped`.
    """
    yield from _outfit(tryon, wish) if wish.part == OUTFIT else _each(tryon, wish)


def _each(tryon: TryOn, wish: Wish) -> Iterator[Moment | Look | Skipped]:
    troubles: list[Skipped] = []
    for run, garment in enumerate(wish.garments, start=1):
        try:
            result = yield from _run(tryon, wish.request(garment), run=run, runs=len(wish.garments))
        except InputError as error:
            troubles.append(Skipped(run=run, error=error))
            continue
        yield from looks_of(result, person=wish.person, garments=(garment,), part=wish.part)
    if len(troubles) == len(wish.garments):
        raise troubles[0].error
    yield from troubles


def _outfit(tryon: TryOn, wish: Wish) -> Iterator[Moment | Look]:
    """The top, in as many variations as are wished, and on each of them the bottom with the same seed."""
    top, bottom = wish.garments
    first = replace(wish, part="upper", mask=None).request(top)
    # How many runs there are is known for sure only after the first: of the variations some may be withheld.
    runs = 1 + (wish.variations if isinstance(wish.variations, int) else 1)
    result = yield from _run(tryon, first, run=1, runs=runs)
    tops = looks_of(result, person=wish.person, garments=(top,), part=OUTFIT)
    yield from tops
    for run, half in enumerate(tops, start=2):
        dressed = replace(first, person=half.picture.data, garment=bottom.data, part="lower", seed=half.info["seed"],
                          variations=1)
        whole = yield from _run(tryon, dressed, run=run, runs=1 + len(tops))
        yield from looks_of(whole, person=wish.person, garments=(top, bottom), part=OUTFIT, under=result.mask)


def _run(tryon: TryOn, request: TryOnRequest, *, run: int, runs: int) -> Iterator[Moment]:
    """Yields the run's moments; returns its result."""
    with closing(aside(watch(tryon, request))) as items:
        for item in items:
            if isinstance(item, TryOnResult):
                return item
            yield replace(item, run=run, runs=runs)
    raise RuntimeError("a run ended without a result")


def aside(stream: Iterator[Any]) -> Iterator[Any]:
    """The same stream, whose closing does not make the closer wait: that is gradio's event loop."""
    try:
        for item in stream:  # noqa: UP028  `yield from` would hand a close() on, and wait for the step's end
            yield item
    finally:
        _elsewhere(stream.close)


def _elsewhere(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="catvton-stop", daemon=True).start()
