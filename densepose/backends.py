"""Which DensePose: the one of this package, or the real Detectron2 where it is installed."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from densepose.errors import DensePoseError

if TYPE_CHECKING:
    from densepose.detectron2_backend import Detectron2DensePose
    from densepose.predictor import DensePose

BACKENDS = ("torch", "detectron2")


def load(folder: str | PathLike, *, backend: str = "torch", **options: Any) -> DensePose | Detectron2DensePose:
    """What `CATVTON_DENSEPOSE_BACKEND` chooses.

    Args:
        folder: config and weights, see `DensePose.from_pretrained`.
        backend: "torch" (this package) or "detectron2".
        options: `device`, `min_score`, `config`, `weights`.

    Raises:
        DensePoseError: no such backend, or see `DensePose.from_pretrained`; `BackendMissing` without Detectron2.
    """
    if backend not in BACKENDS:
        raise DensePoseError(f'Unknown DensePose backend "{backend}": choose one of {", ".join(BACKENDS)}.')
    if backend == "torch":
        from densepose.predictor import DensePose

        return DensePose.from_pretrained(folder, **options)
    from densepose.detectron2_backend import Detectron2DensePose

    return Detectron2DensePose.from_pretrained(folder, **options)
