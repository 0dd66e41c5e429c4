"""Try-on sets on disk: VITON-HD, DressCode, tables of pairs, WebDataset shards. Each name is loaded when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catvton.datasets.cases import Case, Pictures
    from catvton.datasets.dresscode import DressCode
    from catvton.datasets.faults import Fault
    from catvton.datasets.shards import Shards
    from catvton.datasets.source import Source, open_source
    from catvton.datasets.table import PairTable
    from catvton.datasets.vitonhd import VitonHD

__all__ = ["Case", "DressCode", "Fault", "PairTable", "Pictures", "Shards", "Source", "VitonHD", "open_source"]

_HOMES = {
    "Case": "cases",
    "DressCode": "dresscode",
    "Fault": "faults",
    "PairTable": "table",
    "Pictures": "cases",
    "Shards": "shards",
    "Source": "source",
    "VitonHD": "vitonhd",
    "open_source": "source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
