"""Starting and stopping the web server: its temporary folder, its page, its clean end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import WeightsError
from catvton.web.examples import EXAMPLES, NO_EXAMPLES, read_examples
from catvton.web.studio import Studio
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import WEB, Texts

if TYPE_CHECKING:
    import gradio as gr

    from catvton.settings import Settings
    from catvton.tryon import TryOn

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is running.

    Attributes:
        url: where it answers, ending in a slash.
    """

    url: str
    studio: Studio
    blocks: gr.Blocks

    def close(self) -> None:
        """Stop answering and remove every file of the process."""
        self.blocks.close(verbose=False)
        self.studio.folder.close()


def start(settings: Settings, tryon: TryOn, *, examples: Path = EXAMPLES) -> Server:
    """Start serving in the background.

    Args:
        examples: folder of the example pictures.

    Raises:
        OSError: the port is taken.
    """
    folder = TempFolder(settings.temp_dir)
    try:
        # Before gradio is imported and before a Blocks is built: both look here for where uploads go.
        os.environ["GRADIO_TEMP_DIR"] = str(folder.path)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        studio = Studio(tryon=tryon, folder=folder, texts=Texts.read(), limits=settings.limits)
        blocks, url = _launch(settings, studio, read_examples(examples) if settings.examples else NO_EXAMPLES)
    except BaseException:
        folder.close()
        raise
    folder.keep_sweeping()
    return Server(url=url, studio=studio, blocks=blocks)


def serve(settings: Settings | None = None) -> None:
    """Serve until interrupted or told to end, then leave nothing behind."""
    from catvton.settings import Settings
    from catvton.tryon import TryOn

    settings = settings or Settings()
    tryon = TryOn.from_settings(settings)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio calls its own server while it starts
    server = start(settings, tryon)
    log.info("serving on %s", server.url)
    threading.Thread(target=_warm_up, args=(tryon,), name="warm-up", daemon=True).start()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        while not ended.wait(0.5):  # in short waits: on Windows a signal does not end a long one
            pass
    finally:
        server.close()


def _launch(settings: Settings, studio: Studio, examples: Any) -> tuple[gr.Blocks, str]:
    import gradio as gr

    from catvton.web.page import build
    from catvton.web.theme import theme

    gr.set_static_paths([example.path.parent for group in examples.values() for example in group])
    blocks = build(studio, examples)
    blocks.queue(max_size=settings.queue_size)
    _, url, _ = blocks.launch(
        server_name=settings.host,
        server_port=settings.port,
        prevent_thread_lock=True,
        quiet=True,
        show_error=False,
        share=False,
        ssr_mode=False,
        pwa=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=["api"],
        max_file_size=settings.max_upload_mb * 2**20,
        state_session_capacity=1000,
        theme=theme(),
        css_paths=[WEB / "page.css"],
        favicon_path=WEB / "favicon.svg",
    )
    return blocks, url


def _warm_up(tryon: TryOn) -> None:
    """Load the weights while the first visitor is still choosing pictures."""
    try:
        tryon.load()
    except WeightsError as error:
        log.error("%s", error)
