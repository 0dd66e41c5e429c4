"""Which pixels of a person photo may change? Parsers and the mask drawn from them.

Names are loaded on first use, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.automasker import AutoMasker, Mask
    from model.errors import MaskError, NoPersonFound, PartNotVisible
    from model.labels import Body, Label
    from model.parsing import Parse

__all__ = ["AutoMasker", "Body", "Label", "Mask", "MaskError", "NoPersonFound", "Parse", "PartNotVisible"]

_HOMES = {
    "AutoMasker": "model.automasker",
    "Mask": "model.automasker",
    "Body": "model.labels",
    "Label": "model.labels",
    "MaskError": "model.errors",
    "NoPersonFound": "model.errors",
    "Parse": "model.parsing",
    "PartNotVisible": "model.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
