"""Whether the app can do its work: only once the default engine has really made a picture."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import numpy as np

from catvton import zerogpu
from catvton.errors import TryOnError
from catvton.records import NOBODY
from catvton.result import TryOnRequest
from catvton.service.context import route

if TYPE_CHECKING:
    from catvton.service.gated import GatedTryOn

log = logging.getLogger(__name__)

SIZE = 192, 256  # of the picture to warm up with


class Readiness:
    """Remembers the first picture of the default engine.

    Attributes:
        fault: why warming up failed, in words, or "".
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._made = threading.Event()
        self.fault = ""

    @property
    def ready(self) -> bool:
        return self._made.is_set()

    def made(self, engine: str) -> None:
        """`engine` ("name@revision") has made a picture."""
        if engine == self._engine:
            self._made.set()
            self.fault = ""


def warm_up(tryon: GatedTryOn, readiness: Readiness) -> None:
    """Load the default engine and let it make one picture, while the first visitor is still choosing theirs."""
    route.set("warm-up")
    try:
        tryon.load()
        if not zerogpu.active():  # where a card is lent for a visitor's request only: ready once one has been served
            tryon.run(smallest_request(tryon))
    except TryOnError as error:
        readiness.fault = str(error)
        log.error("warming up failed: %s", error)


def smallest_request(tryon: GatedTryOn) -> TryOnRequest:
    """The quickest picture the default engine can make: nobody, in colours, with a hole in the middle."""
    card = next(iter(tryon.cards.values()))
    width, height = SIZE
    rows, columns = np.mgrid[:height, :width]
    nobody = np.stack([150 + rows % 40, 150 + columns % 40, np.full((height, width), 170)], axis=-1).astype(np.uint8)
    hole = np.zeros((height, width), np.uint8)
    hole[height // 3 : height // 2, width // 3 : -width // 3] = 255
    return TryOnRequest(person=nobody, garment=np.ascontiguousarray(nobody[::-1]), mask=hole,
                        steps=int(card.steps.minimum), size=min(card.sizes), seed=0, account=NOBODY)
