"""Cutting garments out and laying them on: geometry without trained weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from catvton.cutout import cut_out
from catvton.placement import (
    Placement,
    box_of,
    fill_hole,
    garment_canvas,
    merge_detail,
    place,
    rough_matrix,
    warp_affine,
)
from catvton.warp_net import GRID
from model.beneath import Beneath

FRAME = (288, 384)


def shirt(size: tuple[int, int] = (300, 400), colour: tuple[int, int, int] = (180, 30, 40)) -> Image.Image:
    """A T-shaped RGBA garment."""
    picture = Image.new("RGBA", size, (255, 255, 255, 0))
    draw = ImageDraw.Draw(picture)
    w, h = size
    draw.rectangle((0.3 * w, 0.2 * h, 0.7 * w, 0.8 * h), fill=(*colour, 255))
    draw.rectangle((0.1 * w, 0.2 * h, 0.9 * w, 0.38 * h), fill=(*colour, 255))
    return picture


def photo_of(garment: Image.Image, backdrop: Image.Image) -> Image.Image:
    photo = backdrop.convert("RGB").resize(garment.size)
    photo.paste(garment, mask=garment.getchannel("A"))
    return photo


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def noisy_floor(size: tuple[int, int], seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    planks = np.repeat(rng.normal(0, 10, size[1] // 20 + 1), 20)[: size[1], None, None]
    return Image.fromarray(
        np.clip(np.array([150, 110, 70]) + planks + rng.normal(0, 6, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
    )


@pytest.mark.parametrize("backdrop", ["white", "flat", "floor"])
def test_a_garment_is_cut_from_its_photo(backdrop: str) -> None:
    garment = shirt()
    floor = {"white": Image.new("RGB", (9, 9), "white"), "flat": Image.new("RGB", (9, 9), (90, 120, 160))}
    photo = photo_of(garment, floor.get(backdrop) or noisy_floor(garment.size))
    found = np.asarray(cut_out(photo).getchannel("A")) > 127
    assert overlap(found, np.asarray(garment.getchannel("A")) > 127) > 0.95


def test_a_white_collar_on_white_paper_stays_inside() -> None:
    garment = shirt()
    ImageDraw.Draw(garment).rectangle((140, 200, 160, 220), fill=(255, 255, 255, 255))
    alpha = np.asarray(cut_out(photo_of(garment, Image.new("RGB", (9, 9), "white"))).getchannel("A"))
    assert alpha[210, 150] == 255


def test_transparency_is_kept_and_cloth_filling_the_picture_is_all_garment() -> None:
    garment = shirt()
    assert np.array_equal(np.asarray(cut_out(garment)), np.asarray(garment))
    flat = Image.new("RGB", (120, 160), (10, 200, 30))
    assert np.asarray(cut_out(flat).getchannel("A")).min() == 255


def test_cutting_out_is_repeatable_and_leaves_the_photo_alone() -> None:
    photo = photo_of(shirt(), noisy_floor((300, 400)))
    before = np.asarray(photo).copy()
    first, second = np.asarray(cut_out(photo)), np.asarray(cut_out(photo))
    assert np.array_equal(first, second) and np.array_equal(before, np.asarray(photo))


def test_the_canvas_is_filled_whatever_the_photo_was() -> None:
    boxes = [box_of(garment_canvas(shirt(size), FRAME)[..., 3] > 127) for size in ((300, 400), (900, 500), (64, 128))]
    for left, top, right, bottom in boxes:
        assert max((right - left) / FRAME[0], (bottom - top) / FRAME[1]) == pytest.approx(0.92, abs=0.02)
        assert (left + right) / 2 == pytest.approx(FRAME[0] / 2, abs=2) and (top + bottom) / 2 == pytest.approx(
            FRAME[1] / 2, abs=2
        )


def test_the_rough_place_is_the_masks_box_less_its_reserve() -> None:
    mask = np.zeros(FRAME[::-1], np.uint8)
    mask[100:300, 60:220] = 255
    canvas = garment_canvas(shirt(), FRAME)
    placed = warp_affine(canvas, rough_matrix(canvas[..., 3], mask), FRAME)
    left, top, right, bottom = box_of(placed[..., 3] > 127)
    assert 60 < left < 85 and 195 < right < 220 and 100 < top < 125 and 275 < bottom < 300


def test_the_hole_is_filled_from_its_surroundings_only() -> None:
    person = np.full((96, 72, 3), 60, np.uint8)
    person[:, 36:] = 200
    mask = np.zeros((96, 72), np.uint8)
    mask[30:60, 20:50] = 255
    person[mask > 0] = 255
    filled = fill_hole(person, mask) * 255
    assert np.abs(filled[mask == 0] - person[mask == 0]).max() < 0.01
    inside = filled[mask > 0]
    assert inside.min() >= 59.9 and inside.max() <= 200.1
    assert filled[45, 22].mean() < 110 < 150 < filled[45, 48].mean()


def test_a_hole_over_everything_is_still_a_picture() -> None:
    assert np.isfinite(fill_hole(np.zeros((64, 48, 3), np.uint8), np.full((64, 48), 255, np.uint8))).all()


def test_placement_reads_nothing_under_the_mask() -> None:
    mask = np.zeros(FRAME[::-1], np.uint8)
    mask[100:300, 60:220] = 255
    rng = np.random.default_rng(0)
    person = rng.integers(0, 255, (*FRAME[::-1], 3), np.uint8)
    other = np.where(mask[..., None] > 0, rng.integers(0, 255, person.shape, np.uint8), person)
    from catvton.warp_net import WarpNet

    network = WarpNet().eval()
    one, two = (place(shirt(), Image.fromarray(p), mask, network=network).image for p in (person, other))
    assert np.array_equal(np.asarray(one), np.asarray(two))
    assert np.array_equal(np.asarray(one)[mask == 0], person[mask == 0])


def test_rendering_larger_shows_the_same_garment() -> None:
    mask = np.zeros(FRAME[::-1], np.uint8)
    mask[80:320, 40:250] = 255
    placement = place(shirt((600, 800)), Image.new("RGB", FRAME), mask, network=None)
    small, large = (placement.render((FRAME[0] * k, FRAME[1] * k))[1] for k in (1, 3))
    assert overlap(np.asarray(Image.fromarray(large).resize(FRAME, Image.Resampling.BOX)) > 0.5, small > 0.5) > 0.98


def _flat_placement(colour: tuple[int, int, int]) -> Placement:
    canvas = np.dstack([np.full((*FRAME[::-1], 3), colour, np.uint8), np.full(FRAME[::-1], 255, np.uint8)])
    canvas[::4, :, :3] = np.clip(np.array(colour) + 25, 0, 255)  # fine stripes
    shape = GRID[::-1]
    return Placement(
        Image.new("RGB", FRAME),
        canvas,
        np.eye(2, 3),
        np.zeros((2, *shape), np.float32),
        np.full(shape, 30, np.float32),
        FRAME,
    )


def test_texture_comes_back_where_both_agree_and_not_where_they_do_not() -> None:
    size = (FRAME[0] * 2, FRAME[1] * 2)
    placement = _flat_placement((120, 60, 60))
    same = np.asarray(merge_detail(Image.new("RGB", FRAME, (126, 66, 66)), placement, size=size)).astype(int)
    other = np.asarray(merge_detail(Image.new("RGB", FRAME, (20, 200, 220)), placement, size=size)).astype(int)
    assert same.shape == (size[1], size[0], 3)
    assert same[100:-100, 100:-100, 0].std() > 5
    assert np.abs(other[100:-100, 100:-100] - np.array([20, 200, 220])).max() <= 3


def test_no_background_colour_is_mixed_into_a_garments_edge() -> None:
    """A red garment cut from a white photo: whatever is sampled where it lies is red, never pink."""
    cut = shirt((600, 800), (180, 30, 40))
    canvas = garment_canvas(cut, FRAME)
    edge = (canvas[..., 3] > 0) & (canvas[..., 3] < 255)
    assert edge.any()
    assert np.abs(canvas[edge][:, :3].astype(int) - (180, 30, 40)).max() <= 6
    placement = place(cut, Image.new("RGB", FRAME), np.full(FRAME[::-1], 255, np.uint8), network=None)
    colours, alpha = placement.render(FRAME)
    assert np.abs(colours[alpha > 0.05] * 255 - (180, 30, 40)).max() <= 6


def _leg_mask() -> np.ndarray:
    mask = np.zeros(FRAME[::-1], np.uint8)
    mask[150:360, 110:180] = 255
    return mask


@pytest.mark.parametrize(("bare", "short"), [(True, True), (False, False)])
def test_a_short_skirt_ends_above_bare_legs_and_covers_old_trousers(bare: bool, short: bool) -> None:
    skirt = Image.new("RGBA", (400, 400), (20, 90, 40, 255))
    spare = np.full(FRAME[::-1], bare)
    placement = place(skirt, Image.new("RGB", FRAME), _leg_mask(), network=None, spare=spare)
    rows = np.flatnonzero((placement.render(FRAME)[1] > 0.5).any(1))
    assert (rows[-1] < 260) == short and rows[0] < 170


def test_a_soft_shadow_on_paper_is_not_cloth() -> None:
    import cv2

    garment = shirt()
    cover = np.asarray(garment.getchannel("A")).astype(np.float32) / 255
    shade = cv2.GaussianBlur(np.roll(cover, (6, 6), (0, 1)), (0, 0), 6)
    paper = Image.fromarray(np.clip(246 - 40 * shade, 0, 255).astype(np.uint8)).convert("RGB")
    found = np.asarray(cut_out(photo_of(garment, paper)).getchannel("A")) > 127
    assert overlap(found, cover > 0.5) > 0.95


def test_paper_between_sleeve_and_body_is_cut_away_and_white_stripes_stay() -> None:
    gap = [(93, 322), (107, 322), (100, 200)]  # the paper beside a hanging sleeve: a wedge, narrow all along
    wedge = shirt()
    ImageDraw.Draw(wedge).rectangle((60, 80, 240, 320), fill=(180, 30, 40, 255))
    ImageDraw.Draw(wedge).polygon(gap, fill=(255, 255, 255, 0))
    found = np.asarray(cut_out(photo_of(wedge, Image.new("RGB", (9, 9), "white"))).getchannel("A")) > 127
    assert not found[270:300, 99:102].any() and found[270:300, 110:190].all()

    striped = photo_of(shirt(), Image.new("RGB", (9, 9), "white"))
    for top in range(200, 300, 30):
        ImageDraw.Draw(striped).rectangle((90, top, 210, top + 4), fill="white")
    found = np.asarray(cut_out(striped).getchannel("A")) > 127
    assert found[180:310, 100:200].all()


def a_frame(mask_box: tuple[int, int, int, int]) -> tuple[Image.Image, np.ndarray]:
    mask = np.zeros(FRAME[::-1], np.uint8)
    left, top, right, bottom = mask_box
    mask[top:bottom, left:right] = 255
    return Image.new("RGB", FRAME, (90, 160, 90)), mask


def beneath_of(**maps: np.ndarray) -> Beneath:
    nothing = np.zeros(FRAME[::-1], bool)
    areas = dict.fromkeys(("body", "least", "worn", "sleeve"), nothing) | {"behind": ~nothing}
    paint, along = np.zeros((*FRAME[::-1], 4), np.uint8), np.zeros(FRAME[::-1], np.uint8)
    return Beneath(**({"paint": paint, "along": along} | areas | maps))


def narrow_shirt(person: Image.Image, mask: np.ndarray) -> Placement:
    """A shirt of which only the middle, from column 100 to 188, is shown."""
    laid = place(shirt(), person, mask, network=None)
    odds = np.full_like(laid.odds, -30)
    odds[:, 25:47] = 30
    return replace(laid, odds=odds).over(person, mask, beneath_of())


def test_a_garment_covers_the_body_between_its_rows() -> None:
    person, mask = a_frame((60, 80, 230, 300))
    laid = narrow_shirt(person, mask)
    body = np.zeros(FRAME[::-1], bool)
    body[200:320, 64:226] = True  # wider than the shirt's body, and beyond its hem
    covered = laid.over(person, mask, beneath_of(body=body))
    before, after = np.asarray(laid.image).astype(int), np.asarray(covered.image).astype(int)
    red = np.abs(after - (180, 30, 40)).max(-1) < 12
    assert red[220, 66:224].all() and not (np.abs(before[220, 66:75] - (180, 30, 40)).max(-1) < 12).any()
    assert np.array_equal(before[310:], after[310:])  # below the hem, and outside the mask


def test_narrow_rims_of_old_clothes_become_the_garment_wide_ones_do_not() -> None:
    person, mask = a_frame((60, 80, 230, 300))
    laid = narrow_shirt(person, mask)
    worn = np.ones(FRAME[::-1], bool)
    after = np.asarray(laid.over(person, mask, beneath_of(worn=worn)).image).astype(int)
    red = np.abs(after[130] - (180, 30, 40)).max(-1) < 12  # at the sleeves, which begin left of column 100
    assert red[96:100].all() and not red[:90].any()


def test_small_changes_of_the_network_are_noise_large_ones_are_not() -> None:
    person, mask = a_frame((60, 80, 230, 300))
    laid = place(shirt(), person, mask, network=None)
    start = np.asarray(laid.image)
    blotched = start.copy()
    blotched[10:40, 10:60] += 12
    drawn = blotched.copy()
    drawn[320:370, 20:120] = (230, 190, 170)
    merged = np.asarray(merge_detail(Image.fromarray(drawn), laid, FRAME)).astype(int)
    assert np.abs(merged[15:35, 15:55] - start[15:35, 15:55]).max() <= 1
    assert np.abs(merged[330:360, 30:110] - (230, 190, 170)).max() <= 2


def test_the_paper_at_a_cut_outs_edge_draws_no_line_where_the_garment_goes_on() -> None:
    person, mask = a_frame((60, 80, 230, 300))
    rimmed = shirt()
    ImageDraw.Draw(rimmed).rectangle((90, 80, 210, 320), outline=(255, 255, 255, 255), width=3)
    body = np.zeros(FRAME[::-1], bool)
    body[200:280, 64:226] = True

    def white(under: Beneath) -> int:
        laid = place(rimmed, person, mask, network=None, under=under)
        finished = np.asarray(merge_detail(laid.image, laid, FRAME))
        return int((finished[205:270, 64:226].min(-1) > 120).sum())

    assert white(beneath_of()) > 100
    assert white(beneath_of(body=body)) == 0


def test_a_pattern_goes_on_mirrored_and_not_smeared() -> None:
    person, mask = a_frame((60, 80, 230, 300))
    checked = shirt()
    for x in range(0, checked.width, 24):  # dark columns of 12 pixels
        ImageDraw.Draw(checked).rectangle((x, 0, x + 11, checked.height), fill=(30, 30, 60, 255))
    checked.putalpha(shirt().getchannel("A"))
    laid = place(checked, person, mask, network=None)
    odds = np.full_like(laid.odds, -30)
    odds[:, 25:47] = 30
    body = np.zeros(FRAME[::-1], bool)
    body[200:280, 64:226] = True
    wide = replace(laid, odds=odds).over(person, mask, beneath_of(body=body))
    for scale in (1, 2):
        colours, alpha = wide.render((FRAME[0] * scale, FRAME[1] * scale))
        row = colours[240 * scale, 70 * scale : 104 * scale, 0]
        assert alpha[240 * scale, 70 * scale : 220 * scale].min() > 0.95
        changes = np.count_nonzero(np.diff(row > (30 + 180) / 2 / 255))
        assert changes >= 3, scale  # smeared, the row would have one colour


def test_a_print_is_not_seen_again_where_the_garment_goes_on() -> None:
    """A white spot well inside the shirt, the body reaching farther beyond its edge than the spot is from it."""
    person, mask = a_frame((40, 60, 250, 340))
    printed = shirt()
    ImageDraw.Draw(printed).ellipse((140, 190, 160, 210), fill=(255, 255, 255, 255))
    laid = place(printed, person, mask, network=None)
    odds = np.full_like(laid.odds, -30)
    odds[:, 25:47] = 30
    body = np.zeros(FRAME[::-1], bool)
    body[150:280, 44:246] = True
    image = np.asarray(replace(laid, odds=odds).over(person, mask, beneath_of(body=body)).image)
    white = image[150:280].min(-1) > 200
    columns = np.flatnonzero(white.any(0))
    assert 110 < columns[0] <= columns[-1] < 178
    assert (np.abs(image[210, 50:95].astype(int) - (180, 30, 40)).max(-1) < 12).all()  # it does go on there


def test_a_hem_reaches_what_must_be_covered_and_is_stretched_no_further() -> None:
    """A long mask over nothing but wall: the shirt keeps its proportions unless the body needs more."""
    person, mask = a_frame((90, 40, 200, 370))
    spare, least = np.ones(FRAME[::-1], bool), np.zeros(FRAME[::-1], bool)

    def hem(under: Beneath | None) -> int:
        found = place(shirt(), person, mask, network=None, spare=spare, under=under)
        alpha = replace(found, widened=None).render(FRAME)[1]
        return int(np.flatnonzero((alpha > 0.5).any(1))[-1])

    least[60:300, 100:190] = True
    assert hem(None) < 260 and hem(beneath_of()) == hem(None)
    assert hem(beneath_of(least=least)) == pytest.approx(300, abs=4)


def test_dresses_end_above_trousers_that_go_and_trousers_reach_their_end() -> None:
    """Only of what has sleeves, or none, is it known that legs may come out below."""
    person, mask = a_frame((90, 40, 200, 370))
    worn, spare = np.ones(FRAME[::-1], bool), np.zeros(FRAME[::-1], bool)
    options = {"network": None, "spare": spare, "under": beneath_of(worn=worn)}
    laid = [place(shirt(), person, mask, sleeves=sleeves, **options) for sleeves in (0.42, None)]
    ends = [np.flatnonzero((each.render(FRAME)[1] > 0.5).any(1))[-1] for each in laid]
    assert ends[0] < 280 < 340 < ends[1]


def test_the_network_has_no_say_where_nobody_is() -> None:
    person, mask = a_frame((40, 60, 250, 340))
    laid, nothing = narrow_shirt(person, mask), np.zeros(FRAME[::-1], bool)
    unders = (beneath_of(behind=~nothing), beneath_of(behind=nothing))
    bright = Image.new("RGB", FRAME, "white")
    kept, changed = (
        np.asarray(merge_detail(bright, laid.over(person, mask, under), FRAME)).astype(int)[100:300, 50:80]
        for under in unders
    )
    assert np.abs(kept - (90, 160, 90)).max() <= 3
    assert np.abs(changed - 255).max() <= 3


def test_the_tip_of_a_gap_is_cut_away_and_the_edge_is_the_photos() -> None:
    trousers = Image.new("RGBA", (300, 400), (0, 0, 0, 0))
    ImageDraw.Draw(trousers).polygon([(90, 40), (210, 40), (222, 370), (165, 370), (150, 150), (135, 370), (78, 370)],
                                     fill=(40, 70, 130, 255))
    large = trousers.resize((900, 1200), Image.Resampling.LANCZOS)
    found = np.asarray(cut_out(photo_of(large, Image.new("RGB", (9, 9), (244, 244, 242)))).getchannel("A")) > 127
    truth = np.asarray(large.getchannel("A")) > 127
    assert overlap(found, truth) > 0.98
    tip = np.zeros_like(truth)
    tip[570:640, 440:460] = True  # the gap between the legs is 16 to 25 pixels wide here, 3 to 5 at the working size
    assert found[tip & ~truth].mean() < 0.5  # nearly all of it where gaps end at their narrow part


def test_a_garment_as_pale_as_a_shadow_is_still_told_from_its_paper() -> None:
    pale = photo_of(shirt((300, 400), (207, 214, 220)), Image.new("RGB", (9, 9), "white"))
    found = np.asarray(cut_out(pale).getchannel("A")) > 127
    assert overlap(found, np.asarray(shirt((300, 400)).getchannel("A")) > 127) > 0.95
