"""What a visitor does, in a real browser."""

import io
import time

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from catvton.images import png_bytes
from tests.browser.conftest import PATIENCE
from tests.web_fakes import garment_picture, person_picture


def file(picture, name="photo.png"):
    return {"name": name, "mimeType": "image/png", "buffer": png_bytes(picture)}


def turned_photo():
    """What phones write: pixels on their side, and a tag that says so."""
    exif, data = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    person_picture().transpose(Image.Transpose.ROTATE_90).save(data, "PNG", exif=exif)
    return {"name": "phone.png", "mimeType": "image/png", "buffer": data.getvalue()}


def heic(picture):
    """What iPhones write, and no browser but Safari shows."""
    data = io.BytesIO()
    pillow_heif.from_pillow(picture).save(data, quality=90)
    return {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": data.getvalue()}


def choose(page, *, person=None, garment=None):
    for slot, chosen in (("person", person), ("garment", garment)):
        if chosen is not None:
            page.set_input_files(f"#{slot} input[type=file]", chosen)
            # The server's checked copy has taken the place of what was uploaded.
            page.wait_for_selector(f"#{slot} img[src*='/answers/']")


def enter(page, field, text):
    """Type into a field until it stays: gradio sets a part that has just appeared to its default once more."""
    for _ in range(20):
        page.fill(field, text)
        page.keyboard.press("Tab")
        page.wait_for_timeout(300)
        if page.input_value(field) == text:
            return
    pytest.fail(f"{field} does not keep {text}")


def dressed(page):
    """Press the button, wait for the picture, download it: uint8 HxWx3."""
    page.eval_on_selector_all("#status .studio-facts", "all => all.forEach(old => old.classList.add('old'))")
    page.click("#go")
    page.wait_for_selector("#status .studio-facts:not(.old)")
    page.wait_for_selector("#result img")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename.endswith(".png")
    return np.asarray(Image.open(download.value.path()))


def paint(page):
    """One stroke across the middle of the photo."""
    page.click("#painting > button")
    canvas = page.locator("#painter canvas").first
    canvas.wait_for()
    page.wait_for_function("() => !document.querySelector('#painter .loading')")
    page.wait_for_timeout(1500)  # the editor fits the photo into its frame without a sign that it has
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 25, y)
    page.mouse.down()
    page.mouse.move(x + 25, y + 12, steps=5)
    page.mouse.up()


def test_a_try_on_from_uploads_with_a_painted_area_and_other_options(open_page, tryon):
    page = open_page()
    choose(page, person=turned_photo(), garment=heic(garment_picture()))
    assert page.eval_on_selector("#person img", "image => [image.naturalWidth, image.naturalHeight]") == [300, 400]

    plain = dressed(page)
    before = np.asarray(person_picture())
    assert plain.shape == before.shape and (plain[:100] == before[:100]).all()
    assert "Seed 42" in page.inner_text("#status") and "A note for <you>." in page.inner_text("#status")

    page.click("#advanced > button")
    enter(page, "#steps input[type=number]", "7")
    enter(page, "#seed input", "-1")
    page.click("#show label:has-text('Input and result')")
    page.click("#part label:has-text('Trousers')")
    paint(page)
    beside = dressed(page)
    request = tryon.requests[-1]
    assert (request.steps, request.seed, request.part, request.show) == (7, -1, "lower", "input & result")
    assert beside.shape == (400, 3 * 308 - 8, 3) and (beside[:, :300] == before).all()
    changed = (beside[:, -300:] != before).any(-1)
    assert np.array_equal(changed, request.mask > 0)
    assert 0 < changed.mean() < 0.3 and changed[180:240, 130:170].any() and not changed[:60].any()


def test_stopping_ends_the_run_within_a_step_and_the_next_one_begins(open_page, tryon):
    page = open_page()
    choose(page, person=file(person_picture()), garment=file(garment_picture()))
    tryon.gate.clear()
    before = tryon.steps_done
    page.click("#go")
    page.wait_for_selector("#status:has-text('Step 1 of 4')")
    assert page.is_disabled("#go")
    page.click("#stop")
    page.wait_for_selector("#status:has-text('Stopped')")
    assert page.is_enabled("#go") and page.is_disabled("#stop")
    page.wait_for_timeout(1500)  # gradio closes the handler within a second
    assert "Stopped" in page.inner_text("#status")
    tryon.gate.set()
    assert tryon.ended.wait(PATIENCE / 1000)
    assert tryon.steps_done == before + 1
    assert dressed(page).shape == (400, 300, 3)


def test_errors_appear_in_words_where_they_happen(open_page):
    page = open_page()
    page.set_input_files("#person input[type=file]", {"name": "cat.png", "mimeType": "image/png", "buffer": b"no cat"})
    alert = page.wait_for_selector("#person-message [role=alert]")
    assert "person photo" in alert.inner_text() and "PNG" in alert.inner_text()
    choose(page, garment=file(garment_picture()))
    page.click("#go")
    page.wait_for_selector("#person-message:has-text('choose a photo of a person first')")
    assert page.is_enabled("#go")

    choose(page, person=file(Image.new("RGB", (300, 400), "teal")))
    page.click("#go")
    page.wait_for_selector("#person-message:has-text('No person was found')")

    page.click("#advanced > button")
    enter(page, "#seed input", "-5")
    page.click("#go")
    page.wait_for_selector("#status:has-text('from -1 to 2147483647')")
    enter(page, "#seed input", "5")
    choose_again(page)
    assert dressed(page).shape == (400, 300, 3)


def choose_again(page):
    page.click("#person button[aria-label*='lear' i], #person button[aria-label*='emove' i]")
    page.wait_for_selector("#person img", state="detached")
    choose(page, person=file(person_picture()))


def test_an_engines_own_ranges_come_with_it(open_page, tryon):
    page = open_page()
    assert "for any purpose" in page.inner_text("#licence")
    page.click("#advanced > button")
    page.click("#engine input")
    page.click("[role=option]:has-text('Careful engine')")
    page.wait_for_function("() => document.querySelector('#steps input[type=number]').value === '20'")
    assert page.get_attribute("#steps input[type=range]", "max") == "100"
    assert "Not for commercial use" in page.inner_text("#licence")


def test_examples_fill_the_form_on_a_phone_and_leaving_forgets_them(open_page, server, tryon):
    page = open_page(width=390, height=844)
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 390
    person, garment = page.locator("#person").bounding_box(), page.locator("#garment").bounding_box()
    assert garment["y"] > person["y"] + person["height"] and page.locator("#go").bounding_box()["y"] > garment["y"]

    page.click("#person-examples button[aria-label='A walker']")
    page.wait_for_selector("#person img[src*='/answers/']")
    page.click("#garment-examples button[aria-label='A blue skirt']")
    page.wait_for_selector("#garment img[src*='/answers/']")
    assert page.is_checked("#part input[value=lower]")
    assert dressed(page).shape == (200, 150, 3)

    held = len(server.studio.shelf)
    page.context.close()
    limit = time.monotonic() + PATIENCE / 1000
    while len(server.studio.shelf) >= held:
        if time.monotonic() > limit:
            pytest.fail("the page was closed and its pictures are still kept")
        time.sleep(0.1)
