"""Measuring: seconds and peak memory of each stage of a try-on, beside the machine they were measured on."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catvton.engines import StepReport
    from catvton.result import TryOnRequest
    from catvton.tryon import TryOn

MEBIBYTE = 2**20


def machine() -> dict[str, Any]:
    """What the figures were measured on: processor, cores, memory, accelerator, versions."""
    import psutil
    import torch

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machine_lines(machine: dict[str, Any]) -> list[str]:
    """`machine()` in two lines of words."""
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB",
        f"{machine['gpu'] or 'no GPU'}, torch {machine['torch']}, Python {machine['python']}",
    ]


def measure(tryon: TryOn, request: TryOnRequest, *, repeat: int = 3) -> dict[str, Any]:
    """Run a request `repeat` times after one run that does not count.

    Returns:
        {"engine", "size", "steps", "photo", "load_seconds", "seconds", "stages": {stage: {"seconds", "peak_mb"}}};
        seconds are medians, peak_mb the highest memory of the whole process (MiB), on a GPU the GPU's.
    """
    start = time.perf_counter()
    tryon.load(request.engine)
    loaded = time.perf_counter() - start

    tryon.run(request)
    runs, meter = [], MemoryMeter()
    for _ in range(repeat):
        with meter.running():
            runs.append(tryon.run(request, on_step=meter.listen))
    peaks = meter.peaks()
    return {
        "engine": runs[0].engine,
        "size": list(runs[0].size),
        "steps": runs[0].steps,
        "guidance": runs[0].guidance,
        "photo": list(runs[0].person.size),
        "repeat": repeat,
        "load_seconds": round(loaded, 2),
        "seconds": round(statistics.median(sum(run.seconds.values()) for run in runs), 2),
        "stages": {
            stage: {
                "seconds": round(statistics.median(run.seconds[stage] for run in runs), 3),
                "peak_mb": peaks.get(stage),
            }
            for stage in runs[0].seconds
        },
    }


def markdown(figures: dict[str, Any]) -> str:
    """`measure`'s figures, and the machine's under "machine", as a page of Markdown."""
    width, height = figures["size"]
    photo_width, photo_height = figures["photo"]
    rows = [
        f"| {stage} | {row['seconds']:.2f} | {row['peak_mb'] or ''} |" for stage, row in figures["stages"].items()
    ]
    return "\n".join([
        "# Seconds and memory of a try-on",
        "",
        *(f"- {line}" for line in machine_lines(figures["machine"])),
        f"- engine {figures['engine']} at {width}x{height}, {figures['steps']} steps, guidance {figures['guidance']:g}",
        f"- photo of {photo_width}x{photo_height}; median of {figures['repeat']} runs; "
        f"loading took {figures['load_seconds']:.1f} s",
        "",
        "| stage | seconds | peak memory, MiB |",
        "| --- | ---: | ---: |",
        *rows,
        f"| all | {figures['seconds']:.2f} | |",
        "",
    ])  # fmt: skip


@dataclass
class MemoryMeter:
    """The highest memory seen in each stage, in MiB: of the GPU where there is one, else of this process."""

    interval: float = 0.01

    def __post_init__(self) -> None:
        self._peaks: dict[str, float] = {}
        self._stage = "open"
        self._over = threading.Event()

    def listen(self, report: StepReport) -> None:
        """A run's listener: notes which stage begins."""
        if report.stage != self._stage:
            self._note()
            self._stage = report.stage
            _reset_gpu_peak()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Watch while the block runs."""
        self._stage = "open"
        self._over.clear()
        _reset_gpu_peak()
        watcher = threading.Thread(target=self._watch, name="memory-meter", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            watcher.join()

    def peaks(self) -> dict[str, int]:
        return {stage: round(peak) for stage, peak in self._peaks.items()}

    def _watch(self) -> None:
        while not self._over.wait(self.interval):
            self._note()
        self._note()

    def _note(self) -> None:
        stage = self._stage
        self._peaks[stage] = max(self._peaks.get(stage, 0.0), _memory() / MEBIBYTE)


def _memory() -> int:
    """Bytes in use: the GPU's peak since the last reset, or this process's resident memory now."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return psutil.Process().memory_info().rss


def _reset_gpu_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
