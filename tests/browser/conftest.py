"""A real Chromium before a live server. Every page is watched: another host asked or an error logged fails its test."""

import json
import os
from dataclasses import dataclass

import pytest
from playwright.sync_api import sync_playwright

from catvton.web.texts import Texts, every_language
from tests.web_fakes import FakeTryOn, garment_picture, person_picture, saved, serving

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 120_000  # milliseconds before a wait fails; a free machine needs a fraction


@dataclass(frozen=True)
class Screen:
    """What a visitor sits before."""

    width: int
    height: int
    language: str
    touch: bool = False
    dark: bool = False

    @property
    def texts(self) -> Texts:
        return every_language()[self.language]

    @property
    def context(self) -> dict:
        """What Playwright is to pretend."""
        return {"viewport": {"width": self.width, "height": self.height}, "has_touch": self.touch,
                "is_mobile": self.touch, "locale": {"en": "en-US", "id": "id-ID"}[self.language],
                "color_scheme": "dark" if self.dark else "light", "accept_downloads": True}


DESKTOP = Screen(1280, 900, "en")
PHONE = Screen(390, 844, "id", touch=True, dark=True)


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop-en", "phone-id"])
def screen(request):
    return request.param


@pytest.fixture(scope="session")
def chromium():
    # Debian's Chromium where there is one, otherwise the one `playwright install chromium` brought.
    where = {"executable_path": CHROMIUM} if os.path.exists(CHROMIUM) else {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(args=FLAGS, **where)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    saved(person_picture((150, 200)), folder / "walker.png")
    saved(garment_picture((20, 90, 160)), folder / "skirt.png")
    (folder / "examples.json").write_text(json.dumps([
        {"file": "walker.png", "kind": "person", "title": "A walker"},
        {"file": "skirt.png", "kind": "garment", "title": "A blue skirt", "part": "lower"},
    ]))
    return folder


# One server per file and not per session: gradio's temporary folder is the process's, that of the server started last.
@pytest.fixture(scope="module")
def shared_tryon():
    return FakeTryOn()


@pytest.fixture
def tryon(shared_tryon):
    shared_tryon.gate.set()
    shared_tryon.started.clear()
    shared_tryon.requests.clear()
    shared_tryon.free_steps, shared_tryon.holds = 0, ""
    yield shared_tryon
    shared_tryon.gate.set()


@pytest.fixture(scope="module")
def server(shared_tryon, examples, tmp_path_factory):
    with serving(shared_tryon, tmp_path_factory.mktemp("server"), example_folder=examples) as server:
        yield server


@pytest.fixture
def open_page(chromium, server):
    """open_page(screen) -> a loaded page in the browser's language."""
    contexts, faults = [], []

    def watch(page):
        page.on("request", lambda request: faults.append(f"asked {request.url}") if foreign(request.url) else None)
        page.on("console", lambda line: faults.append(f"logged {line.text}") if is_fault(line) else None)
        page.on("pageerror", lambda error: faults.append(f"raised {error}"))

    def is_fault(line):
        # Leaving or reloading a page ends the requests it still has under way, and Gradio logs that.
        ended = line.text.startswith("AbortError") or line.text.rstrip().endswith("errored out.")
        return line.type == "error" and not ended

    def foreign(url):
        return not url.startswith((server.url, "data:", "blob:", "about:"))

    def open_page(screen=DESKTOP):
        contexts.append(chromium.new_context(**screen.context))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        watch(page)
        page.goto(server.url)
        page.wait_for_selector("body.studio-ready #go")
        page.wait_for_selector(f"#go:has-text('{screen.texts['run.go']}')")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
