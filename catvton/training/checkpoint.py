"""Checkpoints: a file for each, written whole or not at all, the last few kept."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from catvton.errors import WeightsError


class Checkpoints:
    """The checkpoints of a run, `00001200.pt` for step 1200, in a folder of their own.

    Args:
        keep: how many of the newest stay when another is written.
        parts: names that a checkpoint's content must have.
    """

    def __init__(self, folder: Path, *, keep: int, parts: Set[str] = frozenset()) -> None:
        self.folder, self.keep, self.parts = folder, keep, parts

    @property
    def newest(self) -> Path | None:
        """The one of the highest step, or None."""
        return max(self.folder.glob("*.pt"), default=None)

    def write(self, step: int, content: dict[str, Any]) -> None:
        """Write one and remove the oldest. A kill meanwhile leaves the others intact."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{step:08d}.pt"
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())  # a renamed file that is still empty after a power cut would be worse than none
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        for old in sorted(self.folder.glob("*.pt"))[: -self.keep]:
            old.unlink()

    def read(self) -> dict[str, Any] | None:
        """The newest one's content with its tensors on the CPU; None when there is none.

        Raises:
            WeightsError: it is damaged, or lacks a part.
        """
        path = self.newest
        if path is None:
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, UnpicklingError, ValueError, LookupError) as error:
            raise WeightsError(f"{path} is damaged: remove it to go on from the checkpoint before it.") from error
        if not isinstance(content, dict) or self.parts - content.keys():
            raise WeightsError(f"{path} is not a checkpoint of this version: begin anew in another folder.")
        return content
