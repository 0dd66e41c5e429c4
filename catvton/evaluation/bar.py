"""The progress bar of every evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def bar(things: Iterable[Any], what: str, count: int) -> Iterable[Any]:
    """The same things, while the terminal shows how many of `count` have come."""
    from tqdm import tqdm

    return tqdm(things, desc=f"{what:<9}", total=count, leave=False)
