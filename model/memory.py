"""What was made of the last few pictures, so that asking again about the same ones costs next to nothing."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

T = TypeVar("T")


def pixels_key(*pictures: Image.Image | np.ndarray | None) -> bytes:
    """A hash of pictures (PIL, any mode; arrays, any shape), their order and which of them are None."""
    digest = hashlib.blake2b(digest_size=16)
    for picture in pictures:
        mode = picture.mode if isinstance(picture, Image.Image) else ""
        pixels = np.ascontiguousarray(picture) if picture is not None else None
        digest.update(repr((mode, None if pixels is None else (pixels.shape, str(pixels.dtype)))).encode())
        digest.update(b"" if pixels is None else pixels.data)
    return digest.digest()


class Memory(Generic[T]):
    """Remembers what was made for a key; threads that ask for the same one wait for one making.

    Args:
        remember: how many results to keep, the latest used; 0 keeps none.
    """

    def __init__(self, remember: int) -> None:
        if remember < 0:
            raise ValueError(f"remember must be 0 or more, not {remember}")
        self._remember = remember
        self._seen: OrderedDict[bytes, Future[T]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, key: bytes, make: Callable[[], T]) -> T:
        """What `make` gives for the key, now or earlier. What it raises reaches all who wait, and is not remembered."""
        if not self._remember:
            return make()
        with self._lock:
            future = self._seen.get(key)
            mine = future is None
            if future is None:
                future = self._seen[key] = Future()
            self._seen.move_to_end(key)
            while len(self._seen) > self._remember:
                self._seen.popitem(last=False)
        if mine:
            self._fulfil(future, key, make)
        return future.result()

    def forget(self) -> None:
        """Drop everything remembered."""
        with self._lock:
            self._seen.clear()

    def _fulfil(self, future: Future[T], key: bytes, make: Callable[[], T]) -> None:
        """Make it for everyone who waits; a failure reaches them too."""
        try:
            future.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._seen.get(key) is future:
                    del self._seen[key]
            future.set_exception(error)


class PhotoMemory(Generic[T]):
    """Remembers `make(photo)` by the photo's pixels.

    Args:
        make: called with the photo in RGB.
        remember: how many results to keep; no photo is kept, only a hash of it.
    """

    def __init__(self, make: Callable[[Image.Image], T], *, remember: int) -> None:
        self._make, self._remember = make, remember
        self._memory: Memory[T] = Memory(remember)

    def __call__(self, image: Image.Image) -> T:
        """The result for a photo of any mode and size, made now or recalled."""
        photo = image.convert("RGB")
        if not self._remember:
            return self._make(photo)
        return self._memory(pixels_key(photo), lambda: self._make(photo))

    def forget(self) -> None:
        """Drop everything remembered."""
        self._memory.forget()
