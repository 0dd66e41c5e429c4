"""What the REST door answers when something is wrong: RFC 9457 problem documents with a stable code."""

from __future__ import annotations

import json
import logging
import secrets
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from catvton.errors import Cancelled, InputError, WeightsError
from catvton.service.context import request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
HTTP = "http."  # codes for what HTTP itself has a status for: "http.not_found"

# An error's code, or the subject before its dot, and the status that says the same. Anything else is 422.
STATUS = {
    "account": HTTPStatus.UNAUTHORIZED,
    "engine.gpu": HTTPStatus.SERVICE_UNAVAILABLE,
    "engine.memory": HTTPStatus.SERVICE_UNAVAILABLE,
    "engine.missing": HTTPStatus.SERVICE_UNAVAILABLE,
    "form.broken": HTTPStatus.BAD_REQUEST,
    "form.slow": HTTPStatus.REQUEST_TIMEOUT,
    "form.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "form.type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "image.format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "image.too_heavy": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "image.too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "job.unfinished": HTTPStatus.CONFLICT,
    "job.unknown": HTTPStatus.NOT_FOUND,
    "jobs.away": HTTPStatus.SERVICE_UNAVAILABLE,
    "accounts.away": HTTPStatus.SERVICE_UNAVAILABLE,
    "accept.type": HTTPStatus.NOT_ACCEPTABLE,
    "limit": HTTPStatus.TOO_MANY_REQUESTS,
    "login": HTTPStatus.TOO_MANY_REQUESTS,
    "queue": HTTPStatus.SERVICE_UNAVAILABLE,
    "run.stopped": HTTPStatus.CONFLICT,
    "server.closing": HTTPStatus.SERVICE_UNAVAILABLE,
    "server.failed": HTTPStatus.INTERNAL_SERVER_ERROR,
}


def problem_of(error: Exception) -> dict[str, Any]:
    """Any error as {"type", "title", "status", "code", "message"}, with "retry_after" where waiting helps.

    What is not its reader's to mend goes to the log, under a number the reader is told.
    """
    code = code_of(error)
    if isinstance(error, InputError):
        return problem(code, str(error), retry_after=getattr(error, "wait_seconds", None))
    if isinstance(error, Cancelled):
        return problem(code, "The run was stopped.")
    number = secrets.token_hex(4)
    log.error("error %s", number, exc_info=error)
    if isinstance(error, WeightsError):
        return problem(code, f"This engine is not complete on our side (number {number} in the log).")
    return problem(code, f"Something went wrong on our side (number {number} in the log).")


def code_of(error: Exception) -> str:
    """The stable code of any error, the same at every door; `catvton.service.codes` says what each means."""
    if isinstance(error, InputError):
        return error.code
    if isinstance(error, Cancelled):
        return "run.stopped"
    return "engine.missing" if isinstance(error, WeightsError) else "server.failed"


def status_of(code: str) -> HTTPStatus:
    """The HTTP status an error of this code is answered with."""
    if code.startswith(HTTP):
        return HTTPStatus(int(code.removeprefix(HTTP)))
    return HTTPStatus(STATUS.get(code) or STATUS.get(code.partition(".")[0], 422))


def problem(code: str, message: str, *, retry_after: int | None = None) -> dict[str, Any]:
    found = status_of(code)
    said = {"type": "about:blank", "title": found.phrase, "status": int(found), "code": code, "message": message}
    return said if retry_after is None else said | {"retry_after": retry_after}


def answer(said: dict[str, Any]) -> Response:
    """A problem as an HTTP answer."""
    headers = {}
    if "retry_after" in said:
        headers["Retry-After"] = str(said["retry_after"])
    if said["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if request_id.get():
        said = said | {"request_id": request_id.get()}
    return Response(json.dumps(said), status_code=said["status"], headers=headers, media_type=MEDIA_TYPE)
