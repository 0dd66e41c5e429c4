"""The one place where a request's options are checked, for the page, the API and the command line alike."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from catvton.errors import InputError
from catvton.result import MAX_SEED, SHOWS, TryOnRequest

if TYPE_CHECKING:
    from catvton.cards import ModelCard, Range

MAX_VARIATIONS = 4


@dataclass(frozen=True, kw_only=True)
class Options:
    """A request's options, checked, with the engine's defaults filled in and a seed drawn where -1 was asked."""

    card: ModelCard
    part: str
    show: str
    size: tuple[int, int]
    steps: int
    guidance: float
    seeds: tuple[int, ...]


def check_options(request: TryOnRequest, cards: Mapping[str, ModelCard], *, default: str) -> Options:
    """Check every option of a request.

    Args:
        cards: the engines on offer; default: the name of the one used when the request names none.

    Raises:
        InputError: an option is not what is accepted; the text names both, `code` is "option.<name>".
    """
    name = one_of("engine", default if request.engine is None else request.engine, tuple(cards))
    card = cards[name]
    seed = whole("seed", request.seed, minimum=-1, maximum=MAX_SEED)
    count = whole("variations", request.variations, minimum=1, maximum=MAX_VARIATIONS)
    return Options(
        card=card,
        part=one_of("part", request.part, card.parts),
        show=one_of("show", request.show, SHOWS),
        size=_size(request.size, card),
        steps=_steps(request.steps, card.steps),
        guidance=_guidance(request.guidance, card.guidance),
        seeds=_seeds(seed, count),
    )


def check_mask_options(cards: Mapping[str, ModelCard], *, part: Any, engine: Any = None) -> tuple[str, str]:
    """(part, engine name) of a request for a mask; `cards` as for `check_options`, the default first.

    Raises:
        InputError: as `check_options` does.
    """
    name = one_of("engine", next(iter(cards)) if engine is None else engine, tuple(cards))
    return one_of("part", part, cards[name].parts), name


def one_of(option: str, value: Any, accepted: tuple[str, ...]) -> str:
    """`value` if it is one of the accepted words; InputError "option.<option>" otherwise."""
    if not isinstance(value, str) or value not in accepted:
        words = ", ".join(f'"{word}"' for word in accepted)
        raise _refusal(option, value, f"choose one of {words}")
    return value


def whole(option: str, value: Any, *, minimum: int, maximum: int) -> int:
    """`value` as an int within the range (20.0 counts as 20); InputError "option.<option>" otherwise."""
    number = _number(value)
    if number is None or not number.is_integer() or not minimum <= number <= maximum:
        raise _refusal(option, value, f"a whole number from {minimum} to {maximum} is accepted")
    return int(value)


def _number(value: Any) -> float | None:
    """A finite float, or None. Booleans are no numbers here, and text is not parsed: a "5" is a caller's mistake."""
    if isinstance(value, bool) or not isinstance(value, (Integral, Real)):
        return None
    try:
        number = float(value)
    except OverflowError:  # an int beyond a float's range
        return None
    return number if math.isfinite(number) else None


def _steps(value: Any, allowed: Range) -> int:
    if value is None:
        return int(allowed.default)
    return whole("steps", value, minimum=int(allowed.minimum), maximum=int(allowed.maximum))


def _guidance(value: Any, allowed: Range) -> float:
    if value is None:
        return float(allowed.default)
    number = _number(value)
    if number is None or not allowed.minimum <= number <= allowed.maximum:
        raise _refusal("guidance", value, f"a number from {allowed.minimum:g} to {allowed.maximum:g} is accepted")
    return number


def _size(value: Any, card: ModelCard) -> tuple[int, int]:
    if value is None:
        return card.size
    wanted = value.lower().split("x") if isinstance(value, str) else value
    try:
        wanted = tuple(int(side) for side in wanted)
    except (TypeError, ValueError, OverflowError):  # the last: int(inf)
        wanted = None
    if wanted not in card.sizes:
        sizes = ", ".join(f"{width}x{height}" for width, height in card.sizes)
        raise _refusal("size", value, f'the engine "{card.name}" works at {sizes}')
    return wanted


def _seeds(seed: int, count: int) -> tuple[int, ...]:
    first = secrets.randbelow(MAX_SEED + 1) if seed == -1 else seed
    return tuple((first + n) % (MAX_SEED + 1) for n in range(count))


def _refusal(option: str, value: Any, accepted: str) -> InputError:
    shown = repr(value) if isinstance(value, str) else str(value)
    if len(shown) > 40:
        shown = shown[:37] + "..."
    return InputError(f"{option.capitalize()} {shown} is not possible: {accepted}.", code=f"option.{option}")
