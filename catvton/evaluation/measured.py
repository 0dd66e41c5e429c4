"""What was measured of each image, kept in a file beside the results: scoring again is quick, or goes on where it was.

An image is known by the bytes of its two files, by the networks and by `DEFINITION`, so nothing stale is ever taken.
"""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from catvton.errors import InputError
from catvton.evaluation.inception import FEATURES

log = logging.getLogger(__name__)

DEFINITION = 1  # to be raised when a picture is made ready in another way, so that what was kept is measured anew


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One image: Inception's features of the result and of its truth, float32 (2048,) each; SSIM and LPIPS of the two,
    NaN where they were not asked for."""

    result: np.ndarray
    truth: np.ndarray
    ssim: float
    lpips: float


def read(path: Path) -> dict[str, Measured]:
    """{key: what was measured}; nothing where there is no file, or one that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            keys, results, truths, likeness = (file[name] for name in ("keys", "results", "truths", "likeness"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read and is made anew: %s", path, error)
        return {}
    return {
        str(key): Measured(result=result, truth=truth, ssim=float(ssim), lpips=float(lpips))
        for key, result, truth, (ssim, lpips) in zip(keys, results, truths, likeness, strict=True)
    }


def write(path: Path, rows: Mapping[str, Measured]) -> None:
    """Replace the file as a whole. Raises InputError ("output.write")."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            np.savez(
                file,
                keys=np.array(list(rows), dtype=np.str_),
                results=np.array([row.result for row in rows.values()], np.float32).reshape(-1, FEATURES),
                truths=np.array([row.truth for row in rows.values()], np.float32).reshape(-1, FEATURES),
                likeness=np.array([(row.ssim, row.lpips) for row in rows.values()], np.float64).reshape(-1, 2),
            )
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"Cannot write {path}: {error.strerror or error}.", code="output.write") from error
