"""What a first-timer sees: three steps, what becomes of the photos, in a language of theirs, on a device of theirs."""

import pytest

from tests.browser.conftest import DESKTOP, PHONE, Screen
from tests.browser.driving import choose_both, file, pick, press, run
from tests.web_fakes import garment_picture

ENGLISH_PHONE, INDONESIAN_DESKTOP = Screen(390, 844, "en", touch=True), Screen(1280, 900, "id", dark=True)
EVERY = {"desktop-en": DESKTOP, "phone-id": PHONE, "desktop-id": INDONESIAN_DESKTOP, "phone-en": ENGLISH_PHONE}


@pytest.mark.parametrize("screen", EVERY.values(), ids=EVERY)
def test_three_steps_consent_licence_and_what_happens_to_the_photos(open_page, server, screen):
    page, texts = open_page(screen), screen.texts
    steps = page.locator(".studio-steps:visible")
    assert steps.count() == 1
    assert steps.locator("li").all_inner_texts() == [texts[f"page.step{number}"] for number in (1, 2, 3)]
    if screen.touch:  # they are seen without scrolling
        assert steps.bounding_box()["y"] < 300
    assert page.is_visible(f"text={texts['page.consent']}")
    assert page.inner_text("#licence p") == texts("run.licence_free", engine="Plain engine", licence="Apache-2.0")
    page.click(".studio-photos summary")
    assert page.locator(".studio-photos li").all_inner_texts() == server.studio.promises.sentences(texts)


def test_the_page_is_dark_where_the_device_is(open_page):
    light, dark = (open_page(screen).evaluate("() => getComputedStyle(document.body).backgroundColor")
                   for screen in (DESKTOP, INDONESIAN_DESKTOP))
    assert sum(map(int, light[4:-1].split(","))) > 600 and sum(map(int, dark[4:-1].split(","))) < 120


def test_one_column_on_a_phone_two_on_a_desktop(open_page):
    for screen, columns in ((ENGLISH_PHONE, 1), (DESKTOP, 2)):
        page = open_page(screen)
        left, right = page.locator(".studio-left").bounding_box(), page.locator(".studio-right").bounding_box()
        assert (right["x"] >= left["x"] + left["width"]) == (columns == 2)
        assert (right["y"] >= left["y"] + left["height"]) == (columns == 1)
        go = page.locator("#go").bounding_box()
        assert go["y"] + go["height"] <= screen.height  # in reach without scrolling


def test_the_language_is_the_browsers_and_can_be_changed_in_the_middle_of_everything(open_page, tryon):
    page = open_page(DESKTOP)
    choose_both(page)
    run(page)
    texts = INDONESIAN_DESKTOP.texts
    pick(page, "language", "id")
    page.wait_for_selector(f"#go:has-text('{texts['run.go']}')")
    page.wait_for_selector(f"#facts:has-text('{texts('run.seed', seed=42)}')")
    page.wait_for_selector("html[lang=id]")
    assert page.is_visible(f"text={texts['part.title']}") and page.is_visible(f"text={texts['result.after']}")
    left = page.evaluate("""() => [...document.querySelectorAll('[aria-label]')].map(element => element.ariaLabel)
      .filter(label => /^(range slider|number input|Click|Gradio|Upload|Remove|Paste|Drop|Reset|File) /.test(label))""")
    assert left == []
    assert page.query_selector("#person img[src*='/answers/']")  # nothing that was chosen is lost
    page.click("#person button[aria-label='Hapus Gambar']")
    press(page)
    page.wait_for_selector(f"#person-message:has-text('{texts['missing.person']}')")

    page.reload()  # and it is remembered
    page.wait_for_selector(f"body.studio-ready #go:has-text('{texts['run.go']}')")
    assert page.is_checked("#language input[value=id]")


def test_a_phone_offers_its_camera(open_page):
    page = open_page(PHONE)
    with page.expect_file_chooser() as chooser:
        page.click("[data-camera=person]")
    assert chooser.value.element.get_attribute("capture") == "environment"
    page.wait_for_selector("#person input[type=file]:not([capture])", state="attached")  # the next one may be any file
    chooser.value.set_files(file(garment_picture()))
    page.wait_for_selector("#person img[src*='/answers/']")
    assert page.is_hidden("[data-camera=person]")
    assert open_page(DESKTOP).is_hidden("[data-camera=person]")


def test_the_page_can_be_installed(open_page, screen):
    page = open_page(screen)
    devtools = page.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["errors"] == [] and screen.texts["page.tagline"] in manifest["data"]
    errors = {error["errorId"] for error in devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert errors <= {"in-incognito"}  # what the browser's test profile is
