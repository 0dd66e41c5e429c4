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


def add_garments(page, *files):
    """Upload further garments."""
    with page.expect_file_chooser() as chooser:
        page.click("#more-garments")
    chooser.value.set_files(list(files))
    page.wait_for_selector(f"#rail li >> nth={len(files) - 1}")


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


WATCH = """() => {
  window.ran = { begun: false };
  const button = () => document.querySelector('#go');
  window.watching?.disconnect();
  window.watching = new MutationObserver(() => { window.ran.begun ||= button().disabled; });
  window.watching.observe(document.body, { attributes: true, subtree: true, attributeFilter: ['disabled'] });
}"""
ENDED = "() => window.ran.begun && !document.querySelector('#go').disabled"


def press(page):
    """Press the button, and wait until it can be pressed again: all its runs have ended, or there was none."""
    page.evaluate(WATCH)
    page.click("#go")
    page.wait_for_function(ENDED)


def run(page):
    """Press the button and wait for a picture."""
    press(page)
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


def open_options(page):
    page.click("#advanced > button")
    page.wait_for_selector("#steps input[type=number]")


def open_painter(page):
    page.click("#painting > button")
    page.wait_for_selector("#painter canvas[data-ready]")


def show_area(page, said):
    """Have the area shown, and wait for it to lie on the photo; `said`: the hint that then stands there."""
    before = page.get_attribute("#painter .studio-canvas", "data-sheet")
    page.click("#show-area")
    page.wait_for_selector(f"#painting-hint:has-text('{said}')")
    page.wait_for_selector(f"#painter .studio-canvas:not([data-sheet='{before}']) canvas[data-ready]")


def stroke(page):
    """One stroke across the middle of the photo in the painter."""
    canvas = page.locator("#painter canvas")
    canvas.evaluate("canvas => canvas.scrollIntoView({ block: 'center' })")
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
