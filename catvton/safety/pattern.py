"""The watermark's tile: which frequencies carry the coded bits, which tell where the tile begins.

A tile is 128 x 128 and repeats over the whole picture, so its spectrum is a comb of single frequencies. Those between
`LOWEST` and `HIGHEST` are used: coarse enough to outlive JPEG and a picture of half the size, fine enough to be
taken for grain. A fifth of them have fixed phases, from which the reader learns the tile's offset; each of the others
adds the signs of two coded bits. Which is which comes from a hash, not from a random generator: a picture marked today
must be readable by every later version of this program and of numpy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from catvton.safety.ecc import CODED_BITS

SIDE = 128
LOWEST, HIGHEST = 0.05, 0.20  # cycles per pixel
_SYNC_SHARE = 5  # one frequency in five
_FINER = 2  # offsets are told to half a pixel


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which frequency does what.

    Attributes:
        sync, data: int (n,), indices into the flat 128 x 128 spectrum; its other half follows, as pixels are real.
        phases: complex (len(sync),), the fixed values.
        signs: float (2 * len(data),), +-1: real parts' first, then imaginary parts'; bits: which coded bit each adds.
    """

    sync: np.ndarray
    data: np.ndarray
    phases: np.ndarray
    signs: np.ndarray
    bits: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Peak:
    """A place where the tile may begin.

    Attributes:
        x, y: pixels, in halves, from the left and the top.
        height: in standard deviations of all places; noise alone reaches about 4.
    """

    x: float
    y: float
    height: float


def tile(bits: np.ndarray) -> np.ndarray:
    """The tile (float32 128 x 128, mean 0, standard deviation 1) that carries the coded bits (uint8 (258,))."""
    plan = layout()
    values = plan.signs * (1 - 2 * bits[plan.bits].astype(np.float64))
    spectrum = np.zeros(SIDE * SIDE, complex)
    spectrum[plan.sync] = plan.phases
    spectrum[plan.data] = values[: len(plan.data)] + 1j * values[len(plan.data) :]
    pixels = np.fft.ifft2(spectrum.reshape(SIDE, SIDE)).real
    return (pixels / pixels.std()).astype(np.float32)


def spectrum(folded: np.ndarray) -> np.ndarray:
    """The flat spectrum (complex (16384,)) of a sum of tiles (float 128 x 128), each frequency by how little noise is
    around it."""
    raw = np.fft.fft2(folded)
    power, ring = np.abs(raw) ** 2, _rings()
    noise = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    return (raw / np.maximum(noise, 1e-12)[ring]).ravel()


def peaks(found: np.ndarray, count: int) -> list[Peak]:
    """Where the tile may begin by its sync frequencies, likeliest first. found: a spectrum."""
    plan = layout()
    side = _FINER * SIDE
    rows, columns = np.divmod(plan.sync, SIDE)
    product = np.zeros((side, columns.max() + 1), complex)  # of the finer picture's spectrum what is not 0
    product[np.where(rows < SIDE // 2, rows, rows + side - SIDE), columns] = found[plan.sync] * plan.phases.conj()
    product[:, 0] *= 2  # the other columns come twice, as pixels are real
    likely = np.fft.irfft(np.fft.ifft(product, axis=0), side, axis=1)
    likely /= max(float(likely.std()), 1e-12)
    places = []
    for _ in range(count):
        y, x = np.unravel_index(int(likely.argmax()), likely.shape)
        places.append(Peak(x=x / _FINER, y=y / _FINER, height=float(likely[y, x])))
        near = np.arange(-3, 4)
        likely[np.ix_((y + near) % side, (x + near) % side)] = -np.inf
    return places


def soft_bits(found: np.ndarray, peak: Peak) -> np.ndarray:
    """Soft values (float (258,), above 0 is bit 0) of a spectrum whose tile begins at `peak`."""
    plan = layout()
    rows, columns = np.divmod(plan.data, SIDE)
    frequencies = np.fft.fftfreq(SIDE)
    turned = found[plan.data] * np.exp(2j * np.pi * (frequencies[rows] * peak.y + frequencies[columns] * peak.x))
    soft = np.bincount(plan.bits, np.concatenate([turned.real, turned.imag]) * plan.signs, CODED_BITS)
    return soft / max(float(np.sqrt(np.mean(soft**2))), 1e-12)


@cache
def layout() -> Layout:
    """The one layout there is."""
    vertical, horizontal = np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None]
    radius = np.hypot(vertical, horizontal)
    half = (horizontal > 0) | ((horizontal == 0) & (vertical > 0))
    used = np.flatnonzero((radius >= LOWEST) & (radius <= HIGHEST) & half)
    mixed = used[np.argsort(_hashed(b"catvton watermark 1: order", len(used)), kind="stable")]
    sync, data = np.split(mixed, [len(mixed) // _SYNC_SHARE])
    signs = 1.0 - 2.0 * (_hashed(b"catvton watermark 1: signs", 2 * len(mixed)) & 1)
    fixed, free = np.split(signs, [2 * len(sync)])
    phases = fixed[: len(sync)] + 1j * fixed[len(sync) :]
    return Layout(sync=sync, data=data, phases=phases, signs=free, bits=np.arange(len(free)) % CODED_BITS)


def _hashed(key: bytes, count: int) -> np.ndarray:
    return np.frombuffer(hashlib.shake_256(key).digest(4 * count), "<u4")


@cache
def _rings() -> np.ndarray:
    """int 128 x 128: each frequency's distance from 0, in whole cycles per tile."""
    frequency = np.fft.fftfreq(SIDE, 1 / SIDE)
    return np.rint(np.hypot(frequency[:, None], frequency[None])).astype(int)
