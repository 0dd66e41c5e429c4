"""Starting and stopping the web server: its temporary folder, its page, its service, its clean end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.service.app import Service
from catvton.service.heap import keep_few_heaps
from catvton.service.readiness import warm_up
from catvton.web.examples import EXAMPLES, NO_EXAMPLES, read_examples
from catvton.web.install import install_routes
from catvton.web.promises import Promises
from catvton.web.studio import Studio
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import WEB, Texts

if TYPE_CHECKING:
    import gradio as gr

    from catvton.settings import Settings
    from catvton.tryon import TryOn

log = logging.getLogger(__name__)

# For gradio and what it runs on, which read them when they are imported or when a Blocks is built. Nobody's
# X-Forwarded-For is believed by the HTTP server: CATVTON_TRUSTED_PROXY_HOPS decides that.
ENVIRONMENT = {"GRADIO_ANALYTICS_ENABLED": "False", "FORWARDED_ALLOW_IPS": ""}
THREADS = 40  # for events that do not wait
SIGN_IN = "After ten wrong passwords in five minutes an account is closed for some minutes."


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is running.

    Attributes:
        url: where it answers, ending in a slash.
    """

    url: str
    studio: Studio
    service: Service
    blocks: gr.Blocks

    def drain(self, seconds: float) -> None:
        """Take nothing new, and give the run at work that long to finish and to be fetched."""
        self.service.drain(seconds)

    def close(self) -> None:
        """Stop answering and remove every file of the process."""
        self.blocks.close(verbose=False)
        self.service.close()
        self.studio.folder.close()


def start(settings: Settings, tryon: TryOn, *, examples: Path = EXAMPLES) -> Server:
    """Start serving in the background.

    Args:
        examples: folder of the example pictures.

    Raises:
        OSError: the port is taken.
        SettingsError: the settings ask for what there cannot be.
    """
    service = Service(settings, tryon)
    folder = TempFolder(settings.temp_dir)
    try:
        os.environ.update(ENVIRONMENT, GRADIO_TEMP_DIR=str(folder.path))
        studio = Studio(tryon=service.tryon, folder=folder, texts=Texts.read(), limits=settings.limits,
                        admit=service.admit, refused=service.metrics.refused,
                        promises=Promises.of(settings))
        blocks, url = _launch(service, studio, read_examples(examples) if settings.examples else NO_EXAMPLES)
    except BaseException:
        folder.close()
        service.close()
        raise
    folder.keep_sweeping()
    return Server(url=url, studio=studio, service=service, blocks=blocks)


def serve(settings: Settings | None = None) -> None:
    """Serve until interrupted or told to end, finish the run at work, and leave nothing behind."""
    from catvton.hub.wished import fetch_wished
    from catvton.settings import Settings
    from catvton.tryon import TryOn

    settings = settings or Settings()
    keep_few_heaps()
    os.environ.update(ENVIRONMENT)  # on ZeroGPU gradio comes along with the engines
    fetch_wished(settings)
    tryon = TryOn.from_settings(settings, service=True)
    server = start(settings, tryon)
    log.info("serving on %s", server.url)
    service = server.service
    threading.Thread(target=warm_up, args=(service.tryon, service.readiness), name="warm-up", daemon=True).start()
    ended = _told_to_end()
    try:
        while not ended.wait(0.5):  # in short waits: on Windows a signal does not end a long one
            pass
        server.drain(settings.shutdown_seconds)
    finally:
        server.close()
        tryon.close()


def _told_to_end() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; the second ends the process in the usual way, at once."""
    ended = threading.Event()

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.default_int_handler)
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return ended


def _launch(service: Service, studio: Studio, examples: Mapping[str, Any]) -> tuple[gr.Blocks, str]:
    import gradio as gr

    from catvton.web.page import build
    from catvton.web.theme import theme

    settings = service.settings
    gr.set_static_paths([example.path.parent for group in examples.values() for example in group])
    blocks = build(studio, examples)
    if settings.auth == "huggingface":
        with blocks:
            gr.LoginButton()
    # Waiting is the gate's: gradio hands every event over at once, and each that waits holds a thread.
    threads = THREADS + settings.queue_size
    blocks.queue(max_size=threads)
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
        max_threads=threads,
        state_session_capacity=1000,
        theme=theme(),
        css_paths=[WEB / "page.css"],
        favicon_path=WEB / "icon-192.png",
        app_kwargs={"routes": [*service.routes(), *install_routes()], "middleware": service.middleware()},
        **_login(service),
    )
    return blocks, url



def _login(service: Service) -> dict[str, Any]:
    if service.settings.auth != "password":
        return {}
    return {"auth": service.login, "auth_message": SIGN_IN}
