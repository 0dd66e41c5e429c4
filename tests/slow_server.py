"""A server process for tests of its end and of its log: the app's own `serve` around a `TryOn` that takes its time."""

from __future__ import annotations

import sys
import time

from catvton.service.logs import configure
from catvton.settings import Settings
from catvton.tryon import TryOn
from catvton.web.server import serve
from tests.web_fakes import FakeTryOn

STEP_SECONDS = 0.1


class Slow(FakeTryOn):
    """Every step takes a while; a run with seed 666 fails in a way nobody foresaw."""

    def _run(self, request, on_step):
        if request.seed == 666:
            raise RuntimeError("an unforeseen fault")

        def step(report):
            time.sleep(STEP_SECONDS)
            if on_step is not None:
                on_step(report)

        return super()._run(request, step)


def main() -> int:
    settings = Settings()
    configure(level=settings.log_level, form=settings.log_format)
    TryOn.from_settings = classmethod(lambda cls, settings, service: Slow())
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
