"""What a visitor does, in a real browser, at a desktop in English and on a phone in Indonesian."""

import io
import time

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tests.browser.conftest import DESKTOP, PATIENCE, PHONE
from tests.browser.driving import (
    choose,
    choose_both,
    downloaded,
    dressed,
    enter,
    file,
    open_options,
    pick,
    run,
    turned_photo,
)
from tests.web_fakes import garment_picture, person_picture


def heic(picture):
    """What iPhones write, and no browser but Safari shows."""
    data = io.BytesIO()
    pillow_heif.from_pillow(picture).save(data, quality=90)
    return {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": data.getvalue()}


def test_a_try_on_from_uploads_with_other_options_is_shown_three_ways_and_downloaded(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose(page, person=turned_photo(), garment=heic(garment_picture()))
    assert page.eval_on_selector("#person img", "image => [image.naturalWidth, image.naturalHeight]") == [300, 400]

    plain, before = dressed(page), np.asarray(person_picture())
    assert plain.shape == before.shape and (plain[:100] == before[:100]).all()
    assert texts("run.seed", seed=42) in page.inner_text("#facts")
    assert "A note for <you>." in page.inner_text("#facts")

    open_options(page)
    enter(page, "#steps input[type=number]", "7")
    enter(page, "#seed input", "-1")
    pick(page, "part", "lower")
    run(page)
    request = tryon.requests[-1]
    assert (request.steps, request.seed, request.part, request.variations) == (7, -1, "lower", 1)

    name, picture = downloaded(page)
    seed = name.removeprefix("try-on-").removesuffix(".png")
    assert {key: picture.info[key] for key in ("seed", "steps", "guidance", "part", "engine")} == {
        "seed": seed, "steps": "7", "guidance": "2.5", "part": "lower", "engine": "plain@1"}
    assert "compositeWithTrainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]

    for show, panels in (("input & result", 3), ("input & mask & result", 4)):
        pick(page, "show", show)
        page.wait_for_selector(f"#result figure:not(.studio-compare) img[alt='{texts['result.picture_alt']}']")
        _, comparison = downloaded(page, "#download-comparison")
        pixels = np.asarray(comparison)
        assert pixels.shape == (400, panels * 308 - 8, 3)
        assert (pixels[:, :300] == before).all() and (pixels[:, -300:] == np.asarray(picture)).all()


def test_stopping_ends_the_run_within_a_step_and_the_next_one_begins(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    tryon.gate.clear()
    before = tryon.steps_done
    page.click("#go")
    page.wait_for_selector(f"#status:has-text('{texts('run.generate', step=1, steps=4)}')")
    assert page.is_disabled("#go")
    page.click("#stop")
    page.wait_for_selector(f"#status:has-text('{texts['run.stopped'][:12]}')")
    assert page.is_enabled("#go") and page.is_disabled("#stop")
    page.wait_for_timeout(1500)  # gradio closes the handler within a second
    assert texts["run.stopped"][:12] in page.inner_text("#status")
    tryon.gate.set()
    assert tryon.ended.wait(PATIENCE / 1000)
    assert tryon.steps_done == before + 1
    assert dressed(page).shape == (400, 300, 3)


def test_errors_appear_in_words_where_they_happen(open_page):
    page = open_page(DESKTOP)
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

    open_options(page)
    enter(page, "#seed input", "-5")
    page.click("#go")
    page.wait_for_selector("#status:has-text('from -1 to 2147483647')")
    enter(page, "#seed input", "5")
    choose_again(page)
    assert dressed(page).shape == (400, 300, 3)


def choose_again(page):
    page.click("#person button[aria-label='Remove Image']")
    page.wait_for_selector("#person img", state="detached")
    choose(page, person=file(person_picture()))


def test_errors_are_told_in_the_pages_language_and_brought_into_view_on_a_phone(open_page):
    page = open_page(PHONE)
    choose(page, person=file(Image.new("RGB", (300, 400), "teal")), garment=file(garment_picture()))
    page.click("#go")
    alert = page.wait_for_selector("#person-message:has-text('Tidak ada orang yang ditemukan')")
    page.wait_for_function("alert => { const {top, bottom} = alert.getBoundingClientRect(); "
                           "return 0 <= top && bottom <= innerHeight; }", arg=alert)


def test_an_engines_own_ranges_come_with_it(open_page, tryon):
    page = open_page(DESKTOP)
    assert "for any purpose" in page.inner_text("#licence")
    open_options(page)
    page.click("#engine input")
    page.click("[role=option]:has-text('Careful engine')")
    page.wait_for_function("() => document.querySelector('#steps input[type=number]').value === '20'")
    assert page.get_attribute("#steps input[type=range]", "max") == "100"
    assert "Not for commercial use" in page.inner_text("#licence")


def test_examples_fill_the_form_on_a_phone_and_leaving_forgets_them(open_page, server, tryon):
    page = open_page(PHONE)
    person, garment = page.locator("#person").bounding_box(), page.locator("#garment").bounding_box()
    assert garment["y"] > person["y"] + person["height"]

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
