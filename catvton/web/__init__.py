"""The web side: one page and its API, on top of `catvton.tryon`.

Only this package imports gradio, and only when a server is built: `tempfolder` must say where files go before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catvton.settings import Settings

__all__ = ["serve"]


def serve(settings: Settings | None = None) -> None:
    """Serve the page and the API until the process is told to stop."""
    from catvton.web.server import serve as run

    run(settings)
