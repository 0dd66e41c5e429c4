"""What was made of the last few photos, so that asking again about the same one costs next to nothing."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from PIL import Image

T = TypeVar("T")


class PhotoMemory(Generic[T]):
    """Remembers `make(photo)` by the photo's pixels; threads that ask for the same photo wait for one making.

    Args:
        make: called with the photo in RGB. What it raises reaches everyone who waits, and is not remembered.
        remember: how many results to keep, the latest used; 0 keeps none. No photo is kept, only a hash of it.
    """

    def __init__(self, make: Callable[[Image.Image], T], *, remember: int) -> None:
        if remember < 0:
            raise ValueError(f"remember must be 0 or more, not {remember}")
        self._make = make
        self._remember = remember
        self._seen: OrderedDict[bytes, Future[T]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, image: Image.Image) -> T:
        """The result for a photo of any mode and size, made now or recalled."""
        photo = image.convert("RGB")
        if not self._remember:
            return self._make(photo)
        key = hashlib.blake2b(repr(photo.size).encode() + photo.tobytes(), digest_size=16).digest()
        with self._lock:
            future = self._seen.get(key)
            mine = future is None
            if future is None:
                future = self._seen[key] = Future()
            self._seen.move_to_end(key)
            while len(self._seen) > self._remember:
                self._seen.popitem(last=False)
        if mine:
            self._fulfil(future, key, photo)
        return future.result()

    def forget(self) -> None:
        """Drop everything remembered."""
        with self._lock:
            self._seen.clear()

    def _fulfil(self, future: Future[T], key: bytes, photo: Image.Image) -> None:
        """Make it for everyone who waits; a failure reaches them too, but is not remembered."""
        try:
            future.set_result(self._make(photo))
        except BaseException as error:
            with self._lock:
                if self._seen.get(key) is future:
                    del self._seen[key]
            future.set_exception(error)
