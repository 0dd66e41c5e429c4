"""A print that is there is found, another one is not; a real edge is closer to real ones than a smeared one."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

from catvton import cli
from catvton.ccp import CCP
from catvton.evaluation import logos, seams
from catvton.evaluation.garment import Seams, _word, _wordless, edges, prints
from catvton.evaluation.protocol import cases, samples
from catvton.evaluation.subject import Subject
from catvton.evaluation.unpaired import Dummy, Lists, Wish
from catvton.evaluation.ways import PlacementOnly, Remembering
from catvton.evaluation.words import Printed, shirt
from catvton.tryon import TryOn
from tests import small_sets, tiny

WORDS = ("HELLO", "KIND", "JAZZ")


@pytest.fixture(scope="module")
def templates():
    return {word: _word(shirt(word, "#c8c8c8")) for word in WORDS}


# ---- prints ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", WORDS)
def test_the_printed_word_is_found_in_other_colours_size_and_place(templates, word):
    worn = shirt(word, "#2f7d4f").resize((330, 420)).rotate(6, Image.Resampling.BICUBIC, fillcolor="#fdfdfd")
    scene = Image.new("RGB", (500, 520), "#fdfdfd")
    scene.paste(worn, (90, 60))
    found = logos.find(scene, word, templates)
    assert found.right and found.scores[word] > 0.8


def test_a_blurred_word_scores_lower_and_none_lowest(templates):
    garment = shirt("HELLO", "#1f3d7a")
    blurred = garment.filter(ImageFilter.GaussianBlur(14))
    sharp, soft, none = (logos.found(each, templates["HELLO"]) for each in (garment, blurred, _wordless(garment)))
    assert sharp > 0.95 and soft < sharp - 0.08 and none < sharp - 0.2


def test_where_nothing_is_nothing_is_found(templates):
    assert logos.found(Image.new("RGB", (300, 400), "gray"), templates["KIND"]) == 0
    assert logos.found(shirt("KIND", "red"), Image.new("RGB", (80, 30), "gray")) == 0


def test_a_summary_counts_the_right_ones():
    finds = [logos.Find("a", {"a": 0.9, "b": 0.5}), logos.Find("b", {"a": 0.7, "b": 0.6})]
    assert logos.summary(finds) == {"results": 2, "right": 0.5, "score": 0.75, "others": 0.6}


# ---- seams -----------------------------------------------------------------------------------------------------------


def picture_with_edge(width: float) -> np.ndarray:
    """A garment of lightness 40 before 200, its edge so many pixels wide."""
    x = np.clip((np.arange(64) - 32) / width + 0.5, 0, 1)
    return np.repeat(np.repeat((40 + 160 * x)[None, :, None], 64, 0), 3, 2).astype(np.uint8)


def test_the_seam_is_the_outline_inside_the_hole():
    region, hole = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    region[10:50, :32], hole[20:44, 8:56] = True, True
    where = seams.seam(region, hole)
    assert where[22:42, 31].all() and not where[:, :31].any() and not where[:22].any() and not where[42:].any()


def test_steepness_falls_with_the_edges_width():
    where = np.zeros((64, 64), bool)
    where[20:40, 32] = True
    steep = [seams.steepness(picture_with_edge(width), where).mean() for width in (1, 4, 12)]
    assert steep[0] > 1.5 * steep[1] > 2.5 * steep[2]
    moved = np.roll(where, 2, axis=1)  # the garment's edge may be a little off
    assert seams.steepness(picture_with_edge(4), moved).mean() == pytest.approx(steep[1], rel=0.1)


def test_distances_tell_real_edges_from_smeared_ones():
    where = np.zeros((64, 64), bool)
    where[8:56, 32] = True
    photos = [seams.steepness(picture_with_edge(width), where) for width in (1, 2, 3, 4)]
    smeared = [seams.steepness(seams.smeared(picture_with_edge(width), where), where) for width in (1, 2, 3, 4)]
    found = Seams(photo=photos, result=photos[1:] + photos[:1], hard=photos[:1] * 4, smeared=smeared).table()
    apart = found["distance"]
    assert apart["result"] == 0 < apart["pasted hard"] and apart["smeared"] > 2
    assert found["median"]["photo"] > found["median"]["smeared"]


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_world(tmp_path, monkeypatch):
    data = small_sets.write_clothing(small_sets.write_ccp(tmp_path / "data"), {"a": "crimson"})
    engine = tiny.tiny_engine()
    masker = Remembering(tiny.TinyMasker())
    made = Subject(engine.card, engine, TryOn([engine], masker), TryOn([PlacementOnly(engine)], masker), None)
    monkeypatch.setattr("catvton.evaluation.subject.subject", lambda *_, **__: made)
    lists = Lists((1, 11), (1, 11), (Wish("a", "upper", "crimson", (0.25, 0.25, 0.75, 0.75)),))
    monkeypatch.setattr("catvton.evaluation.unpaired.read_lists", lambda: lists)
    return data


def test_the_photo_itself_has_its_own_seams(small_world):
    ccp = CCP(small_world)
    ready = samples(ccp, cases(ccp)[:2], (96, 128))
    blank = Image.new("RGB", (9, 9))
    found = edges(ready, lambda sample: blank, still=lambda sample: Image.fromarray(sample.truth))
    apart = found.table()["distance"]
    assert len(found.photo) == 2 and apart["result, network off"] < 1e-6 < apart["result"]
    assert apart["photo, moved 4 pixels"] > 0


def test_random_halves_are_the_same_every_time_and_no_lucky_split():
    """Photos whose edges take turns: split by turns the halves would be as unlike as can be."""
    found = Seams(photo=[np.full(9, float(i % 2)) for i in range(40)], result=[np.zeros(9)])
    halves = [found.table()["distance"]["photos, one random half against the other"] for _ in range(2)]
    assert halves[0] == halves[1] < 0.3


def test_each_list_holds_what_its_name_says(small_world):
    ccp = CCP(small_world)
    grey = Image.new("RGB", (96, 128), "gray")
    found = edges(samples(ccp, cases(ccp)[:3], (96, 128)), lambda sample: grey)
    medians, apart = found.table()["median"], found.table()["distance"]
    assert len({*medians.values()}) == 5 and medians["smeared"] < medians["photo"]
    assert min(apart.values()) > 0  # a result that is not the photo, both baselines, and halves that are not the same


def test_a_result_is_searched_not_the_garment_that_was_put_in():
    garment, mask = shirt("HELLO", "#1f3d7a"), np.full((800, 600), 255, np.uint8)
    blank = Image.new("RGB", (600, 800), "gray")
    printed = Printed("HELLO", garment, Dummy(1, "upper", blank, mask, mask > 0), blank)
    table = prints([printed]).table()
    assert table["result"]["score"] == 0 and table["shirt's own picture"]["right"] == 1


def test_the_command_writes_page_figures_and_pictures(small_world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("catvton.evaluation.commands.garment.SIZE", (96, 128))
    page = tmp_path / "garment.md"
    command = ["evaluate", "garment", "--data", str(small_world), "--limit", "2", "--write", str(page)]
    assert cli.main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["prints"]["result"]["results"] == 2 and figures["seams"]["cases"] == 2
    assert {"result", "result, network off"} < {*figures["prints"]} and "result, network off" in page.read_text()
    assert figures["prints"]["shirt's own picture"]["right"] == 1 > figures["prints"]["no word"]["right"]
    assert "Does a print survive?" in page.read_text() and json.loads(page.with_suffix(".json").read_text()) == figures
    assert (tmp_path / "out" / "seams.png").is_file()


def test_one_case_is_too_few(small_world, capsys):
    assert cli.main(["evaluate", "garment", "--data", str(small_world), "--limit", "1"]) == 2
    assert "--limit 1" in capsys.readouterr().err
