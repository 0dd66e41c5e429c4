"""The whole path on a tiny random model: what the result may depend on, and how a run is told, stopped and repeated."""

import threading
from contextlib import closing

import numpy as np
import pytest
import torch
from PIL import Image

from catvton.engines import PipelineEngine, StepReport
from catvton.errors import Cancelled, InputError, SettingsError, WeightsError
from catvton.result import SHOWS, TryOnRequest, TryOnResult
from catvton.tryon import TryOn
from catvton.warp_net import WarpNet
from tests import tiny


@pytest.fixture(scope="module")
def tryon() -> TryOn:
    return tiny.tiny_tryon()


def request(**changes) -> TryOnRequest:
    return TryOnRequest(**({"person": tiny.person(), "garment": tiny.garment()} | changes))


def pixels(result: TryOnResult) -> np.ndarray:
    return np.asarray(result.image)


# ---- what comes out --------------------------------------------------------------------------------------------------


def test_result_says_what_was_done(tryon):
    result = tryon.run(request(seed=7, steps=2, guidance=1.5, size=(72, 96)))
    info = result.info()
    assert info["engine"] == "tiny@0"
    assert (info["seed"], info["steps"], info["guidance"], info["size"]) == (7, 2, 1.5, [72, 96])
    assert list(info["seconds"]) == ["open", "mask", "place", "generate", "paste"]
    assert info["notes"] == ["a note of the masker"]
    assert len(info["job_id"]) == 12


def test_pixels_outside_the_mask_are_the_photos_own(tryon):
    result = tryon.run(request())
    photo, outside = np.asarray(tiny.person()), result.mask == 0
    assert result.image.size == (90, 150)
    assert np.array_equal(pixels(result)[outside], photo[outside])
    assert not np.array_equal(pixels(result)[~outside], photo[~outside])


def test_the_garment_matters(tryon):
    assert not np.array_equal(
        pixels(tryon.run(request())), pixels(tryon.run(request(garment=tiny.garment("navy"))))
    )


def test_inputs_are_left_alone(tryon):
    person, garment, mask = tiny.person(), tiny.garment(), tiny.mask()
    before = person.tobytes(), garment.tobytes(), mask.tobytes()
    tryon.run(request(person=person, garment=garment, mask=mask))
    assert (person.tobytes(), garment.tobytes(), mask.tobytes()) == before


# ---- what it may depend on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(48, 64), (72, 96)])
def test_nothing_under_a_given_mask_reaches_the_result(tryon, size):
    mask = tiny.mask()
    noise = np.random.default_rng(5).integers(0, 256, (150, 90, 3), dtype=np.uint8)
    overwritten = np.where(mask[..., None] > 0, noise, np.asarray(tiny.person()))
    plain = tryon.run(request(mask=mask, size=size))
    other = tryon.run(request(mask=mask, size=size, person=overwritten))
    assert np.array_equal(pixels(plain), pixels(other))


def test_what_lies_outside_the_mask_does_reach_it(tryon):
    mask = tiny.mask()
    plain = pixels(tryon.run(request(mask=mask)))
    other = pixels(tryon.run(request(mask=mask, person=tiny.person(seed=1))))
    assert not np.array_equal(plain[mask > 0], other[mask > 0])


def test_a_drawn_mask_wins(tryon):
    mask = tiny.mask()
    assert np.array_equal(tryon.run(request(mask=mask)).mask, mask)
    assert not np.array_equal(tryon.run(request()).mask, mask)


def test_a_drawn_mask_works_where_nobody_is_recognised(tryon):
    white = Image.new("RGB", (90, 150), "white")
    result = tryon.run(request(person=white, mask=tiny.mask()))
    assert "No person was recognised" in result.notes[0]
    with pytest.raises(InputError) as caught:
        tryon.run(request(person=white))
    assert caught.value.code == "person.not_found"


# ---- chance ----------------------------------------------------------------------------------------------------------


def test_same_seed_same_picture_other_seed_other_picture(tryon):
    first, again, other = (pixels(tryon.run(request(seed=seed))) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_drawn_seed_is_reported_and_repeats_the_picture(tryon):
    drawn = tryon.run(request(seed=-1))
    assert 0 <= drawn.seed < 2**31
    assert np.array_equal(pixels(drawn), pixels(tryon.run(request(seed=drawn.seed))))


def test_variations_are_the_pictures_of_seeds_in_a_row(tryon):
    reports: list[StepReport] = []
    result = tryon.run(request(seed=2**31 - 1, variations=2, steps=2), on_step=reports.append)
    assert result.image is result.images[0]
    assert np.array_equal(np.asarray(result.images[1]), pixels(tryon.run(request(seed=0, steps=2))))
    assert [r.step for r in reports if r.stage == "generate"] == [0, 1, 2, 3, 4]
    assert {r.steps for r in reports} == {4}


def test_concurrent_runs_do_not_interact(tryon):
    alone = {seed: pixels(tryon.run(request(seed=seed, steps=4))) for seed in (10, 11)}
    together: dict[int, np.ndarray] = {}
    barrier = threading.Barrier(2)

    def work(seed: int) -> None:
        def in_step(report: StepReport) -> None:
            if report.stage == "generate" and report.step < 4:
                barrier.wait(timeout=60)  # both are in the middle of their runs at every step

        together[seed] = pixels(tryon.run(request(seed=seed, steps=4), on_step=in_step))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert all(np.array_equal(together[seed], alone[seed]) for seed in alone)


# ---- how a run is told, and stopped ----------------------------------------------------------------------------------


def test_every_stage_and_step_is_reported_with_a_preview_in_the_photo(tryon):
    reports: list[StepReport] = []
    result = tryon.run(request(), on_step=reports.append)
    told = [(r.stage, r.step) for r in reports]
    assert told == [("mask", 0), ("place", 0), *(("generate", n) for n in range(4)), ("paste", 3)]
    outside = result.mask == 0
    for report in reports:
        preview = np.asarray(report.preview())
        assert np.array_equal(preview[outside], np.asarray(tiny.person())[outside])
    assert not np.array_equal(np.asarray(reports[3].preview()), np.asarray(reports[4].preview()))


@pytest.mark.parametrize(("stage", "step"), [("mask", 0), ("generate", 2), ("paste", 3)])
def test_a_listener_can_stop_the_run(tryon, stage, step):
    seen = []

    def stop(report: StepReport) -> None:
        seen.append((report.stage, report.step))
        if seen[-1] == (stage, step):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        tryon.run(request(), on_step=stop)
    assert seen[-1] == (stage, step)


def test_stream_reports_and_ends_with_the_same_result(tryon):
    *reports, result = tryon.stream(request(seed=5))
    assert {type(report) for report in reports} == {StepReport}
    assert np.array_equal(pixels(result), pixels(tryon.run(request(seed=5))))


def test_closing_a_stream_stops_the_run():
    threads = threading.active_count()
    with closing(tiny.tiny_tryon().stream(request(steps=20))) as stream:
        for report in stream:
            if report.step == 1:
                break
    assert threading.active_count() == threads
    assert report.step == 1


def test_an_error_in_a_stream_comes_out_of_it(tryon):
    with pytest.raises(InputError) as caught:
        list(tryon.stream(request(part="hat")))
    assert caught.value.code == "option.part"


# ---- placement engines -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def placing(tmp_path_factory) -> TryOn:
    """A placement engine with a random placement network of its own."""
    folder = tmp_path_factory.mktemp("engine")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = WarpNet(widths=(8, 8, 8, 8))
        torch.nn.init.normal_(network.head.weight, std=0.05)
    network.save_pretrained(folder / "placement")
    return tiny.tiny_tryon(placement=True, folder=folder, files=("placement/config.json",))


def test_a_placement_engine_starts_from_the_laid_garment(placing, monkeypatch):
    seen = {}
    generate = PipelineEngine.generate

    def watched(self, person, garment, mask, **options):
        seen.update(person=person, garment=garment, mask=mask, **options)
        return generate(self, person, garment, mask, **options)

    monkeypatch.setattr(PipelineEngine, "generate", watched)
    placing.run(request(mask=tiny.mask()))
    hole, started = seen["mask"] > 0, np.asarray(seen["masked_image"])
    assert np.array_equal(started[~hole], np.asarray(seen["person"])[~hole])
    assert np.abs(started[hole].mean(axis=0) - (220, 20, 60)).max() < 60  # crimson, its cut-out's soft edge included
    assert seen["garment"].size == (48, 64)
    assert seen["garment"].getpixel((0, 0)) == (255, 255, 255)


def test_nothing_under_the_mask_reaches_a_placement_engine(placing):
    mask = tiny.mask()
    overwritten = np.where(mask[..., None] > 0, np.uint8(77), np.asarray(tiny.person()))
    plain, other = (placing.run(request(mask=mask, person=person)) for person in (tiny.person(), overwritten))
    assert np.array_equal(pixels(plain), pixels(other))


def test_a_placement_engine_without_its_network_says_what_is_missing(tmp_path):
    tryon = tiny.tiny_tryon(placement=True, folder=tmp_path, files=("placement/config.json",))
    with pytest.raises(WeightsError, match=r"placement/config\.json"):
        tryon.run(request())


# ---- masks, cards, show ----------------------------------------------------------------------------------------------


def test_mask_alone(tryon):
    found = tryon.mask(tiny.person())
    assert found.mask.shape == (150, 90)
    for part, code in (("hat", "option.part"), ("lower", "part.not_visible")):
        with pytest.raises(InputError) as caught:
            tryon.mask(tiny.person(), part)
        assert caught.value.code == code


def test_the_default_engine_comes_first():
    engines = [tiny.tiny_engine(), tiny.tiny_engine(name="other")]
    tryon = TryOn(engines, tiny.TinyMasker(), default="other")
    assert list(tryon.cards) == ["other", "tiny"]
    assert tryon.run(request()).engine == "other@0"
    assert tryon.run(request(engine="tiny")).engine == "tiny@0"
    with pytest.raises(SettingsError, match="tiny, other"):
        TryOn(engines, tiny.TinyMasker(), default="third")


def test_show(tryon):
    result = tryon.run(request(steps=1))
    width, height = result.image.size
    assert result.show(SHOWS[0]) is result.image
    for how, count in ((SHOWS[1], 3), (SHOWS[2], 4)):
        row = result.show(how)
        assert row.size == (count * (width + 8) - 8, height)
        assert row.crop((row.width - width, 0, row.width, height)).tobytes() == result.image.tobytes()
        assert row.crop((0, 0, width, height)).tobytes() == result.person.tobytes()
    tinted = np.asarray(result.show(SHOWS[2]).crop((width + 8, 0, 2 * width + 8, height)))
    changed = (tinted != np.asarray(result.person)).any(axis=2)
    assert not changed[result.mask == 0].any()
    assert changed[result.mask > 0].mean() > 0.95
    with pytest.raises(InputError) as caught:
        result.show("everything")
    assert caught.value.code == "option.show"
