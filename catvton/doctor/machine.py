"""The machine: where it computes, its memory, and the folders that are written to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.doctor import Finding, failed, ok, warning

if TYPE_CHECKING:
    from catvton.settings import Settings

GB = 10**9
MEMORY = 2 * GB  # what the built-in engine, its parser and a queue of photos need, with room
DISK = 1 * GB
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


def look(settings: Settings) -> Iterator[Finding]:
    yield device(settings)
    yield memory(_memory())
    yield folder("temp folder", settings.temp_dir or Path(tempfile.gettempdir()), "CATVTON_TEMP_DIR")


def device(settings: Settings) -> Finding:
    from catvton import zerogpu
    from catvton.devices import choose
    from catvton.errors import SettingsError

    if zerogpu.active():
        return ok("device", "A graphics card is borrowed for each picture (ZeroGPU).")
    try:
        where, kind = choose(settings.device, settings.dtype)
    except SettingsError as error:
        return failed("device", str(error), "Correct CATVTON_DEVICE; in a container, give it the card (--gpus all).")
    return ok("device", f"It computes on {where} in {str(kind).removeprefix('torch.')}.")


def memory(size: int, *, needed: int = MEMORY) -> Finding:
    """Args: size: bytes this process may have."""
    said = f"{size / GB:.1f} GB of memory."
    if size < needed:
        return warning("memory", said, f"Give it {needed / GB:.0f} GB or more, or a run may be its last.")
    return ok("memory", said)


def folder(subject: str, path: Path, setting: str, *, needed: int = DISK) -> Finding:
    """Whether a folder, or the nearest one above it that there is, can be written to and has room."""
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return failed(subject, f"{path} cannot be written to ({error.strerror}).", f"Set {setting} to one that can.")
    free = shutil.disk_usage(there).free
    if free < needed:
        return warning(subject, f"{path} has {free / GB:.1f} GB left.", f"Make room, or set {setting} to another disk.")
    return ok(subject, f"{path} can be written to and has {free / GB:.0f} GB left.")


def _memory() -> int:
    import psutil

    size = psutil.virtual_memory().total
    text = LIMIT.read_text().strip() if LIMIT.is_file() else ""
    return min(size, int(text)) if text.isdigit() else size
