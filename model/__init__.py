"""Which pixels of a person photo may change? Parsers and the mask drawn from them.

Names are loaded on first use, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.agnostic import agnostic_mask
    from model.automasker import AutoMasker, Mask
    from model.errors import CheckpointError, MaskError, NoPersonFound, PartNotVisible
    from model.label_sets import Atr, Lip
    from model.labels import Body, Label
    from model.parsing import Parse
    from model.published import PublishedMask, PublishedMasker, PublishedParse
    from model.schp import SCHP

__all__ = [
    "SCHP",
    "Atr",
    "AutoMasker",
    "Body",
    "CheckpointError",
    "Label",
    "Lip",
    "Mask",
    "MaskError",
    "NoPersonFound",
    "Parse",
    "PartNotVisible",
    "PublishedMask",
    "PublishedMasker",
    "PublishedParse",
    "agnostic_mask",
]

_HOMES = {
    "agnostic_mask": "model.agnostic",
    "AutoMasker": "model.automasker",
    "Atr": "model.label_sets",
    "Lip": "model.label_sets",
    "CheckpointError": "model.errors",
    "Mask": "model.automasker",
    "Body": "model.labels",
    "Label": "model.labels",
    "MaskError": "model.errors",
    "NoPersonFound": "model.errors",
    "Parse": "model.parsing",
    "PartNotVisible": "model.errors",
    "PublishedMask": "model.published",
    "PublishedMasker": "model.published",
    "PublishedParse": "model.published",
    "SCHP": "model.schp",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
