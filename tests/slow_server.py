"""A server process for tests of its end and of its log: the app's own `serve` around a `TryOn` that takes its time.

While the file TEST_HOLD names exists, a run that has begun does not go on.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from catvton.service.logs import configure
from catvton.settings import Settings
from catvton.tryon import TryOn
from catvton.web.server import serve
from tests.web_fakes import FakeTryOn

STEP_SECONDS = 0.01
HOLD = Path(os.environ["TEST_HOLD"]) if "TEST_HOLD" in os.environ else None


class Slow(FakeTryOn):
    """Every step takes a while, or as long as the test wants; a run with seed 666 fails in a way nobody foresaw."""

    def _run(self, request, on_step):
        if request.seed == 666:
            raise RuntimeError("an unforeseen fault")

        def step(report):
            time.sleep(STEP_SECONDS)
            while HOLD and HOLD.exists() and report.step:
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
