"""The errors this project raises on purpose.

An `InputError` is for the person at the page or the keyboard: its text is a sentence they can act on, and its `code`
is for programs. Everything outside this family is a fault of ours: the outer layers log it and show a plain sentence.
"""

from __future__ import annotations


class TryOnError(Exception):
    """Base of every error raised by this package on purpose."""


class InputError(TryOnError, ValueError):
    """Something in the request that its author can mend.

    `str(error)` is one or two sentences in plain words: what is wrong, and what is accepted instead.
    `error.code` is a short stable string for programs and translations, `<subject>.<fault>`: "image.too_large",
    "mask.empty", "option.steps", "person.not_found".
    """

    def __init__(self, message: str, *, code: str = "input.invalid") -> None:
        super().__init__(message)
        self.code = code


class ResultWithheld(InputError):
    """The safety checker flagged every picture of a run; nothing of them leaves it. `code` is "result.withheld"."""

    def __init__(self, *, count: int = 1) -> None:
        what = "The picture was withheld" if count == 1 else f"All {count} pictures were withheld"
        super().__init__(
            f"{what}: the safety checker took {'it' if count == 1 else 'them'} for something that should not be shown. "
            "That is often a false alarm: try another seed or another photo.",
            code="result.withheld",
        )


class SettingsError(TryOnError, ValueError):
    """A setting of the operator's (`.env` or environment) that is unknown or has an impossible value."""


class WeightsError(TryOnError):
    """Weights that are missing, damaged, or of another model; the text names them and what would mend it."""


class NotEnoughMemory(InputError):
    """The engine does not fit the machine's memory, whatever it gives up for it."""

    def __init__(self, engine: str, *, size: tuple[int, int]) -> None:
        super().__init__(
            f"There is not enough memory on this machine for {engine} at {size[0]}x{size[1]}: choose a smaller size, "
            "or another engine.",
            code="engine.memory",
        )


class Cancelled(TryOnError):
    """The run was stopped on request. Not a fault: nothing is logged as one."""
