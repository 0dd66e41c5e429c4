"""`serve`: the web app and its API. What is set here wins over `.env` and the environment."""

from __future__ import annotations

import argparse

from catvton.commands.common import number
from catvton.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to serve on (default: CATVTON_HOST, else 127.0.0.1)")
    parser.add_argument("--port", type=number, metavar="N", help="port to serve on (default: CATVTON_PORT, else 7860)")
    parser.add_argument("--engine", metavar="NAME", help="engine to use (default: CATVTON_ENGINE, else auto)")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or mps (default: CATVTON_DEVICE, else auto)")


def run(args: argparse.Namespace) -> int:
    from catvton.service.logs import configure
    from catvton.settings import Settings
    from catvton.web import serve

    chosen = {name: getattr(args, name) for name in ("host", "port", "engine", "device")}
    settings = Settings(**{name: value for name, value in chosen.items() if value is not None})
    configure(level=settings.log_level, form=settings.log_format)
    try:
        serve(settings)
    except OSError as error:
        raise InputError(f"Cannot serve on {settings.host}:{settings.port}: {error}", code="serve.address") from error
    return 0
