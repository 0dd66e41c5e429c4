"""CatVTON Studio: virtual try-on. Importing this package is light; each name below is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catvton.errors import Cancelled, InputError, TryOnError, WeightsError
    from catvton.pipeline import CatVTONPipeline
    from catvton.result import TryOnRequest, TryOnResult
    from catvton.settings import Settings
    from catvton.tryon import TryOn

__version__ = "0.1.0"
__all__ = [
    "Cancelled",
    "CatVTONPipeline",
    "InputError",
    "Settings",
    "TryOn",
    "TryOnError",
    "TryOnRequest",
    "TryOnResult",
    "WeightsError",
]

_HOMES = {
    "Cancelled": "catvton.errors",
    "CatVTONPipeline": "catvton.pipeline",
    "InputError": "catvton.errors",
    "Settings": "catvton.settings",
    "TryOn": "catvton.tryon",
    "TryOnError": "catvton.errors",
    "TryOnRequest": "catvton.result",
    "TryOnResult": "catvton.result",
    "WeightsError": "catvton.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
