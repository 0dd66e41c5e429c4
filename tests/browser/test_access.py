"""For everyone: axe finds nothing in any state of the page, the keyboard will do, and fingers hit what they aim at."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import DESKTOP, PHONE, Screen
from tests.browser.driving import add_garments, choose_both, file, open_options, open_painter, pick, press, show_area
from tests.web_fakes import garment_picture

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
         "resultTypes": ["violations"]}
SCREENS = {"desktop-en-light": DESKTOP, "phone-id-dark": PHONE, "desktop-id-dark": Screen(1280, 900, "id", dark=True),
           "phone-en-light": Screen(390, 844, "en", touch=True)}
STILL = "* { transition: none !important; animation: none !important; }"  # half-faded letters have half the contrast
SMALL = """() => [...document.querySelectorAll(
    'button, summary, a[href], input:not([type=hidden], [type=file]), select, canvas[tabindex], [role=option]')]
  .filter(element => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }))
  .map(element => (element.type === 'radio' ? element.closest('label') : element))
  .map(element => [element.outerHTML.slice(0, 120), element.getBoundingClientRect()])
  .filter(([_, box]) => box.width > 1 && (box.width < 43.5 || box.height < 43.5))
  .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)"""


def checked(page, state):
    page.add_style_tag(content=STILL)
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(state, each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_axe_finds_nothing_in_any_state(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    checked(page, "empty")
    press(page)
    page.wait_for_selector("#person-message [role=alert]")
    checked(page, "an error")

    choose_both(page)
    add_garments(page, file(garment_picture((1, 90, 1))))
    open_painter(page)
    show_area(page, texts("mask.found", part=texts["part.upper"]))
    open_options(page)
    page.click(".studio-photos summary")
    checked(page, "everything open")

    tryon.gate.clear()
    page.click("#go")
    page.wait_for_selector(f"#status:has-text('{texts('run.generate', step=1, steps=4)}')")
    checked(page, "at work")
    tryon.gate.set()
    page.wait_for_selector("#gallery button >> nth=1")
    page.wait_for_selector("#go:not([disabled])")
    checked(page, "the result")
    pick(page, "show", "input & mask & result")
    pick(page, "part", "outfit")
    page.wait_for_selector("#below input[type=file]", state="attached")
    page.wait_for_selector("#result figure:not(.studio-compare)")
    checked(page, "an outfit, and a comparison")


def test_whatever_can_be_touched_is_44_pixels_wide_and_high(open_page, tryon):
    page = open_page(PHONE)
    assert page.evaluate(SMALL) == []
    choose_both(page)
    add_garments(page, file(garment_picture((1, 90, 1))))
    open_painter(page)
    open_options(page)
    press(page)
    page.wait_for_selector("#gallery button >> nth=1")
    assert page.evaluate(SMALL) == []
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def tab_to(page, selector):
    """Press the tab key until an element has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
    pytest.fail(f"the tab key never comes to {selector}")


def chooser_by_keyboard(page, selector):
    """Press Enter on a button until it opens a file chooser: a page still loading draws it anew and drops a press."""
    opened = []
    page.once("filechooser", lambda chooser: opened.append(chooser))
    for _ in range(60):
        if not page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            tab_to(page, selector)
        page.keyboard.press("Enter")
        page.wait_for_timeout(2_000 if not opened else 0)
        if opened:
            return
    pytest.fail(f"Enter on {selector} opens no file chooser")


def test_a_whole_try_on_by_keyboard(open_page, tryon):
    page = open_page(DESKTOP)
    chooser_by_keyboard(page, "#person button")
    tab_to(page, "#person-examples button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#person img[src*='/answers/']")
    tab_to(page, "#garment-examples button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#garment img[src*='/answers/']")
    tab_to(page, "#part input:checked")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#part input[value=upper]:checked", state="attached")
    tab_to(page, "#painting > button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#painter canvas[data-ready]")
    assert page.get_attribute("#painting > button", "aria-expanded") == "true"
    tab_to(page, "#painter canvas")
    tab_to(page, "#go")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result .studio-compare")
    tab_to(page, "#result .studio-compare input")
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('.studio-compare').style.getPropertyValue('--at') === '100%'")
    tab_to(page, "#download")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "try-on-42.png"
    assert tryon.requests[-1].part == "upper"


def test_what_happens_is_read_out(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    press(page)
    page.wait_for_selector(f"#studio-voice[role=status]:has-text('{texts['run.ready']}')", state="attached")
    assert page.get_attribute("html", "lang") == screen.language
    assert page.eval_on_selector_all("img", "all => all.filter(image => !image.hasAttribute('alt')).length") == 0
