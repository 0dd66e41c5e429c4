"""What the open pages have chosen and made, kept in memory for as long as they are open, and never on disk."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A picture file: its bytes, the (width, height) of the upright picture in it, and the name to offer it under."""

    data: bytes
    size: tuple[int, int]
    name: str = ""

    @property
    def files(self) -> tuple[Kept, ...]:
        return (self,)


class Thing(Protocol):
    """What may stand on the shelf: anything that says which files it holds on to."""

    @property
    def files(self) -> tuple[Kept, ...]: ...


@dataclass
class _Place:
    used: float
    slots: dict[str, Any] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Bytes; a file that several things hold on to counts once."""
        files = {id(file): file for thing in self.slots.values() for file in thing.files}
        return sum(len(file.data) for file in files.values())


class Shelf:
    """Named things per page session, bounded: the sessions longest unused give way.

    Args:
        max_bytes: of all files together; the newest session always stays.
        max_each: bytes of one session, over which the oldest of its rows' things go (see `append`).
        max_age: seconds without use after which a session's things are forgotten.
    """

    def __init__(self, *, max_bytes: int = 2**29, max_each: int = 2**27, max_age: float = 3600.0,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes, self._max_each, self._max_age, self._clock = max_bytes, max_each, max_age, clock
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._guard = threading.Lock()

    def put(self, session: str, slot: str, thing: Thing) -> None:
        with self._guard:
            self._touch(session).slots[slot] = thing
            self._make_room()

    def get(self, session: str, slot: str) -> Any:
        """The thing in a slot, or None."""
        with self._guard:
            self._forget_old()
            if session not in self._places:
                return None
            return self._touch(session).slots.get(slot)

    def append(self, session: str, row: str, thing: Thing, *, most: int) -> int:
        """Add to the end of a row; its oldest things go when there are more than `most`, or the session is too heavy.

        Returns:
            The thing's number in the row, counted from 1 and never given twice while the row has things in it.
        """
        with self._guard:
            slots = self._touch(session).slots
            number = max(_numbers(slots, row), default=0) + 1
            slots[f"{row}:{number}"] = thing
            self._shorten(session, row, most=most)
            self._make_room()
            return number

    def row(self, session: str, row: str) -> dict[int, Any]:
        """{number: thing} of a row, the oldest first."""
        with self._guard:
            self._forget_old()
            if session not in self._places:
                return {}
            slots = self._touch(session).slots
            return {number: slots[f"{row}:{number}"] for number in _numbers(slots, row)}

    def drop(self, session: str, slot: str | None = None) -> None:
        """Forget one thing of a session ("row:3" is the third of a row), or all of them."""
        with self._guard:
            if slot is None:
                self._places.pop(session, None)
            elif session in self._places:
                self._places[session].slots.pop(slot, None)

    def __len__(self) -> int:
        """How many sessions have something here."""
        return len(self._places)

    def _touch(self, session: str) -> _Place:
        place = self._places.setdefault(session, _Place(used=0.0))
        place.used = self._clock()
        self._places.move_to_end(session)
        return place

    def _forget_old(self) -> None:
        limit = self._clock() - self._max_age
        while self._places and next(iter(self._places.values())).used < limit:
            self._places.popitem(last=False)

    def _shorten(self, session: str, row: str, *, most: int) -> None:
        place = self._places[session]
        numbers = _numbers(place.slots, row)
        while len(numbers) > most or (len(numbers) > 1 and place.weight > self._max_each):
            del place.slots[f"{row}:{numbers.pop(0)}"]

    def _make_room(self) -> None:
        self._forget_old()
        while len(self._places) > 1 and sum(place.weight for place in self._places.values()) > self._max_bytes:
            self._places.popitem(last=False)


def _numbers(slots: dict[str, Any], row: str) -> list[int]:
    """The numbers in use in a row, in order."""
    return sorted(int(name.removeprefix(f"{row}:")) for name in slots if name.startswith(f"{row}:"))
