"""A real Chromium before a live server. Every page is watched: another host asked or an error logged fails its test."""

import json
import os

import pytest
from playwright.sync_api import sync_playwright

from tests.web_fakes import FakeTryOn, garment_picture, person_picture, saved, serving

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 120_000  # milliseconds before a wait fails; a free machine needs a fraction


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


@pytest.fixture(scope="session")
def shared_tryon():
    return FakeTryOn()


@pytest.fixture
def tryon(shared_tryon):
    shared_tryon.gate.set()
    shared_tryon.started.clear()
    yield shared_tryon
    shared_tryon.gate.set()


@pytest.fixture(scope="session")
def server(shared_tryon, examples, tmp_path_factory):
    with serving(shared_tryon, tmp_path_factory.mktemp("server"), example_folder=examples) as server:
        yield server


@pytest.fixture
def open_page(chromium, server):
    """open_page(width=..., height=...) -> a loaded page."""
    contexts, faults = [], []

    def watch(page):
        page.on("request", lambda request: faults.append(f"asked {request.url}") if foreign(request.url) else None)
        page.on("console", lambda line: faults.append(f"logged {line.text}") if line.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(f"raised {error}"))

    def foreign(url):
        return not url.startswith((server.url, "data:", "blob:", "about:"))

    def open_page(*, width=1280, height=900):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        watch(page)
        page.goto(server.url)
        page.wait_for_selector("#go")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []
