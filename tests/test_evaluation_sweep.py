"""The parameter study: what is run, what is left out, what is said of it."""

import json

import numpy as np
import pytest
from PIL import Image

from catvton import cli
from catvton.errors import InputError
from catvton.evaluation import sweep as study
from catvton.evaluation.subject import Subject
from catvton.evaluation.sweep import Setting
from catvton.evaluation.ways import PlacementOnly, Remembering
from catvton.tryon import TryOn
from tests import small_sets, tiny
from tests.web_fakes import garment_picture, person_picture


@pytest.fixture
def world(tmp_path, monkeypatch):
    data = small_sets.write_ccp(tmp_path / "data")
    engine = tiny.tiny_engine()
    masker = Remembering(tiny.TinyMasker())
    made = Subject(engine.card, engine, TryOn([engine], masker), TryOn([PlacementOnly(engine)], masker), None)
    monkeypatch.setattr("catvton.evaluation.subject.subject", lambda *_, **__: made)
    monkeypatch.setattr("catvton.evaluation.commands.sweep.SIZE", (96, 128))
    return made.card, data


def test_only_what_the_card_allows_is_run_and_the_rest_is_named(world):
    card, _ = world
    most = card.steps.maximum
    found = study.plan(card, [most, 1, most + 1], [2.5, 0.5, 2.5])
    assert found.settings == (Setting(1, 0.5), Setting(1, 2.5), Setting(most, 0.5), Setting(most, 2.5))
    assert len(found.left_out) == 1 and f": {most + 1}." in found.left_out[0]
    with pytest.raises(InputError, match=f"{most + 1}"):
        study.plan(card, [most + 1], [1.0])


def a_run(name: str, steps: int, guidance: float, colour: int) -> study.Run:
    wish = study.Wish(name, None)
    return study.Run(wish, Setting(steps, guidance), Image.new("RGB", (4, 4), (colour, 0, 0)), seconds=float(steps))


def test_rows_without_guidance_are_compared_and_guided_ones_are_not():
    plan = study.Plan((Setting(1, 0.1), Setting(1, 1.0), Setting(1, 2.5)))
    same = [a_run("a", 1, 0.1, 9), a_run("a", 1, 1.0, 9), a_run("a", 1, 2.5, 200)]
    assert study.Sweep(plan, same).unguided_are_equal() is True
    assert study.Sweep(plan, [*same, a_run("b", 1, 0.1, 1), a_run("b", 1, 1.0, 2)]).unguided_are_equal() is False
    assert study.Sweep(plan, [a_run("a", 1, 0.1, 9), a_run("a", 2, 1.0, 9)]).unguided_are_equal() is None
    assert study.Sweep(plan, [a_run("a", 3, 1.0, 9), a_run("b", 3, 1.0, 9)]).seconds(Setting(3, 1.0)) == 3


def test_the_command_runs_the_briefs_study(world, tmp_path, capsys):
    _, data = world
    page = tmp_path / "sweep.md"
    command = ["evaluate", "sweep", "--data", str(data), "--limit", "2", "--steps", "1,2", "--guidance", "0.1,1,2.5"]
    assert cli.main([*command, "--seed", "42", "--out", str(tmp_path / "out"), "--write", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "Guidance at or below 1 means no guidance" in printed and "equal to the last bit" in printed
    assert page.read_text().strip() == printed.strip()
    figures = json.loads(page.with_suffix(".json").read_text())
    assert [(row["steps"], row["guidance"]) for row in figures["rows"]] == [
        (1, 0.1), (1, 1.0), (1, 2.5), (2, 0.1), (2, 1.0), (2, 2.5),
    ]  # fmt: skip
    assert figures["unguided_rows_equal"] and figures["rows"][0]["region"] == figures["rows"][1]["region"]
    assert all(len(row["each"]) == 2 for row in figures["rows"])
    grids = sorted((tmp_path / "out").glob("*.png"))
    assert len(grids) == 2
    wide, high = Image.open(grids[0]).size
    assert wide >= 4 * study.CELL[0] and high >= 3 * study.CELL[1]


def test_ones_own_photos_give_a_grid_and_seconds_without_figures(world, tmp_path, capsys):
    for name, picture in (("me", person_picture()), ("shirt", garment_picture())):
        picture.save(tmp_path / f"{name}.png")
    photos = ["--person", str(tmp_path / "me.png"), "--garment", str(tmp_path / "shirt.png")]
    command = ["evaluate", "sweep", *photos, "--steps", "1", "--guidance", "1"]
    assert cli.main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["region"] is None and row["seconds"] > 0
    assert np.asarray(Image.open(tmp_path / "out" / "photos.png")).std() > 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "--data"),
        (["--person", "a.png"], "together"),
        (["--data", "x", "--seed", "-1"], "--seed"),
        (["--data", "x", "--limit", "0"], "--limit 0"),
        (["--data", "x", "--write", "page.txt"], ".md"),
    ],
)
def test_what_cannot_be_is_refused_in_words(world, wrong, said, capsys):
    assert cli.main(["evaluate", "sweep", *wrong]) == 2
    assert said in capsys.readouterr().err
