"""What every HTTP request passes first: an id, the caller's address, security headers, and a limit on its body."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from catvton.service import context
from catvton.service.callers import client_address
from catvton.service.problems import answer, problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from catvton.service.metrics import Metrics

log = logging.getLogger(__name__)

SMALL_BODY = 4 * 2**20  # bytes of a request that carries no file: gradio's events
FORM_EXTRA = 2**20  # bytes of a form besides its files
FILES = 3  # in one form
PROBES = ("/healthz", "/readyz", "/metrics")

# Gradio's page is built of inline scripts and styles and turns text into functions, so the policy cannot forbid those;
# it does forbid every other host, plug-ins, and being framed by strangers.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Access-Control-Expose-Headers": "Location, Retry-After, X-Request-ID, X-Result-Info",
}


def security_headers(frame_ancestors: str = "") -> dict[str, str]:
    """The headers of every answer. `frame_ancestors`: origins that may frame the page, besides itself."""
    ancestors = " ".join(["'self'", *frame_ancestors.split()])
    policy = "; ".join(f"{name} {value}" for name, value in (POLICY | {"frame-ancestors": ancestors}).items())
    framing = {} if frame_ancestors.strip() else {"X-Frame-Options": "SAMEORIGIN"}
    return HEADERS | framing | {"Content-Security-Policy": policy}


class Traffic:
    """Whether visitors are being answered. Probes, and the streams pages keep open for nothing, are none."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._guard = clock, threading.Lock()
        self._active, self._last = 0, clock()

    @contextlib.contextmanager
    def answering(self, path: str) -> Iterator[None]:
        counts = path not in PROBES and "/heartbeat/" not in path
        self._count(counts)
        try:
            yield
        finally:
            self._count(-counts)

    def quiet(self, since: float) -> float:
        """Seconds nobody was answered, at most those since `since`; 0 while somebody is."""
        with self._guard:
            return 0.0 if self._active else self._clock() - max(self._last, since)

    def _count(self, change: int) -> None:
        with self._guard:
            self._active += change
            self._last = self._clock() if change else self._last


class Edge:
    """Pure ASGI: requests keep their streaming and their disconnects.

    The address and the id are also left in the request's state, where handlers find them that run elsewhere later.
    """

    def __init__(self, app: ASGIApp, *, hops: int, headers: dict[str, str], metrics: Metrics, traffic: Traffic
                 ) -> None:
        self._app, self._hops, self._headers, self._metrics = app, hops, headers, metrics
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope)
        number = context.new_request_id(said.get("x-request-id", ""))
        peer = (scope.get("client") or ("", 0))[0]
        address = client_address(peer, said.getlist("x-forwarded-for"), hops=self._hops)
        context.request_id.set(number)
        context.address.set(address)
        scope.setdefault("state", {}).update(request_id=number, address=address)
        with self._traffic.answering(scope["path"]):
            await self._app(scope, receive, self._sending(scope, send, number))

    def _sending(self, scope: Scope, send: Send, number: str) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = number
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                self._count(scope, message["status"])
            await send(message)

        return sending

    def _count(self, scope: Scope, status: int) -> None:
        # A path may hold file names and ids, and there is no end to paths: only what is known gets a name of its own.
        self._metrics.answers.labels(route_name(scope["path"]), _known_method(scope["method"]), str(status)).inc()


class _TooLarge(ClientDisconnect):
    """Raised into the app while it reads a body that is over the limit. To the app, its client has gone away."""


class BodyLimit:
    """Answers 413 as soon as a body says it is too large, or turns out to be.

    Args:
        form_bytes: of a request that may carry files, by its path; every other one may have `SMALL_BODY`.
    """

    def __init__(self, app: ASGIApp, *, form_bytes: int, refused: Callable[[str], None]) -> None:
        self._app, self._form_bytes, self._refused = app, form_bytes, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._form_bytes if _carries_files(scope["path"]) else SMALL_BODY
        said = Headers(scope=scope).get("content-length", "")
        if said.isdigit() and int(said) > limit:
            await self._refuse(limit, scope, receive, send)
            return
        await self._counted(limit, scope, receive, send)

    async def _counted(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        seen, over, started = 0, False, False

        async def receiving() -> Message:
            nonlocal seen, over
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                over = True
                raise _TooLarge
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            if not over:  # what the app makes of it no longer matters
                started = True
                await send(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, receiving, sending)
        if over and not started:
            await self._refuse(limit, scope, receive, send)

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        self._refused("form.too_large")
        said = problem("form.too_large", f"The request is larger than {limit // 2**20} MB.")
        await answer(said)(scope, receive, send)


def form_limit(max_upload_bytes: int) -> int:
    """How long a request with files may be."""
    return FILES * max_upload_bytes + FORM_EXTRA


def route_name(path: str) -> str:
    """A path without what makes it somebody's: "/v1/jobs/{id}", "/gradio_api/...", or "other"."""
    parts = path.strip("/").split("/")
    if parts == [""]:
        return "/"
    if parts[0] == "v1" and len(parts) > 1 and parts[1] in ("tryon", "mask", "engines", "jobs", "docs", "openapi.json"):
        if parts[1] != "jobs" or len(parts) == 2:
            return f"/v1/{parts[1]}" if len(parts) == 2 else "other"
        return {3: "/v1/jobs/{id}", 4: "/v1/jobs/{id}/result"}.get(len(parts), "other")
    if parts[0] in ("healthz", "readyz", "metrics", "login", "logout", "config") and len(parts) == 1:
        return f"/{parts[0]}"
    if parts[0] in ("gradio_api", "assets", "static", "svelte"):
        return f"/{parts[0]}/..."
    return "other"


def _known_method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH") else "other"


def _carries_files(path: str) -> bool:
    return path.startswith("/v1/") or path.rstrip("/").endswith("/gradio_api/upload")
