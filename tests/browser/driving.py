"""What a visitor's hands do."""

import io

import numpy as np
import pytest
from PIL import Image

from catvton.images import png_bytes
from tests.web_fakes import garment_picture, person_picture


def file(picture, name="photo.png"):
    return {"name": name, "mimeType": "image/png", "buffer": png_bytes(picture)}


def choose(page, **pictures):
    """choose(page, person=..., garment=..., below=...): files to upload."""
    for slot, chosen in pictures.items():
        page.set_input_files(f"#{slot} input[type=file]", chosen)
        # The server's checked copy has taken the place of what was uploaded.
        page.wait_for_selector(f"#{slot} img[src*='/answers/']")


def choose_both(page):
    choose(page, person=file(person_picture()), garment=file(garment_picture()))


def pick(page, group, value):
    """One choice of a group of them."""
    page.click(f"#{group} label:has(input[value='{value}'])")
    page.wait_for_selector(f"#{group} input[value='{value}']:checked", state="attached")


def enter(page, field, text):
    """Type into a field until it stays: gradio sets a part that has just appeared to its default once more."""
    for _ in range(20):
        page.fill(field, text)
        page.keyboard.press("Tab")
        page.wait_for_timeout(300)
        if page.input_value(field) == text:
            return
    pytest.fail(f"{field} does not keep {text}")


def run(page):
    """Press the button and wait for the end of all its runs."""
    page.eval_on_selector_all("#facts .studio-facts", "all => all.forEach(old => old.classList.add('old'))")
    page.click("#go")
    page.wait_for_selector("#facts .studio-facts:not(.old)")
    page.wait_for_selector("#go:not([disabled])")
    page.wait_for_selector("#result figure img[src*='/answers/']")


def downloaded(page, button="#download"):
    """What a download button gives: (name, PIL image)."""
    with page.expect_download() as download:
        page.click(button)
    image = Image.open(download.value.path())
    image.load()
    return download.value.suggested_filename, image


def dressed(page):
    """Try it on and download the picture: uint8 HxWx3."""
    run(page)
    name, image = downloaded(page)
    assert name.endswith(".png")
    return np.asarray(image)


def open_painter(page):
    page.click("#painting > button")
    page.wait_for_selector("#painter canvas")
    page.wait_for_function("() => !document.querySelector('#painter .loading')")
    page.wait_for_timeout(1500)  # the editor fits the photo into its frame without a sign that it has


def stroke(page):
    """One stroke across the middle of the photo in the painter."""
    canvas = page.locator("#painter canvas").first
    canvas.scroll_into_view_if_needed()
    canvas.evaluate("canvas => window.scrollBy(0, canvas.getBoundingClientRect().top - 100)")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 25, y)
    page.mouse.down()
    page.mouse.move(x + 25, y + 12, steps=5)
    page.mouse.up()


def turned_photo():
    """What phones write: pixels on their side, and a tag that says so."""
    exif, data = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    person_picture().transpose(Image.Transpose.ROTATE_90).save(data, "PNG", exif=exif)
    return {"name": "phone.png", "mimeType": "image/png", "buffer": data.getvalue()}
