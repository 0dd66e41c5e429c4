"""What the open pages have chosen and made, kept in memory for as long as they are open, and never on disk."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A picture file: its bytes, the (width, height) of the upright picture in it, and the name to offer it under."""

    data: bytes
    size: tuple[int, int]
    name: str = ""


@dataclass
class _Place:
    used: float
    slots: dict[str, Kept] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        return sum(len(kept.data) for kept in self.slots.values())


class Shelf:
    """Named pictures per page session, bounded: the sessions longest unused give way.

    Args:
        max_bytes: of all pictures together; the newest session always stays.
        max_age: seconds without use after which a session's pictures are forgotten.
    """

    def __init__(self, *, max_bytes: int = 2**29, max_age: float = 3600.0,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes, self._max_age, self._clock = max_bytes, max_age, clock
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._guard = threading.Lock()

    def put(self, session: str, slot: str, kept: Kept) -> None:
        with self._guard:
            self._touch(session).slots[slot] = kept
            self._make_room()

    def get(self, session: str, slot: str) -> Kept | None:
        with self._guard:
            self._forget_old()
            if session not in self._places:
                return None
            return self._touch(session).slots.get(slot)

    def drop(self, session: str, slot: str | None = None) -> None:
        """Forget one picture of a session, or all of them."""
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

    def _make_room(self) -> None:
        self._forget_old()
        while len(self._places) > 1 and sum(place.weight for place in self._places.values()) > self._max_bytes:
            self._places.popitem(last=False)
