"""A hub like Hugging Face's, on this machine: the few addresses huggingface_hub and our downloads use, over HTTP.

    with FakeHub({"owner/name": {"config.json": b"{}", "model.safetensors": Path("weights.safetensors")}}) as hub:
        subprocess.run([...], env=hub.environment(CATVTON_MODELS_DIR=folder))

As on the real one, small text files are known by git's sha1 and sent as they are; weights are known by their sha256 and
sent by a second server on another port (a "CDN"), to which the first one redirects and which must see no token. What
goes wrong is switched on with the attributes, at any time, also while a download runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from catvton.cards import MODELS

CHUNK = 1 << 20
WEIGHTS = (".safetensors", ".bin", ".pth", ".pkl")


@dataclass(frozen=True)
class Entry:
    """A file of a repository: its bytes or where they lie, and what the hub says of them."""

    data: bytes | Path
    size: int
    sha256: str
    git_sha1: str
    lfs: bool

    @classmethod
    def of(cls, name: str, data: bytes | Path) -> Entry:
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        whole, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        for chunk in _chunks(data, 0):
            whole.update(chunk)
            git.update(chunk)
        return cls(data, size, whole.hexdigest(), git.hexdigest(), name.endswith(WEIGHTS))

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.git_sha1

    def described(self, name: str) -> dict[str, Any]:
        told = {"rfilename": name, "size": self.size, "blobId": self.git_sha1}
        return told | ({"lfs": {"sha256": self.sha256, "size": self.size, "pointerSize": 134}} if self.lfs else {})


@dataclass(frozen=True)
class Request:
    """What was asked: `host` is "hub" or "cdn"; `file` is the name in the repository, "" for a listing."""

    host: str
    method: str
    path: str
    file: str
    range: str | None
    token: str | None


@dataclass
class FakeHub:
    """A running hub; a context manager.

    Attributes:
        repos: {"owner/name": {file name: bytes or path}} to begin with.
        token: the only access token that is known; None: none is.
        gated: repositories whose files only that token may have; hidden: those only it may see.
        die_after: the connection is cut after so many bytes of a file; stall_after: nothing more comes after them until
            `go_on` is set.
        ignore_ranges: a part is asked for, and the whole is sent.
        corrupt: names of files of which a byte is wrong on its way.
        answer: a status every request gets instead of an answer, e.g. 503.
        requests: what was asked, in order; sent: bytes of file bodies that went out, by file name.
    """

    repos: Mapping[str, Mapping[str, bytes | Path]] = field(default_factory=dict)
    token: str | None = None
    gated: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    die_after: int | None = None
    stall_after: int | None = None
    ignore_ranges: bool = False
    corrupt: set[str] = field(default_factory=set)
    answer: int | None = None
    requests: list[Request] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._commits: dict[str, dict[str, dict[str, Entry]]] = {}
        self._branches: dict[str, dict[str, str]] = {}
        self._servers = {host: self._server(host) for host in ("hub", "cdn")}
        for repo, files in self.repos.items():
            self.publish(repo, files)

    def publish(self, repo: str, files: Mapping[str, bytes | Path], *, branch: str = "main") -> str:
        """Put a new commit with exactly these files at the end of a branch. Returns the commit."""
        entries = {name: Entry.of(name, data) for name, data in files.items()}
        listed = json.dumps([repo, sorted((name, entry.sha256) for name, entry in entries.items())])
        commit = hashlib.sha1(listed.encode(), usedforsecurity=False).hexdigest()
        self._commits.setdefault(repo, {})[commit] = entries
        self._branches.setdefault(repo, {})[branch] = commit
        return commit

    def remove(self, repo: str) -> None:
        """The repository is gone, as runwayml's is."""
        del self._commits[repo], self._branches[repo]

    def commit(self, repo: str, revision: str = "main") -> str:
        return self._branches[repo].get(revision, revision)

    def asked(self, file: str) -> list[Request]:
        """The requests for a file's body that reached the server that sends it."""
        return [each for each in self.requests if each.file == file and each.method == "GET" and self._sends(each)]

    def forget(self) -> None:
        """Begin to count anew."""
        self.requests.clear()
        self.sent.clear()

    # ---- where it is -------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers['hub'].server_port}"

    def environment(self, **changes: str | os.PathLike) -> dict[str, str]:
        """This process's environment for a subprocess, pointed at this hub and freed of a developer's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "CATVTON_"))}
        home = Path(changes.pop("HF_HOME", "nowhere"))
        own = {"HF_ENDPOINT": self.url, "HF_HOME": home, "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return kept | {name: os.fspath(value) for name, value in (own | changes).items()}

    def point_here(self, monkeypatch: Any, *, token_file: Path) -> None:
        """Point this process's huggingface_hub at this hub (its settings are read when it is imported)."""
        from huggingface_hub import close_session, constants

        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(token_file))
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        template = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        close_session()

    def __enter__(self) -> FakeHub:
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def _server(self, host: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"hub": self, "host": host})
        return _Server(("127.0.0.1", 0), handler)

    def _sends(self, request: Request) -> bool:
        return request.host == "cdn" or not request.file.endswith(WEIGHTS)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that went away in the middle is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    """One request; `hub` and `host` are set by the server's own subclass."""

    hub: FakeHub
    host: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        file = re.fullmatch(r"(?:/cdn)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        self._note(path, file[3] if file else "")
        if self.hub.answer is not None:
            self._refuse(self.hub.answer, "", "Out of order")
        elif listing and self._may_see(listing[1], listing[2] or "main"):
            self._list(listing[1], listing[2] or "main")
        elif file and self.host == "cdn":
            self._send(file[3], self.hub._commits[file[1]][file[2]][file[3]])
        elif file and self._may_see(file[1], file[2]) and self._may_have(file[1]):
            self._resolve(file[1], file[2], file[3])
        elif not listing and not file:
            self._refuse(404, "", f"There is no {path}")

    do_HEAD = do_GET

    def _note(self, path: str, file: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        asked = Request(self.host, self.command, path, file, self.headers.get("Range"), token)
        self.hub.requests.append(asked)
        self.token = token

    # ---- who may -----------------------------------------------------------------------------------------------------

    def _may_see(self, repo: str, revision: str) -> bool:
        hub, ours = self.hub, self.token is not None and self.token == self.hub.token
        if self.token is not None and not ours:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repo not in hub._commits or (repo in hub.hidden and not ours):
            self._refuse(404 if ours else 401, "RepoNotFound", "Repository not found")
        elif hub.commit(repo, revision) not in hub._commits[repo]:
            self._refuse(404, "RevisionNotFound", "Invalid rev id")
        else:
            return True
        return False

    def _may_have(self, repo: str) -> bool:
        if repo in self.hub.gated and (self.token is None or self.token != self.hub.token):
            self._refuse(401 if self.token is None else 403, "GatedRepo", "Access to this model is restricted")
            return False
        return True

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": message}).encode()
        self._answer(status, {"X-Error-Code": code, "X-Error-Message": message}, body)

    # ---- what they get -----------------------------------------------------------------------------------------------

    def _list(self, repo: str, revision: str) -> None:
        commit = self.hub.commit(repo, revision)
        files = [entry.described(name) for name, entry in self.hub._commits[repo][commit].items()]
        told = {"id": repo, "sha": commit, "siblings": files, "gated": "auto" if repo in self.hub.gated else False}
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        commit = self.hub.commit(repo, revision)
        entry = self.hub._commits[repo][commit].get(name)
        if entry is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif entry.lfs:
            where = f"http://127.0.0.1:{self.hub._servers['cdn'].server_port}/cdn/{repo}/resolve/{commit}/{name}"
            linked = {"X-Linked-ETag": f'"{entry.etag}"', "X-Linked-Size": str(entry.size)}
            self._answer(302, {"Location": where, "X-Repo-Commit": commit} | linked, b"")
        else:
            self._send(name, entry, {"X-Repo-Commit": commit})

    def _send(self, name: str, entry: Entry, headers: Mapping[str, str] | None = None) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and not self.hub.ignore_ranges else 0
        if start and start >= entry.size:
            return self._answer(416, {"Content-Range": f"bytes */{entry.size}"}, b"")
        span = {"Content-Range": f"bytes {start}-{entry.size - 1}/{entry.size}"} if start else {}
        self._head(206 if start else 200, dict(headers or {}) | span | {"ETag": f'"{entry.etag}"'}, entry.size - start)
        if self.command == "GET":
            self._body(name, entry, start)

    def _body(self, name: str, entry: Entry, start: int) -> None:
        wrong = entry.size // 2 if name in self.hub.corrupt else -1
        at = start
        for piece in _cut(_chunks(entry.data, start), self.hub.die_after, self.hub.stall_after):
            if piece is None:
                self.wfile.flush()
                self.hub.go_on.wait(60)
                continue
            if at <= wrong < at + len(piece):
                piece = piece[: wrong - at] + bytes([piece[wrong - at] ^ 255]) + piece[wrong - at + 1 :]
            self.wfile.write(piece)
            at += len(piece)
            self.hub.sent[name] = self.hub.sent.get(name, 0) + len(piece)
        self.close_connection = at < entry.size

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._head(status, headers, len(body))
        if self.command == "GET":
            self.wfile.write(body)

    def _head(self, status: int, headers: Mapping[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


# ---- the registry that ships, served small ---------------------------------------------------------------------------


def official_repos(make: Callable[[str, str], bytes | Path | None], registry: Path = MODELS) -> dict[str, dict]:
    """{repository: {file: data}} of every first-choice repository of a registry, as its own `FakeHub` wants them.

    Args:
        make: `make(repository, file name)` gives a file's data; None leaves the file out, as where only an alternative
            is published.
    """
    repos: dict[str, dict[str, bytes | Path]] = {}
    for source in tomllib.loads(registry.read_text(encoding="utf-8"))["sources"].values():
        files = repos.setdefault(source["repo"], {})
        for entry in source["files"]:
            for name in _names(entry):
                if (data := make(source["repo"], name)) is not None:
                    files[name] = data
    return repos


def without_figures(path: Path, registry: Path = MODELS) -> Path:
    """Write a file for CATVTON_REGISTRY that takes the published sizes and sha256 from every source of a registry."""
    sources = tomllib.loads(registry.read_text(encoding="utf-8"))["sources"]
    lines = []
    for name, source in sources.items():
        lines += [f"[sources.{name}]", f"files = [{', '.join(map(_bare, source['files']))}]"]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _names(entry: str | dict[str, Any]) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [entry["name"], *(name for other in entry.get("alternatives", ()) for name in _names(other))]


def _bare(entry: str | dict[str, Any]) -> str:
    name, *others = _names(entry)
    return f"{{ name = {json.dumps(name)}, alternatives = {json.dumps(others)} }}"


def _chunks(data: bytes | Path, start: int) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield from (data[at : at + CHUNK] for at in range(start, len(data), CHUNK))
        return
    with data.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK):
            yield chunk


def _cut(chunks: Iterator[bytes], die_after: int | None, stall_after: int | None) -> Iterator[bytes | None]:
    """The chunks up to `die_after` bytes in all, with None where nothing more is to come for a while."""
    done = 0
    for chunk in chunks:
        limits = {at for at in (die_after, stall_after) if at is not None and done <= at < done + len(chunk)}
        for limit in sorted(limits):
            yield chunk[: limit - done]
            chunk, done = chunk[limit - done :], limit
            if limit == die_after:
                return
            yield None
        yield chunk
        done += len(chunk)
