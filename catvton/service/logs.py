"""What the log looks like: a line for people, or one JSON object per line for programs. Never a word of a visitor's.

Nothing here removes personal data afterwards: no module of ours writes an address, an account's name, a file name or
what is in a picture to the log.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from catvton.service.context import request_id

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """time, level, logger, message; request where there is one; error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.request_id:
            line["request"] = record.request_id
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class WithRequest(logging.Filter):
    """Gives each record the id of the request it was written for, or ""."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


def configure(*, level: str, form: str) -> None:
    """Set up the process's log, replacing what was set up before. Only a program's entry calls this.

    Args:
        form: "text" or "json".
    """
    handler = logging.StreamHandler()
    handler.addFilter(WithRequest())
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio calls its own server while it starts, and says so
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # any visitor can have it warn
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it lists them
