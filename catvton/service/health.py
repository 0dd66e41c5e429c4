"""Three answers for whoever operates the app: is it alive, can it work, and what has it done."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from catvton.service.metrics import CONTENT_TYPE
from catvton.service.problems import answer, problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from catvton.service.app import Service


def routes(service: Service) -> list[Route]:
    """/healthz, /readyz and /metrics."""
    token = service.settings.metrics_token.get_secret_value() if service.settings.metrics_token else ""

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        if service.readiness.ready and not service.gate.closed:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": _why_not(service)}, status_code=503, headers={"Retry-After": "5"})

    async def metrics(request: Request) -> Response:
        said = request.headers.get("authorization", "").encode("utf-8", "replace")
        if token and not secrets.compare_digest(said, f"Bearer {token}".encode()):
            return answer(problem("account.missing", "The figures need the operator's token."))
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _why_not(service: Service) -> str:
    if service.gate.closed:
        return "ending"
    return "failed to warm up: see the log" if service.readiness.fault else "warming up"
