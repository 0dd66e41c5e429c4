"""The parts of a benchmark run: what the network is shown, chance, shares, masks, the seam of a pasted result."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from catvton.cards import read_versions
from catvton.datasets import DressCode, VitonHD
from catvton.errors import InputError, WeightsError
from catvton.evaluation import result_folder
from catvton.evaluation.benchmark import PLAIN, REPAINT, Benchmark, Share, repainted
from catvton.evaluation.benchmark_engine import SIZE as PUBLISHED
from catvton.evaluation.benchmark_engine import (
    Batched,
    How,
    Sized,
    dresser,
    generator_of,
    identity,
    size_of,
    with_weights,
)
from catvton.evaluation.benchmark_masks import Masks, masker_name
from catvton.evaluation.result_folder import ResultFolder, differences, write_whole
from tests import fake_sets
from tests.tiny import TinyMasker
from tests.tiny_pipeline import box_mask, noise_picture, tiny_pipe

SIZE = (24, 32)
HOW = How(size=SIZE, steps=3, guidance=2.5)


def unwatched(things, what, count):
    return things


def seen(number, *, size=SIZE):
    """A case's pictures, of sizes and proportions of their own."""
    person, garment = noise_picture(2 * number, (90, 100)), noise_picture(2 * number + 1, (50, 120))
    return Sized.of(person, garment, box_mask((20, 30, 60, 70), (90, 100)), size=size)


# ---- what the network is shown ---------------------------------------------------------------------------------------


def test_pictures_are_stretched_whole_as_the_published_evaluation_does():
    """Against plain arithmetic: LANCZOS to the size whatever the proportions, -1..1, a mask of 0 and 1."""
    person, garment, mask = (
        noise_picture(1, (90, 100)),
        noise_picture(2, (50, 120)),
        box_mask((20, 30, 60, 70), (90, 100)),
    )

    def pixels(picture):
        array = np.asarray(picture.resize(SIZE, Image.Resampling.LANCZOS), np.float32)
        return torch.from_numpy(array / 127.5 - 1).permute(2, 0, 1)[None]

    hole = np.asarray(mask.resize(SIZE, Image.Resampling.LANCZOS), np.float32) / 255 >= 0.5
    pipe = tiny_pipe()
    expected = pipe(
        pixels(person), pixels(garment), torch.from_numpy(hole)[None, None].float(), num_inference_steps=3,
        guidance_scale=2.5, generator=[generator_of(555, "a")],
    ).images[0]  # fmt: skip
    case = Sized.of(person, garment, mask, size=SIZE)
    (found,) = Batched(pipe, HOW)([case], [generator_of(555, "a")])
    assert np.array_equal(found, expected)


def test_a_result_depends_on_its_name_and_the_seed_and_not_on_its_batch():
    cases, names = [seen(number) for number in range(3)], ["a", "b", "c"]
    dress = Batched(tiny_pipe(), HOW)
    together = dress(cases, [generator_of(555, name) for name in names])
    for case, name, picture in zip(cases, names, together, strict=True):
        (alone,) = dress([case], [generator_of(555, name)])
        assert np.abs(np.asarray(alone, int) - np.asarray(picture, int)).max() <= 1  # sums round differently
        for seed, other in ((555, name + "x"), (556, name)):
            (changed,) = dress([case], [generator_of(seed, other)])
            assert np.abs(np.asarray(changed, int) - np.asarray(picture, int)).mean() > 2


def test_a_batch_that_does_not_fit_says_what_to_do():
    class Full:
        layout, unet = tiny_pipe().layout, tiny_pipe().unet

        def __call__(self, *_, **__):
            raise torch.OutOfMemoryError("full")

    with pytest.raises(InputError, match=r"2 pictures of 24x32 at once .* smaller --batch"):
        Batched(Full(), HOW)([seen(0), seen(1)], [generator_of(1, "a"), generator_of(1, "b")])


def test_the_built_in_engine_lays_the_garment_on_and_answers_at_the_results_size():
    """Each garment's colour is found in the hole, whatever the photo shows there."""
    size, card = (96, 128), next(iter(read_versions()["compact"].values()))
    engine = dresser(card, How(size=size, steps=1, guidance=1.0), device="cpu", dtype="auto")
    person, mask = map(Image.fromarray, (fake_sets.person("a", size=size), fake_sets.mask(size=size)))
    hole = np.zeros((128, 96), bool)
    hole[48:60, 38:58] = True
    for colour in ((200, 30, 40), (30, 60, 200)):
        garment = Image.new("RGB", size, "white")
        garment.paste(colour, (14, 20, 82, 110))
        (result,) = engine([Sized.of(person, garment, mask, size=size)], [generator_of(1, "a")])
        assert result.size == size
        assert np.abs(np.asarray(result, float)[hole].mean(0) - colour).max() < 40


# ---- the seam --------------------------------------------------------------------------------------------------------


def test_far_from_the_mask_a_pasted_result_is_the_photo_and_within_it_the_picture():
    size = (96, 128)
    person, picture = noise_picture(1, size), noise_picture(2, size)
    case = Sized.of(person, person, box_mask((24, 32, 72, 96), size), size=size)
    result = np.asarray(repainted(picture, case))
    assert np.array_equal(result[:10], np.asarray(person)[:10]) and np.array_equal(
        result[:, :8], np.asarray(person)[:, :8]
    )
    assert np.array_equal(result[50:78, 40:56], np.asarray(picture)[50:78, 40:56])


def test_the_seam_is_a_gaussian_of_a_fiftieth_of_the_height_made_odd():
    size, sigma = (384, 512), 11
    black, white = (Image.new("RGB", size, colour) for colour in ("black", "white"))
    case = Sized.of(black, black, box_mask((0, 0, 384, 256), size), size=size)
    column = np.asarray(repainted(white, case))[:, 192, 0] / 255
    for off in (-22, -11, 0, 11, 22):  # rows below the edge at 256
        assert column[256 + off] == pytest.approx(0.5 * math.erfc((off + 0.5) / sigma / 2**0.5), abs=0.03)


def test_a_result_is_pasted_along_the_masks_nearest_pixels():
    """The published evaluation shows the network a mask by LANCZOS and pastes along another."""
    mask = Image.fromarray(np.random.default_rng(0).integers(0, 2, (100, 90), dtype=np.uint8) * 255)
    case = Sized.of(noise_picture(1, (90, 100)), noise_picture(2), mask, size=SIZE)
    assert np.array_equal(case.seam, mask.resize(SIZE, Image.Resampling.NEAREST))
    assert np.array_equal(case.mask, mask.resize(SIZE, Image.Resampling.LANCZOS))


# ---- shares ----------------------------------------------------------------------------------------------------------


class Counting:
    """A dresser that answers with the person, darker, and keeps how many it was asked for at once, and their seeds."""

    mask_free, precision = False, "float32"

    def __init__(self):
        self.batches, self.seeds = [], []

    def __call__(self, cases, generators):
        self.batches.append(len(cases))
        self.seeds += [generator.initial_seed() for generator in generators]
        return [case.person.point(lambda value: value // 2) for case in cases]


def benchmark(root, out, **options):
    cases = VitonHD(root).cases(paired=True)
    folders = {way: ResultFolder(out / way) for way in (PLAIN, REPAINT)}
    given = {"cases": cases, "folders": folders, "dresser": Counting(), "masks": Masks(out / "masks"), "size": (48, 64)}
    return Benchmark(**{**given, "seed": 1, "batch": 2, **options})


@pytest.mark.parametrize("count", [2, 3, 4])
def test_processes_take_every_case_exactly_once_and_make_the_same_pictures(tmp_path, count):
    root, how = fake_sets.write_vitonhd(tmp_path / "set", pairs=5), How(size=(48, 64), steps=1, guidance=1.0)
    alone = benchmark(root, tmp_path / "alone", dresser=Batched(tiny_pipe(), how))
    alone.generate(unwatched)
    shared = []
    for rank in range(count):  # each into folders of its own, so that nothing is finished by another
        folders = benchmark(root, tmp_path / str(rank)).folders
        replace(alone, folders=folders, share=Share(rank, count)).generate(unwatched)
        shared += sorted((tmp_path / str(rank)).rglob("*.jpg"))
    expected = {(path.parent.name, path.name): path.read_bytes() for path in (tmp_path / "alone").rglob("*.jpg")}
    assert len(shared) == len(expected) == 10
    assert {(path.parent.name, path.name): path.read_bytes() for path in shared} == expected


def test_every_case_has_chance_of_its_own(tmp_path):
    run = benchmark(fake_sets.write_vitonhd(tmp_path / "set", pairs=5), tmp_path / "out")
    run.generate(unwatched)
    assert run.dresser.seeds == [generator_of(1, case.name).initial_seed() for case in run.cases]
    assert len(set(run.dresser.seeds)) == 5


def test_no_more_than_a_batch_is_taken_at_once_and_progress_is_told_picture_by_picture(tmp_path):
    run = benchmark(fake_sets.write_vitonhd(tmp_path / "set", pairs=5), tmp_path / "out")
    seen = []

    def watch(things, what, count):
        for thing in things:
            there = len(list((tmp_path / "out/plain").glob("*.jpg")))
            seen.append((what, count, there, sum(run.dresser.batches)))
            yield thing

    run.generate(watch)
    assert seen == [("pictures", 5, n + 1, min(5, n // 2 * 2 + 2)) for n in range(5)]
    assert run.dresser.batches == [2, 2, 1]


# ---- masks -----------------------------------------------------------------------------------------------------------


def test_a_masks_file_is_the_sets_else_one_for_this_very_photo(tmp_path):
    first, second, *_ = VitonHD(fake_sets.write_vitonhd(tmp_path / "set", pairs=4, masks=False)).cases(paired=True)
    masks = Masks(tmp_path / "kept")
    masks.make([first, second], TinyMasker(), unwatched)
    assert np.array_equal(masks.open(first), TinyMasker()(Image.open(first.person), "upper").mask)
    kept = masks.file(first)
    second.person.replace(first.person)
    assert masks.file(first) != kept and not masks.file(first).exists()
    first.mask.parent.mkdir()
    box_mask((1, 1, 9, 9), (48, 64)).save(first.mask)
    assert masks.file(first) == first.mask and np.asarray(masks.open(first)).sum() == 64 * 255


def test_photos_without_a_mask_are_all_named_after_the_others_are_done(tmp_path):
    cases = DressCode(fake_sets.write_dresscode(tmp_path / "set", masks=False)).cases(paired=True)
    masks = Masks(tmp_path / "kept")
    with pytest.raises(InputError, match="2 of 6 masks cannot be made") as caught:
        masks.make(cases, TinyMasker(), unwatched)  # it knows no lower parts
    lower = [case for case in cases if case.part == "lower"]
    assert all(str(case.mask) in str(caught.value) for case in lower)
    assert [masks.file(case).is_file() for case in cases] == [case.part != "lower" for case in cases]


# ---- engines ---------------------------------------------------------------------------------------------------------


def test_the_published_size_is_for_catvton_and_for_what_would_be_smaller():
    cards = {name: next(iter(versions.values())) for name, versions in read_versions().items()}
    assert PUBLISHED == size_of(cards["catvton"]) == size_of(cards["compact"]) == (384, 512)
    assert size_of(cards["deco"]) == cards["deco"].size


def test_official_weights_give_way_to_a_saved_pipeline_and_the_masks_stay_the_engines(tmp_path):
    card = read_versions()["catvton"]["vitonhd"]
    own = with_weights(card, tmp_path)
    assert own.id == f"catvton@{tmp_path.name}" and own.kind == "saved" and masker_name(card) == "densepose-schp"
    with pytest.raises(WeightsError, match=r"lacks .*model_index\.json.*--weights the folder of a saved pipeline"):
        identity(own)
    tiny_pipe().save_pretrained(tmp_path)
    assert len(identity(own)) == 2


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_protocols_differ_by_what_moves_a_figure_alone():
    one = {"steps": 50, "size": (384, 512), "root": "/a", "machine": {"cpu": "x"}, "batch": 8, "networks": {}}
    other = {**one, "size": [384, 512], "root": "/b", "machine": {}, "batch": 1, "networks": {"inception": 1}}
    assert differences(one, other) == []
    assert differences(one, {**other, "steps": 30}) == ["steps (50 there, 30 now)"]
    assert differences(other, {"new": 1, **other}) == ["new (not stated there, 1 now)"]
    assert differences({"masks": {"set": 1, "made": 2}}, {"masks": {"set": 1}}) == [
        "masks: made (2 there, not stated now)"
    ]


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_whole(tmp_path / "deep/file", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_folder.os, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        write_whole(tmp_path / "deep/file", b"new")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert (tmp_path / "deep/file").read_bytes() == b"old"


def test_a_damaged_protocol_is_named(tmp_path):
    (tmp_path / "protocol.json").write_text("{")
    with pytest.raises(InputError, match=r"protocol\.json cannot be read"):
        ResultFolder(tmp_path).protocol()
