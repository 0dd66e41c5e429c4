"""One file from the hub to the disk: taken up where it broke off, checked while it arrives, moved into place whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from catvton.hub.digest import Digest
from catvton.hub.errors import HubError
from catvton.hub.lock import PinnedFile
from catvton.hub.progress import Count
from catvton.hub.remote import RemoteFile
from catvton.hub.store import writing
from catvton.hub.verify import PARTIAL, human

Open = Callable[[Mapping[str, str]], AbstractContextManager[Any]]
"""`open(headers)`: a context with the response to a GET of the file; status 200, 206 or 416."""


@dataclass(frozen=True)
class Partial:
    """What is there of a file: the bytes so far, and beside them the tag (ETag) of the file they were taken from."""

    path: Path

    @classmethod
    def of(cls, target: Path) -> Partial:
        return cls(target.with_name(target.name + PARTIAL))

    @property
    def _tag(self) -> Path:
        return self.path.with_name(self.path.name + ".etag")

    @property
    def size(self) -> int:
        """Bytes to go on from; bytes without a tag are nobody's."""
        return self.path.stat().st_size if self.path.is_file() and self._tag.is_file() else 0

    @property
    def tag(self) -> str:
        return self._tag.read_text(encoding="utf-8")

    def begin(self, tag: str) -> None:
        """Start anew, as a part of the file with this tag."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._tag.write_text(tag, encoding="utf-8")

    def throw_away(self) -> None:
        self.path.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        os.replace(self.path, target)
        self._tag.unlink(missing_ok=True)


def fetch(open_: Open, target: Path, *, file: RemoteFile, count: Count) -> PinnedFile:
    """Bring a file to `target`; what an earlier try left beside it is taken up.

    Args:
        file: what is known of it; the bytes must agree with every figure given.
        count: told the bytes as they come; those that turn out to be in vain are taken back.

    Raises:
        HubError: it is refused, breaks off (what is there is kept), arrives damaged (it is thrown away), or the disk
            cannot hold it.
    """
    partial = Partial.of(target)
    if file.size is not None and partial.size > file.size:
        count(-partial.size)
        partial.throw_away()
    digest = Digest(git_size=None if file.sha256 else file.size)
    with writing(target.parent):
        if partial.size:
            digest.read(partial.path)
    if file.size is None or digest.size != file.size or not digest.size:
        digest = _receive(open_, partial, digest, file=file, count=count)
    _check(digest, file, partial)
    with writing(target.parent):
        partial.finish(target)
    return PinnedFile(name=file.name, size=digest.size, sha256=digest.sha256)


def _receive(open_: Open, partial: Partial, digest: Digest, *, file: RemoteFile, count: Count) -> Digest:
    """Ask for what is missing and append it. Returns the digest of the whole."""
    have = digest.size
    with open_({"Range": f"bytes={have}-"} if have else {}) as response:
        if have and response.status_code == 206 and _continues(response, partial, file):
            return _append(response, partial, digest, count)
        count(-have)
        if not have or response.status_code == 200:  # a server that does not know ranges sends it all
            return _anew(response, partial, file=file, count=count)
    with writing(partial.path.parent):
        partial.throw_away()
    with open_({}) as response:  # a part of something else: what it belonged to is no more
        return _anew(response, partial, file=file, count=count)


def _anew(response: Any, partial: Partial, *, file: RemoteFile, count: Count) -> Digest:
    with writing(partial.path.parent):
        partial.begin(_etag(response))
    return _append(response, partial, Digest(git_size=None if file.sha256 else file.size), count)


def _append(response: Any, partial: Partial, digest: Digest, count: Count) -> Digest:
    with _appending(partial.path) as out:
        for chunk in response.iter_raw():  # as they come: a connection that breaks loses none
            with writing(partial.path.parent):
                out.write(chunk)
            digest.update(chunk)
            count(len(chunk))
        with writing(partial.path.parent):
            out.flush()
            os.fsync(out.fileno())
    return digest


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[BinaryIO]:
    """The file, open at its end. Closing writes what is still in memory, so a full disk may show only there."""
    with writing(path.parent):
        out = path.open("ab")
    try:
        yield out
    finally:
        with writing(path.parent):
            out.close()


def _continues(response: Any, partial: Partial, file: RemoteFile) -> bool:
    """Whether the answer is the rest of the same file, from the byte that was asked for."""
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    same_size = file.size is None or total in ("*", str(file.size))
    return span.startswith(f"{partial.size}-") and same_size and _etag(response) == partial.tag


def _etag(response: Any) -> str:
    """The file's tag. The hub's own (on its way to a CDN) says more than the CDN's; "" where there is none."""
    for answer in (*response.history, response):
        if tag := answer.headers.get("X-Linked-ETag"):
            return tag.strip('"')
    return response.headers.get("ETag", "").strip('"')


def _check(digest: Digest, file: RemoteFile, partial: Partial) -> None:
    """Raises HubError if the bytes are not the file's. Fewer than all are kept for the next try, others are not."""
    if file.size is not None and digest.size < file.size:
        raise HubError(
            f"{file.name} broke off at {human(digest.size)} of {human(file.size)}; what is there is kept.",
            code="hub.connection",
        )
    pairs = [("sha256", digest.sha256, file.sha256), ("size", digest.size, file.size)]
    if digest.git_sha1:
        pairs.append(("git sha1", digest.git_sha1, file.git_sha1))
    for what, found, expected in pairs:
        if expected is not None and found != expected:
            with writing(partial.path.parent):
                partial.throw_away()
            raise HubError(
                f"{file.name} arrived damaged and was thrown away: its {what} is {found}, not {expected}.",
                code="hub.damaged",
            )
