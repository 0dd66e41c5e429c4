"""The pictures that ship with the app, as a visitor meets them. A file of its own, for its server is another."""

from catvton.web.examples import read_examples
from tests.browser.conftest import DESKTOP, PATIENCE
from tests.web_fakes import FakeTryOn, serving


def test_examples_are_there_at_once_and_are_never_uploaded(chromium, tmp_path):
    with serving(FakeTryOn(), tmp_path) as server:
        page = chromium.new_context(**DESKTOP.context).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server.url)
        page.wait_for_selector("body.studio-ready #go")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for kind, pictures in read_examples().items():
            strip = page.locator(f"#{kind}-examples img")
            assert strip.count() == len(pictures)
            assert strip.evaluate_all("all => all.every(image => image.src.startsWith('data:'))")
            page.locator(f"#{kind}-examples button").first.click()
            page.wait_for_selector(f"#{kind} img[src*='/answers/']")
        assert not any("upload" in url for url in asked)
        page.context.close()
