"""A folder of results scored: by the published protocol, figure for figure, and taken up where it was stopped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from catvton.errors import InputError
from catvton.evaluation import scores as module
from catvton.evaluation.frechet import frechet_distance, kid_interval
from catvton.evaluation.inception import Inception
from catvton.evaluation.networks import Networks
from catvton.evaluation.scores import score_folder, truth_picture
from catvton.evaluation.similarity import ssim
from tests.test_evaluation_frechet import by_loops
from tests.tiny_metrics import install, picture

COUNT = 6
LARGE = (96, 128)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield Networks(device="cpu", root=install(patch, tmp_path_factory.mktemp("models")))


@pytest.fixture
def world(tmp_path):
    """A data set of photos at twice the size of their results, and a folder of results that look somewhat like them."""
    truths = {}
    for index in range(COUNT):
        name = f"{index:05d}_00"
        truths[name] = tmp_path / "photos" / f"{name}.jpg"
        save(picture(index, LARGE), truths[name])
        save(Image.blend(picture(index), picture(index + 100), 0.3), tmp_path / "results" / f"{name}.jpg")
    return tmp_path / "results", truths


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def by_hand(results, truths, folder):
    """The pictures as CatVTON's eval.py would have them on the disk: [(result, truth)], uint8 (H, W, 3)."""
    pairs = []
    for name, path in sorted(truths.items()):
        resized = folder / path.name
        save(Image.open(path).resize((48, 64), Image.Resampling.LANCZOS), resized)
        pairs.append(tuple(np.asarray(Image.open(each)) for each in (results / f"{name}.jpg", resized)))
    return pairs


def test_every_figure_is_the_protocols(networks, world, tmp_path):
    results, truths = world
    scores = score_folder(results, truths, paired=True, networks=networks)
    pairs = by_hand(results, truths, tmp_path / "resized")
    assert scores.images == COUNT and list(scores.each) == sorted(truths)
    for each, pair in zip(scores.each.values(), pairs, strict=True):
        assert each == {"ssim": ssim(*pair), "lpips": networks.lpips(*pair)}
    assert scores.ssim == pytest.approx(np.mean([each["ssim"] for each in scores.each.values()]))
    assert scores.lpips == pytest.approx(np.mean([each["lpips"] for each in scores.each.values()]))
    mine, theirs = (networks.inception.features(side) for side in zip(*pairs, strict=True))
    assert scores.fid == pytest.approx(frechet_distance(mine, theirs), rel=1e-5)
    assert scores.kid == pytest.approx(1000 * by_loops(mine, theirs), rel=1e-4)
    assert scores.fid_interval[0] < scores.fid < scores.fid_interval[1]
    together = kid_interval(mine, theirs, generator=np.random.default_rng(module.SEED), matched=True)
    assert scores.kid_interval == pytest.approx([1000 * end for end in together], rel=1e-4)
    assert scores.kid_interval[0] < scores.kid < scores.kid_interval[1]


def test_unpaired_results_have_no_right_answer(networks, world):
    unpaired = score_folder(*world, paired=False, networks=networks)
    paired = score_folder(*world, paired=True, networks=networks)
    assert (unpaired.ssim, unpaired.lpips, unpaired.each) == (None, None, {})
    assert (unpaired.fid, unpaired.kid) == (paired.fid, paired.kid)


def test_a_truth_is_changed_only_where_the_protocol_changes_it(tmp_path):
    save(picture(1, LARGE), tmp_path / "photo.jpg")
    save(picture(1, LARGE), tmp_path / "photo.png")
    stored = np.asarray(Image.open(tmp_path / "photo.jpg"))
    assert np.array_equal(truth_picture(tmp_path / "photo.jpg", LARGE), stored)
    resized = Image.open(tmp_path / "photo.png").resize((48, 64), Image.Resampling.LANCZOS)
    assert np.array_equal(truth_picture(tmp_path / "photo.png", (48, 64)), np.asarray(resized))
    assert not np.array_equal(truth_picture(tmp_path / "photo.jpg", (48, 64)), np.asarray(resized))


def test_results_may_lie_in_folders_and_be_of_any_format(networks, world):
    results, truths = world
    truths = {f"upper_body/{name}": path for name, path in truths.items()}
    for path in list(results.iterdir()):
        save(Image.open(path), results / "upper_body" / f"{path.stem}.png")
        path.unlink()
    (results / "protocol.json").write_text("{}")
    save(picture(1), results / ".upper_body" / "half.png")
    assert list(score_folder(results, truths, paired=True, networks=networks).each) == sorted(truths)


@pytest.mark.parametrize("fault", ["missing", "more", "twice", "no truth", "no folder", "broken"])
def test_what_does_not_fit_is_named(networks, world, fault):
    results, truths = world
    if fault == "missing":
        (results / "00003_00.jpg").unlink()
    elif fault == "more":
        save(picture(1), results / "00777_00.jpg")
    elif fault == "twice":
        save(picture(1), results / "00003_00.png")
    elif fault == "no truth":
        truths["00003_00"].unlink()
    elif fault == "no folder":
        results = results / "elsewhere"
    else:
        (results / "00003_00.jpg").write_bytes(b"no picture")
    named = {"more": "00777_00", "no folder": "elsewhere"}.get(fault, "00003_00")
    with pytest.raises(InputError, match=named) as caught:
        score_folder(results, truths, paired=True, networks=networks)
    assert caught.value.code.startswith(("results.", "picture."))


def test_long_lists_of_names_are_cut(networks, world):
    results, _ = world
    with pytest.raises(InputError, match=r"00000_00, .*, 00004_00 and 1 more\.$"):
        score_folder(results, {}, paired=False, networks=networks)


# ---- kept beside the folder ------------------------------------------------------------------------------------------


class Watched(list):
    """The images that were measured anew."""

    def __call__(self, things, what, count):
        assert count == len(things)
        self.clear()
        for thing in things:
            self.append(thing)
            yield thing


def test_scoring_again_measures_nothing(networks, world, monkeypatch):
    watched = Watched()
    first = score_folder(*world, paired=True, networks=networks, watch=watched)
    assert len(watched) == COUNT
    monkeypatch.setattr(Inception, "features", None)
    again = score_folder(*world, paired=True, networks=networks, watch=watched)
    assert watched == [] and again == first


def test_figures_do_not_depend_on_what_was_kept(networks, world):
    results, truths = world
    first = score_folder(results, truths, paired=True, networks=networks)
    kept = results.with_name("results.features.npz")
    whole = kept.read_bytes()
    for damage in (kept.unlink, *(lambda data=data: kept.write_bytes(data) for data in (b"text", b"", whole[:-40]))):
        damage()
        assert score_folder(results, truths, paired=True, networks=networks) == first
        assert kept.stat().st_size > 1000


def test_a_changed_file_is_measured_anew(networks, world):
    results, truths = world
    watched = Watched()
    first = score_folder(results, truths, paired=True, networks=networks, watch=watched)
    save(picture(50), results / "00002_00.jpg")
    save(picture(51, LARGE), truths["00004_00"])
    second = score_folder(results, truths, paired=True, networks=networks, watch=watched)
    assert watched == ["00002_00", "00004_00"]
    assert [name for name in truths if first.each[name] != second.each[name]] == watched


def test_another_network_measures_anew(world, monkeypatch, tmp_path, networks):
    watched = Watched()
    score_folder(*world, paired=False, networks=networks, watch=watched)
    changed = Networks(device="cpu", root=install(monkeypatch, tmp_path / "models"))
    score_folder(*world, paired=False, networks=changed, watch=watched)
    assert watched == []  # the same bytes in another folder
    monkeypatch.setattr(module.measured, "DEFINITION", 2)
    score_folder(*world, paired=False, networks=changed, watch=watched)
    assert len(watched) == COUNT


def test_a_scoring_that_was_stopped_goes_on(networks, world, monkeypatch):
    whole = score_folder(*world, paired=True, networks=networks)
    results, _ = world
    results.with_name("results.features.npz").unlink()
    monkeypatch.setattr(module, "BATCH", 2)

    def stopped(things, what, count):
        for index, thing in enumerate(things):
            if index == 4:
                raise KeyboardInterrupt
            yield thing

    with pytest.raises(KeyboardInterrupt):
        score_folder(*world, paired=True, networks=networks, watch=stopped)
    watched = Watched()
    scores = score_folder(*world, paired=True, networks=networks, watch=watched)
    assert len(watched) == COUNT - 4
    assert scores.each == whole.each and scores.fid == pytest.approx(whole.fid, rel=1e-6)


def test_what_is_known_is_kept_while_it_goes_on(networks, world, monkeypatch):
    """A process that is killed has no chance to write."""
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "SAVE_EVERY", 1)
    kept, seen = world[0].with_name("results.features.npz"), []

    def watched(things, what, count):
        for thing in things:
            seen.append(len(module.measured.read(kept)))
            yield thing

    score_folder(*world, paired=False, networks=networks, watch=watched)
    assert seen == [0, 0, 2, 2, 4, 4]
