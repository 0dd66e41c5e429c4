"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Count = Callable[[int], object]
"""Called with the number of bytes done since the last call; negative when they were in vain."""

Progress = Callable[[str, int | None, int], AbstractContextManager[Count]]
"""`progress(label, bytes in all or None, bytes done before)`: a context around the work that gives a `Count`."""


@contextlib.contextmanager
def silent(label: str, total: int | None, done: int = 0) -> Iterator[Count]:
    yield lambda count: None
