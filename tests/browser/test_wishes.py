"""More than one garment, more than one picture, and what came of it: the row of try-ons."""

import numpy as np

from tests.browser.conftest import DESKTOP, PATIENCE, PHONE
from tests.browser.driving import (
    add_garments,
    choose,
    choose_both,
    downloaded,
    enter,
    file,
    open_options,
    pick,
    press,
    run,
)
from tests.web_fakes import garment_picture, person_picture

GREEN, BLUE = (20, 160, 60), (30, 50, 200)


def shown(page):
    """How many try-ons the row has."""
    return page.locator("#gallery button").count()


def test_several_garments_are_tried_on_in_one_go(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    add_garments(page, file(garment_picture(GREEN)), file(garment_picture(BLUE), "b.png"))
    page.click(f"#rail button[aria-label='{texts('garment.remove', number=2)}']")
    page.wait_for_selector("#rail li >> nth=1", state="detached")

    tryon.gate.clear()
    page.click("#go")
    page.wait_for_selector(f"#status:has-text('{texts('run.picture', run=1, runs=2)}')")
    tryon.gate.set()
    page.wait_for_selector("#gallery button >> nth=1")
    page.wait_for_selector("#go:not([disabled])")
    assert shown(page) == 2
    first, second = (np.asarray(downloaded(page)[1]) for _ in pictures(page))
    assert not np.array_equal(first, second)
    assert [request.person for request in tryon.requests] == 2 * [tryon.requests[0].person]


def pictures(page):
    """Each try-on in turn, the oldest first."""
    buttons = page.query_selector_all("#gallery button")
    for number in sorted(int(button.get_attribute("data-number")) for button in buttons):
        page.click(f"#gallery button[data-number='{number}']")
        page.wait_for_selector(f"#gallery button[data-number='{number}'][aria-pressed=true]")
        yield number


def test_an_outfit_is_the_top_and_on_it_the_bottom_and_each_is_shown(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    pick(page, "part", "outfit")
    page.wait_for_selector("#below input[type=file]", state="attached")
    assert texts["top.title"] in page.inner_text(".studio-columns")
    choose(page, below=file(garment_picture(BLUE)))

    tryon.holds = "lower"
    tryon.gate.clear()
    page.click("#go")
    page.wait_for_selector(f"#status:has-text('{texts('run.picture', run=2, runs=2)}')")
    page.wait_for_selector("#result .studio-compare")  # the top is there to be looked at while the bottom is made
    tryon.gate.set()
    page.wait_for_selector("#gallery button >> nth=1")
    page.wait_for_selector("#go:not([disabled])")

    top, bottom = tryon.requests
    assert (top.part, bottom.part) == ("upper", "lower")
    half, whole = (np.asarray(downloaded(page)[1]) for _ in pictures(page))
    photo = np.asarray(person_picture())
    assert (half[100:200] != photo[100:200]).any() and (half[200:300] == photo[200:300]).all()
    assert (whole[100:200] == half[100:200]).all() and (whole[200:300] != photo[200:300]).any()
    pick(page, "show", "input & result")
    page.wait_for_selector("#result figure:not(.studio-compare)")
    assert downloaded(page, "#download-comparison")[1].size[0] == 4 * 308 - 8  # photo, top, bottom, result


def test_variations_stand_in_a_row_and_their_settings_can_be_used_again(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    open_options(page)
    enter(page, "#steps input[type=number]", "6")
    enter(page, "#variations input[type=number]", "3")
    pick(page, "part", "lower")
    run(page)
    assert shown(page) == 3
    seeds = [downloaded(page)[1].info["seed"] for _ in pictures(page)]
    assert seeds == ["42", "43", "44"]

    enter(page, "#steps input[type=number]", "2")
    enter(page, "#seed input", "7")
    pick(page, "part", "upper")
    page.click("#gallery button[data-number='2']")
    page.wait_for_selector("#gallery button[data-number='2'][aria-pressed=true]")
    for fact in (texts("run.seed", seed=43), texts("run.steps", steps=6)):
        assert fact in page.inner_text("#facts")
    page.click("#again")
    page.wait_for_selector(f"#status:has-text('{texts('result.reused', number=2)}')")
    run(page)
    request = tryon.requests[-1]
    assert (request.seed, request.steps, request.part, request.variations) == (43, 6, "lower", 1)


def test_the_picture_so_far_and_the_time_left_are_shown_while_it_is_made(open_page, tryon, screen):
    page, texts = open_page(screen), screen.texts
    choose_both(page)
    tryon.free_steps = 1
    tryon.gate.clear()
    page.click("#go")
    page.wait_for_selector(f"#status:has-text('{texts('run.generate', step=2, steps=4)}')")
    page.wait_for_selector(f"#status:has-text('{texts['run.soon']}')")
    assert page.get_attribute("#status [role=progressbar]", "aria-valuenow") == "25"
    page.wait_for_timeout(1100)  # a sketch is made once a second
    tryon.free_steps = 3
    tryon.gate.set()
    tryon.gate.clear()
    page.wait_for_selector(f"#result img[alt='{texts['run.preview']}']")
    tryon.gate.set()
    page.wait_for_selector("#result .studio-compare")


def test_who_has_to_wait_is_told_the_place_and_may_go(open_page, tryon):
    pages = [open_page(DESKTOP), open_page(PHONE), open_page(DESKTOP)]
    for page in pages:
        choose_both(page)
    tryon.gate.clear()
    for page, said in zip(pages, ("Step 1 of 4", "Berikutnya giliran Anda.", "2 before you."), strict=True):
        page.click("#go")
        page.wait_for_selector(f"#status:has-text('{said}')")
    pages[1].click("#stop")
    pages[1].wait_for_selector("#status:has-text('Dihentikan')")
    pages[2].wait_for_selector("#status:has-text('You are next.')")
    tryon.gate.set()
    for page in (pages[0], pages[2]):
        page.wait_for_selector("#result .studio-compare")
    assert tryon.ended.wait(PATIENCE / 1000) and len(tryon.requests) == 2


def test_the_slider_shows_the_photo_on_one_side_and_the_result_on_the_other(open_page, screen, tryon):
    page = open_page(screen)
    choose_both(page)
    press(page)
    slider = page.locator("#result .studio-compare input")
    edges = []
    for value in ("0", "50", "100"):
        slider.fill(value)
        before = page.locator("#result .studio-before").evaluate("image => getComputedStyle(image).clipPath")
        edges.append(before)
    assert edges == ["inset(0px 100% 0px 0px)", "inset(0px 50% 0px 0px)", "inset(0px 0% 0px 0px)"]
