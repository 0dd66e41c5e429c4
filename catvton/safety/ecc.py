"""The 48 bits of a job number as 258 coded bits that survive noise, and back, or None: never a wrong number.

Check bits first, then a convolutional code (rate 1/3, 64 states), undone by the Viterbi algorithm on soft values. What
noise decodes to passes the check once in 2**32 times. Plain numpy; knows nothing of pictures.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np

PAYLOAD_BITS = 48
CHECK_BITS = 32
_SALT = b"catvton watermark 1"  # so that zeros are no valid codeword, nor is what somebody else's program wrote

# The best known generators of a rate 1/3 code that remembers six bits (standard tables of convolutional codes).
_GENERATORS = (0o133, 0o171, 0o165)
_MEMORY = 6
_STATES = 1 << _MEMORY

CODED_BITS = (PAYLOAD_BITS + CHECK_BITS + _MEMORY) * len(_GENERATORS)


def encode(payload: int) -> np.ndarray:
    """A number below 2**48 as uint8 bits of shape (258,). Raises ValueError for another number."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"The payload must be a number from 0 to 2**{PAYLOAD_BITS} - 1, not {payload}.")
    data = payload.to_bytes(PAYLOAD_BITS // 8, "big")
    bits = np.unpackbits(np.frombuffer(data + _check(data), np.uint8))
    state, coded = 0, []
    for bit in (*bits.tolist(), *(0,) * _MEMORY):  # the zeros lead the coder back to where the decoder begins
        register = state << 1 | bit
        coded += [(register & generator).bit_count() & 1 for generator in _GENERATORS]
        state = register & (_STATES - 1)
    return np.array(coded, np.uint8)


def decode(soft: np.ndarray) -> int | None:
    """The payload behind 258 soft values (float, above 0 means bit 0, the size says how surely), or None.

    None: the check bits do not fit, as they do not for anything but a codeword with few enough errors.
    """
    data = np.packbits(_most_likely(np.asarray(soft, np.float32))).tobytes()
    payload, check = data[: PAYLOAD_BITS // 8], data[PAYLOAD_BITS // 8 :]
    return int.from_bytes(payload, "big") if check == _check(payload) else None


def _check(data: bytes) -> bytes:
    return zlib.crc32(_SALT + data).to_bytes(CHECK_BITS // 8, "big")


def _most_likely(soft: np.ndarray) -> np.ndarray:
    """uint8 (80,): the bits whose codeword agrees best with the soft values; the Viterbi algorithm."""
    before, signs = _trellis()
    branches = np.einsum("skg,tg->tsk", signs, soft.reshape(-1, len(_GENERATORS)))
    score = np.full(_STATES, -np.inf, np.float32)
    score[0] = 0
    choices = np.empty((len(branches), _STATES), np.uint8)
    for step, branch in enumerate(branches):
        ways = score[before] + branch
        choices[step] = ways[:, 1] > ways[:, 0]
        score = ways.max(axis=1)
    return _walk_back(before, choices)[: PAYLOAD_BITS + CHECK_BITS]


def _walk_back(before: np.ndarray, choices: np.ndarray) -> np.ndarray:
    state, bits = 0, np.empty(len(choices), np.uint8)
    for step in range(len(choices) - 1, -1, -1):
        bits[step] = state & 1
        state = before[state, choices[step, state]]
    return bits


@cache
def _trellis() -> tuple[np.ndarray, np.ndarray]:
    """(int (64, 2): the states from which a state is reached; float32 (64, 2, 3): what is sent on the way, as +-1)."""
    states = np.arange(_STATES)
    before = np.stack([states >> 1, states >> 1 | _STATES >> 1], axis=1)
    registers = before << 1 | (states & 1)[:, None]
    sent = np.bitwise_count(registers[..., None] & np.array(_GENERATORS)) & 1
    return before, (1 - 2 * sent.astype(np.float32))
