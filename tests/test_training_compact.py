"""The built-in model's recipe from raw photos to a folder the app loads, a few steps of each stage."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from catvton.cards import RESOURCE
from catvton.ccp import CCP, Clothing
from catvton.errors import InputError
from catvton.sleeve_net import SleeveNet
from catvton.training import cli
from catvton.training.checkpoint import Checkpoints
from catvton.training.compact import CompactRun
from catvton.training.loop import Recipe, Trainer
from catvton.training.pairs import FRAME, PairMaker, convex_hull, dilate
from catvton.training.parser_stage import ParserStage
from catvton.training.photos import load_labelled, look_at, random_view
from catvton.training.placement_stage import true_displacement
from catvton.training.sleeve_stage import LABELS, NAMES, Garment, SleeveStage, load_garments
from model.labels import Label
from tests.small_sets import write_ccp, write_clothing

COMPACT = RESOURCE / "compact"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_ccp(tmp_path_factory.mktemp("data"), labelled=(2, 3, 4, 11), bare=(15,))
    return write_clothing(root, {f"shirt-{i}": ("red", "navy", "green")[i % 3] for i in range(12)})


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run through every stage."""
    folder = tmp_path_factory.mktemp("run")
    assert cli.run(arguments(data, folder, minutes="0.001")) == 0
    return folder


def arguments(data: Path, folder: Path, *more: str, minutes: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    fixed = ["compact", "--data", str(data), "--out", str(folder), "--device", "cpu", "--figures", "1"]
    return parser.parse_args([*fixed, "--minutes", minutes, *more])


def pairs(data: Path, count: int, **options: float) -> list:
    ccp = CCP(data)
    maker = PairMaker(load_labelled(ccp, ccp.numbers("train")), **options)
    return [maker.draw(np.random.default_rng(seed)) for seed in range(count)]


def test_every_stage_leaves_what_the_issue_of_a_run_needs(trained: Path) -> None:
    for stage in ("parser", "placement", "sleeves", "unet"):
        names = {p.name for p in (trained / stage).iterdir()}
        assert {"checkpoints", "samples.png", "model"} <= names, stage


def test_the_result_is_an_engine_that_dresses_a_person(trained: Path) -> None:
    from catvton.cards import read_cards
    from catvton.engines import PipelineEngine

    card = dataclasses.replace(read_cards()["compact"], folder=trained / "model")
    card.require_files()
    engine = PipelineEngine(card, device="cpu")
    mask = np.zeros(FRAME[::-1], np.uint8)
    mask[100:250, 80:200] = 255
    options = {"steps": 1, "guidance": 1.0, "generator": torch.Generator().manual_seed(0)}
    picture = engine.generate(Image.new("RGB", FRAME, "grey"), Image.new("RGB", FRAME, "red"), mask, **options)
    assert picture.size == FRAME


def test_a_run_is_taken_up_again(data: Path, trained: Path, capsys: pytest.CaptureFixture) -> None:
    checkpoints = Checkpoints(trained / "placement" / "checkpoints", keep=2)
    before = checkpoints.read()["state"]
    more = str(before["seconds"] / 60 + 0.001)
    cli.run(arguments(data, trained, "--stage", "placement", "--resume", minutes=more))
    after = checkpoints.read()["state"]
    assert after["step"] > before["step"]


def test_a_run_is_not_taken_up_with_another_seed(data: Path, trained: Path) -> None:
    with pytest.raises(InputError, match="a run with seed 0: give the same options"):
        cli.run(arguments(data, trained, "--stage", "placement", "--resume", "--seed", "1", minutes="0.01"))


def test_a_dry_run_says_what_goes_to_disk_and_writes_nothing(data: Path, tmp_path: Path, capsys) -> None:
    """No photo is labelled for it, and nobody rendered."""
    cli.run(arguments(data, tmp_path / "run", "--stage", "parser", "--start", str(COMPACT), "--dry-run", minutes="1"))
    said = capsys.readouterr().out
    assert "on disk" in said and "cache rendered  442 kB" in said and "cache guessed   5.0 kB" in said
    assert not (tmp_path / "run").exists()


def test_a_parser_that_begins_with_another_learns_from_what_that_one_sees(data: Path, tmp_path: Path) -> None:
    job = CompactRun(data, tmp_path, torch.device("cpu"), figures=0, start=COMPACT)
    assert job.stage("parser").guessed is job.recalled
    assert [path.name for path in (tmp_path / "parser" / "guessed").iterdir()] == ["0015.png"]
    assert CompactRun(data, tmp_path, torch.device("cpu"), figures=0).stage("parser").guessed == []


def test_the_parser_draws_labelled_and_guessed_photos(data: Path) -> None:
    """Told apart by their labels, which are all of one class."""
    plain = load_labelled(CCP(data), [2])[0]
    labelled, guessed = (dataclasses.replace(plain, labels=np.full_like(plain.labels, code)) for code in (3, 4))
    stage = ParserStage([labelled], guessed=[guessed], guessed_share=0.3, batch_size=200)
    labels = stage.batch(np.random.default_rng(0))["labels"].flatten(1)
    assert 0.2 < float((labels == 4).all(1).float().mean()) < 0.4
    assert ((labels == 3) | (labels == 4)).all()


def test_garments_are_told_apart_by_the_sets_classes_and_by_hand(data: Path, tmp_path: Path) -> None:
    """The same split every time; what is labelled in neither way is left out."""
    kinds = json.loads(LABELS.read_text())
    by_hand = kinds["pictures"]["long"][0]
    root = write_clothing(tmp_path / "shirts", {by_hand: "red", "unknown": "navy"}, kind="Shirt")
    training, validation = load_garments(Clothing(root), tmp_path / "shirts.npz")
    assert [NAMES[g.kind] for g in (*training, *validation)] == ["long"]
    first, again = (load_garments(Clothing(data), tmp_path / "cache.npz") for _ in range(2))
    assert len(first[0]) + len(first[1]) == 12 and first[1] and {NAMES[g.kind] for g in first[0]} == {"short"}
    for one, other in zip((*first[0], *first[1]), (*again[0], *again[1]), strict=True):
        assert np.array_equal(one.canvas, other.canvas)


def test_the_sleeve_network_learns_what_it_is_shown(tmp_path: Path) -> None:
    """Wide cut-outs from narrow ones, on canvases it has not seen, turned and stretched as in training."""

    def garment(width: int, kind: int) -> Garment:
        canvas = np.zeros((128, 96, 4), np.uint8)
        canvas[20:110, 48 - width : 48 + width] = 255
        return Garment(canvas, kind)

    shown = [garment(width, int(width > 24)) for width in (*range(10, 19), *range(32, 41))]
    stage = SleeveStage(shown, validation=[garment(14, 0), garment(36, 1)], batch_size=16)
    run = Trainer(stage, Recipe(steps=60, learning_rate=5e-3, warmup_steps=1), tmp_path)
    before = stage.held_out(stage.module.eval())
    run.run()
    stage.module.eval()
    assert stage.accuracy(stage.module) == 1 and stage.held_out(stage.module) < 0.5 * before
    again = SleeveStage(shown)
    again.load(tmp_path / "model")
    saved = SleeveNet.from_pretrained(tmp_path / "model").state_dict()
    assert all(torch.allclose(again.module.state_dict()[name].float(), value.float()) for name, value in saved.items())


@pytest.mark.parametrize(("stage", "saved"), [("placement", "placement/model"), ("unet", "unet/model/unet")])
def test_a_stage_begins_with_a_saved_models_weights(data: Path, tmp_path: Path, stage: str, saved: str) -> None:
    """One step at a rate of nearly zero leaves them as they were; a random start would be far away."""
    rate = ("--learning-rate", "1e-9", "--bf16", "--start", str(COMPACT))
    cli.run(arguments(data, tmp_path, "--stage", stage, *rate, minutes="1e-9"))
    file = "diffusion_pytorch_model.safetensors"
    before, after = (load_file(folder / file) for folder in (COMPACT / stage, tmp_path / saved))
    weights = [key for key in before if "running" not in key and "tracked" not in key]
    assert all(torch.allclose(before[key].float(), after[key].float(), atol=2e-3) for key in weights)


def test_a_missing_stage_is_named(data: Path, tmp_path: Path) -> None:
    from catvton.errors import WeightsError

    with pytest.raises(WeightsError, match="--stage vae"):
        cli.run(arguments(data, tmp_path, "--stage", "unet", minutes="0.001"))


def test_the_validation_split_is_never_trained_on(data: Path) -> None:
    assert all(n % 10 not in (0, 1) for n in CCP(data).numbers("train"))


def test_a_pair_leads_from_the_canvas_back_to_the_photo(data: Path) -> None:
    """Where the recorded sources say a canvas pixel came from, the photo has its colour (but for relighting)."""
    for pair in pairs(data, 6, bend=0.3):
        y, x = np.nonzero(pair.canvas[..., 3] == 255)
        middle = slice(None, None, 97)
        column, row = np.rint(pair.sources[y[middle], x[middle]]).astype(int).T
        inside = (column >= 0) & (column < FRAME[0]) & (row >= 0) & (row < FRAME[1])
        worn = pair.image[row[inside], column[inside]].astype(float)
        shown = pair.canvas[y[middle], x[middle], :3][inside].astype(float)
        assert np.median(np.abs(worn - shown)) < 30
        assert pair.region[row[inside], column[inside]].mean() > 0.9


def test_the_true_displacement_lays_the_garment_where_it_was(data: Path) -> None:
    from catvton.placement import Placement, rough_matrix

    for pair in pairs(data, 4, bend=0.3):
        matrix = rough_matrix(pair.canvas[..., 3], pair.mask)
        target, known = true_displacement(pair, matrix)
        odds = np.where(known > 0, 30, -30).astype(np.float32)
        placed = Placement(Image.new("RGB", FRAME), pair.canvas, matrix, target, odds, FRAME)
        colours, alpha = placed.render(FRAME)
        sure = (alpha > 0.99) & pair.region
        assert sure.sum() > 0.3 * pair.region.sum()
        assert np.median(np.abs(colours[sure] * 255 - pair.image[sure])) < 30


def test_masks_cover_the_garment_and_spare_what_is_kept(data: Path) -> None:
    from catvton.training.pairs import random_mask

    ccp = CCP(data)
    labels = load_labelled(ccp, ccp.numbers("train"))[0].labels
    for seed in range(12):
        mask = random_mask(np.random.default_rng(seed), labels, Label.UPPER) > 0
        assert mask[labels == Label.UPPER].all()
        assert not mask[np.isin(labels, [Label.HAIR, Label.SHOES, Label.LOWER])].any()


def test_picture_and_labels_move_together(data: Path) -> None:
    ccp = CCP(data)
    photo = load_labelled(ccp, ccp.numbers("train"))[0]
    for seed in range(5):
        view = random_view(np.random.default_rng(seed), photo, (192, 256))
        image, labels = view.image(photo.image), view.labels(photo.labels)
        shoes = labels == Label.SHOES
        if shoes.sum() > 50:
            assert image[shoes].mean() < 60  # they are black in the photo, and nothing else is


def test_a_view_of_the_window_is_the_window(data: Path) -> None:
    ccp = CCP(data)
    photo = load_labelled(ccp, ccp.numbers("train"))[0]
    labels = look_at(photo.box, size=(192, 256)).labels(photo.labels)
    rows = np.flatnonzero((labels > 0).any(1))
    border = 256 * 0.06 / 1.12
    assert rows[0] == pytest.approx(border, abs=4) and rows[-1] == pytest.approx(256 - border, abs=4)


def test_shapes_grow_and_close() -> None:
    dot = np.zeros((40, 40), bool)
    dot[20, 10] = dot[20, 30] = True
    assert dilate(dot, 3)[20, 13] and not dilate(dot, 3)[20, 20]
    assert convex_hull(dot)[20, 20] and not convex_hull(np.zeros((9, 9), bool)).any()
