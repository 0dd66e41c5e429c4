"""The real Detectron2 behind the face of `DensePose`, for those who have it and want to compare.

It runs in a process of its own, which may even use another Python: its DensePose package has the same name as this one,
and it needs torchvision, which breaks other libraries when it does not match (nothing else here imports it).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densepose import detectron2_worker as worker
from densepose.charts import place
from densepose.errors import BackendMissing
from densepose.photos import enlarge, reduce
from densepose.pickled import read_pickle
from densepose.predictor import find_config
from densepose.results import Instance, scale_box
from densepose.weights import find_weights

INSTALL = "python -m pip install --no-build-isolation -r requirements-detectron2.txt"


class Detectron2DensePose:
    """`DensePose` by Detectron2 itself. Safe to share between threads; photos wait for each other.

    `close()` ends the process; so does forgetting the object.
    """

    def __init__(self, settings: dict[str, Any], *, python: str = sys.executable) -> None:
        self._lock = threading.Lock()
        self._process = _start(settings, python)
        self._end = weakref.finalize(self, _stop, self._process)
        greeting = self._receive()
        if "missing" in greeting:
            self.close()
            raise BackendMissing(
                f"Detectron2 with its DensePose project is not installed ({greeting['missing']}). Install it with: "
                f"{INSTALL}"
            )

    @classmethod
    def from_pretrained(
        cls, folder: str | PathLike, *, device: str = "cpu", min_score: float = 0.8, config: str | None = None,
        weights: str | None = None, python: str = sys.executable,
    ) -> Detectron2DensePose:  # fmt: skip
        """As `DensePose.from_pretrained`; of the weights, the .pkl is used.

        Args:
            python: the interpreter that has Detectron2.

        Raises:
            BackendMissing: Detectron2 is not there, or does not start.
            ConfigError, WeightsFileError: as in `DensePose.from_pretrained`.
        """
        path = find_weights(Path(folder), name=weights, suffixes=(".pkl",))
        read_pickle(path)  # Detectron2 would run whatever is in it: what is more than arrays is refused here
        settings = {
            "config": str(find_config(Path(folder), name=config).resolve()),
            "weights": str(path.resolve()),
            "device": str(device),
            "min_score": min_score,
        }
        return cls(settings, python=python)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """uint8 (H, W), labels 0 to 24 of the top-scoring person; all 0 when there is nobody."""
        found = self.instances(image, at_most=1)
        return found[0].labels if found else np.zeros((image.height, image.width), np.uint8)

    def instances(self, image: Image.Image, *, at_most: int = 20) -> tuple[Instance, ...]:
        """Everybody in the photo, best score first, at most `at_most` of them."""
        frame = reduce(image)
        with self._lock:
            answer = self._ask(bgr=frame, at_most=at_most)
        size, photo_size = frame.shape[:2], (image.height, image.width)
        return tuple(
            Instance(
                scale_box(box.tolist(), size, photo_size),
                float(score),
                enlarge(place(answer[f"labels_{n}"], (int(box[0]), int(box[1])), size), photo_size),
            )
            for n, (box, score) in enumerate(zip(answer["boxes"], answer["scores"], strict=True))
        )

    def close(self) -> None:
        self._end()

    def _ask(self, **request: Any) -> dict[str, np.ndarray]:
        try:
            worker.send(self._process.stdin, **request)
        except (OSError, ValueError) as error:  # the pipe is broken, or closed
            raise BackendMissing("The Detectron2 process has ended; its last words are in the log.") from error
        return self._receive()

    def _receive(self) -> dict[str, np.ndarray]:
        answer = worker.receive(self._process.stdout)
        if answer is None:
            self.close()
            raise BackendMissing("The Detectron2 process has ended; its last words are in the log.")
        return answer


def _start(settings: dict[str, Any], python: str) -> subprocess.Popen:
    command = [python, str(Path(worker.__file__).resolve()), json.dumps(settings)]
    root = str(Path(worker.__file__).resolve().parent.parent)
    kept = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != root]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(kept)}
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    except OSError as error:
        raise BackendMissing(f"{python} cannot be started: {error.strerror or error}.") from error


def _stop(process: subprocess.Popen) -> None:
    """The end of its input is the end of the work; a process that does not see it is killed."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was not yet sent may find nobody to read it
            pipe.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
