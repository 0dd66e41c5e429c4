"""Read a Detectron2 checkpoint, a pickle of numpy arrays, without running anything it says.

A pickle is a program: it names callables, and loading calls them. Here every name resolves to a class of this module
or to an error, so not even numpy is called by the file: an array is rebuilt from its bytes, its shape and one of a few
plain number types, all checked. Files by numpy 1 (`numpy.core`) and numpy 2 (`numpy._core`), by Python 2 and 3, differ
only in names and in how bytes are written.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from densepose.errors import WeightsFileError

# What the standard library raises on a file that is no pickle, or a broken one.
_DAMAGED = (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError, MemoryError,
            OverflowError, RecursionError, struct.error)  # fmt: skip

NUMBERS = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"))


def read_pickle(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a checkpoint: {"model": {key: array}, ...}, or bare {key: array}.

    Raises:
        WeightsFileError: the file cannot be read, is damaged, or holds or calls anything but plain arrays.
    """
    try:
        with path.open("rb") as file:
            return dict(_arrays(_ArraysOnly(file, encoding="latin1").load()))
    except OSError as error:
        raise WeightsFileError(f"The weights file {path} cannot be read: {error.strerror or error}.") from error
    except WeightsFileError as error:
        raise WeightsFileError(f"{path.name}: {error}") from error
    except _DAMAGED as error:
        raise WeightsFileError(f"{path.name} is damaged or no checkpoint: {error}") from error


def _arrays(content: Any) -> Iterator[tuple[str, np.ndarray]]:
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise WeightsFileError("it is no Detectron2 checkpoint: it has no arrays under 'model'.")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, _Array):
            raise WeightsFileError(f"it holds something else than arrays at {key!r}.")
        yield key, value.array()


class _Closed:
    """Base of what names resolve to: a file cannot reach into an instance or a class."""

    def __setstate__(self, state: Any) -> None:
        raise WeightsFileError(f"it sets the inside of {type(self).__name__.strip('_')}, which arrays do not need.")


class _NdArray(_Closed):
    """Stands for the class `numpy.ndarray`: only ever an argument, never called."""

    def __init__(self, *args: Any) -> None:
        raise WeightsFileError("it calls numpy.ndarray.")


class _Bytes(_Closed):
    """`_codecs.encode(text, "latin1")`: how Python 3 writes bytes in protocol 2; `bytes()` for none."""

    def __new__(cls, text: str = "", codec: str = "latin1") -> bytes:  # type: ignore[misc]
        if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
            raise WeightsFileError(f"it encodes text as {codec!r}.")
        return text.encode("latin1")


class _DType:
    """`numpy.dtype(code, align, copy)`, then its state, of which only the byte order matters."""

    def __init__(self, code: str = "", *_flags: Any) -> None:
        if code not in NUMBERS:
            raise WeightsFileError(f"it has values of type {code!r}, which are no plain numbers.")
        self.name = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise WeightsFileError(f"it has the byte order {order!r}.")
        self.name = order + self.name.lstrip("<>|=")


class _Array:
    """`numpy.core.multiarray._reconstruct(ndarray, (0,), b"b")`, then its state: version, shape, type, order, bytes."""

    def __init__(self, *_prototype: Any) -> None:
        self._state: tuple[tuple[int, ...], str, bool, bytes] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, columns_first, data = state
        data = data.encode("latin1") if isinstance(data, str) else data  # Python 2's strings
        sizes_fit = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if not (sizes_fit and isinstance(dtype, _DType) and isinstance(data, bytes)):
            raise WeightsFileError("it has an array that is not made of numbers.")
        if prod(shape) * np.dtype(dtype.name).itemsize != len(data):
            raise WeightsFileError(f"it has an array of shape {shape} with {len(data)} bytes.")
        self._state = shape, dtype.name, bool(columns_first), data

    def array(self) -> np.ndarray:
        """The array itself, read-only."""
        if self._state is None:
            raise WeightsFileError("it has an array without content.")
        shape, dtype, columns_first, data = self._state
        return np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")


class _Mapping(dict):
    """`collections.OrderedDict`; what PyTorch notes in its attributes is dropped."""

    def __setstate__(self, state: Any) -> None:
        """Nothing of it is kept."""


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _NdArray,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,  # how protocol 2 writes no bytes at all
    ("collections", "OrderedDict"): _Mapping,
}


# The unpickler written in Python: it keeps what it remembers in a dict, where the one in C makes room for whatever
# number a broken file names, gigabytes of it. A checkpoint is a few thousand steps, so it is as fast.
class _ArraysOnly(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise WeightsFileError(f"it asks for {module}.{name}, but a checkpoint needs arrays only: do not use it.")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise WeightsFileError(f"it refers to something outside itself ({pid!r}).")
