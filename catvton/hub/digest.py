"""What a file's bytes come to: the sha256 that weights are known by, and the sha1 git knows small files by."""

from __future__ import annotations

import hashlib
from pathlib import Path

from catvton.hub.progress import Count

CHUNK = 1 << 20


class Digest:
    """Bytes are told to it in order. With `git_size`, the file's whole size, git's sha1 of it is counted as well."""

    def __init__(self, *, git_size: int | None = None) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._git = None
        if git_size is not None:
            self._git = hashlib.sha1(b"blob %d\0" % git_size, usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._sha256.update(chunk)
        if self._git is not None:
            self._git.update(chunk)

    def read(self, path: Path, count: Count = lambda number: None) -> Digest:
        """Take in a whole file."""
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self.update(chunk)
                count(len(chunk))
        return self

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def git_sha1(self) -> str | None:
        return None if self._git is None else self._git.hexdigest()
