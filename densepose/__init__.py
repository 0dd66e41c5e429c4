"""Where is each body part? DensePose in plain PyTorch, reading Detectron2's config files and checkpoints.

Names are loaded on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densepose.backends import load
    from densepose.errors import BackendMissing, ConfigError, DensePoseError, WeightsFileError
    from densepose.predictor import DensePose
    from densepose.results import Instance, Surface
    from densepose.weights import convert

__all__ = [
    "BackendMissing",
    "ConfigError",
    "DensePose",
    "DensePoseError",
    "Instance",
    "Surface",
    "WeightsFileError",
    "convert",
    "load",
]

_HOMES = {
    "BackendMissing": "densepose.errors",
    "ConfigError": "densepose.errors",
    "DensePose": "densepose.predictor",
    "DensePoseError": "densepose.errors",
    "Instance": "densepose.results",
    "Surface": "densepose.results",
    "WeightsFileError": "densepose.errors",
    "convert": "densepose.weights",
    "load": "densepose.backends",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
