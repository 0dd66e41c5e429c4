"""The area that changes: shown before anything is generated, painted, erased, and what of it counts."""

import numpy as np

from tests.browser.conftest import DESKTOP
from tests.browser.driving import choose, choose_both, dressed, file, open_painter, pick, run, show_area, stroke
from tests.web_fakes import person_picture

MIDDLE = (slice(180, 240), slice(130, 170))


def test_the_area_is_shown_first_and_what_is_painted_over_it_wins(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    open_painter(page)
    assert tryon.requests == []
    show_area(page, texts("mask.found", part=texts["part.upper"]))
    run(page)
    assert tryon.requests[-1].mask is None  # as it was found, to the pixel

    page.click("[data-paint=clear]")
    stroke(page)
    pixels = dressed(page)
    mask = tryon.requests[-1].mask
    changed = (pixels != np.asarray(person_picture())).any(-1)
    assert np.array_equal(changed, mask > 0)
    assert 0 < changed.mean() < 0.3 and changed[MIDDLE].any() and not changed[:60].any()


def test_what_is_added_to_the_area_or_erased_from_it_counts_and_can_be_taken_back(open_page, tryon):
    page = open_page(DESKTOP)
    choose_both(page)
    open_painter(page)
    show_area(page, "This area was found")
    found = tryon.mask(person_picture()).mask > 0

    stroke(page)
    run(page)
    mask = tryon.requests[-1].mask > 0
    assert (mask & found).sum() > 0.97 * found.sum()  # the copy that is painted on is a little coarser than the photo
    assert (mask & ~found).any()

    page.click("[data-paint=undo]")
    page.click("[data-paint=eraser]")
    assert page.get_attribute("[data-paint=eraser]", "aria-pressed") == "true"
    stroke(page)
    run(page)
    erased = tryon.requests[-1].mask > 0
    assert not (erased & ~found).any() and not erased[MIDDLE].all() and erased.any()

    pick(page, "part", "lower")
    page.wait_for_selector("#painting-hint:has-text('for another part')")


def test_a_wider_brush_paints_more_and_the_keyboard_paints_too(open_page, tryon):
    page = open_page(DESKTOP)
    choose_both(page)
    open_painter(page)
    painted = []
    for width in ("2", "16"):
        page.click("[data-paint=clear]")
        page.locator("input[data-paint=width]").fill(width)
        page.focus("#painter canvas")
        for key in ("ArrowRight", "Space", "Shift+ArrowDown"):
            page.keyboard.press(key)
        run(page)
        painted.append((tryon.requests[-1].mask > 0).sum())
    assert 0 < 4 * painted[0] < painted[1]


def test_strokes_are_for_the_photo_they_were_painted_on_and_outlast_a_change_of_language(open_page, tryon):
    page = open_page(DESKTOP)
    choose_both(page)
    open_painter(page)
    stroke(page)
    pick(page, "language", "id")
    page.wait_for_selector("[data-paint=brush]:has-text('Lukis')")
    run(page)
    assert (tryon.requests[-1].mask > 0).any()

    page.click("#person button[aria-label='Hapus Gambar']")
    page.wait_for_selector("#person img", state="detached")
    choose(page, person=file(person_picture()))
    page.wait_for_selector("#painter canvas", state="detached")
    run(page)
    assert tryon.requests[-1].mask is None
