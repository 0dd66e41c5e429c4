"""The address served on: free for the server, or taken by one that answers."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

from catvton.doctor import Finding, failed, ok, warning

if TYPE_CHECKING:
    from catvton.settings import Settings

PATIENCE = 5.0  # seconds a server has to answer


def look(settings: Settings) -> Iterator[Finding]:
    yield address(settings)


def address(settings: Settings) -> Finding:
    place = f"{settings.host}:{settings.port}"
    try:
        _bind(settings.host, settings.port)
    except socket.gaierror:
        return failed("address", f"{settings.host} is no address of this machine.", "Correct CATVTON_HOST.")
    except PermissionError:
        return failed("address", f"This user may not serve on {place}.", "Set CATVTON_PORT above 1023.")
    except OSError:
        return _taken(settings, place)
    return ok("address", f"{place} is free; no server is running there.")


def _bind(host: str, port: int) -> None:
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as probe:
        if os.name != "nt":  # where it would take the address from whoever has it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)


def _taken(settings: Settings, place: str) -> Finding:
    """Somebody is there: this app, ready or not, or another program; or the address is not this machine's."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    base = f"http://{host}:{settings.port}"
    alive = _ask(f"{base}/healthz")
    if alive != (200, "alive"):
        return failed("address", f"{place} cannot be served on: another program is there, or it is another machine's.",
                      "End that program, or set CATVTON_HOST and CATVTON_PORT to an address of this machine.")
    status, said = _ask(f"{base}/readyz")
    if status == 200:
        return ok("address", f"The app serves on {place} and is ready.")
    return warning("address", f"The app serves on {place} and is not ready: {said or 'no answer'}.",
                   "Wait until it has made its first picture; if that takes minutes, look into its log.")


def _ask(url: str) -> tuple[int, str]:
    """(status, what it says of itself) of one of the app's answers; (0, "") for anything else."""
    open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    try:
        with open_(url, timeout=PATIENCE) as answer:
            return answer.status, _status(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, _status(error.read())
    except (OSError, ValueError):
        return 0, ""


def _status(body: bytes) -> str:
    try:
        return str(json.loads(body).get("status", ""))
    except (ValueError, AttributeError):
        return ""
