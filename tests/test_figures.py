"""Rendered people and garments: a function of the seed alone, exact labels, and the shipped pictures are theirs."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from catvton.training.figures import figures, main, render_batch, render_figure
from catvton.training.figures_canvas import Canvas, Light
from catvton.training.figures_examples import SIZE, examples
from catvton.training.figures_flat import KINDS, render_garment
from catvton.training.figures_maths import curve, majority
from catvton.training.figures_style import Style, Top, random_style
from model.labels import COUNT, Label

EXAMPLES = Path(__file__).resolve().parents[1] / "resource" / "examples"
SMALL = (96, 128)


@pytest.fixture(scope="module")
def crowd():
    return [render_figure(np.random.default_rng(seed), size=(192, 256)) for seed in range(24)]


def test_a_seed_decides_the_whole_picture():
    first, again, other = (render_figure(np.random.default_rng(seed), size=SMALL) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


def test_global_random_state_is_neither_read_nor_written():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = render_figure(np.random.default_rng(3), size=SMALL).image
    assert np.array_equal(before, np.random.get_state()[1])
    np.random.seed(2)
    assert np.array_equal(first, render_figure(np.random.default_rng(3), size=SMALL).image)


def test_shapes_and_types(crowd):
    for figure in crowd:
        assert figure.image.shape == (256, 192, 3)
        assert figure.labels.shape == (256, 192)
        assert figure.image.dtype == figure.labels.dtype == np.uint8
        assert figure.labels.max() < COUNT


def test_every_class_is_common_across_seeds(crowd):
    seen = np.zeros(COUNT)
    for figure in crowd:
        seen += np.bincount(figure.labels.ravel(), minlength=COUNT) > 20
    assert (seen >= 3).all(), dict(zip(Label, seen, strict=True))


def test_labels_follow_the_picture():
    """Where skin, top and trousers are of three clear colours, each pixel's colour says its label."""
    top = Top(replace(Top().fabric, colours=((20, 60, 220),)), sleeve=0.3)
    style = Style(skin=(240, 150, 120), hair="bald", top=top, scene_colour=(70, 200, 70), shoe_colour=(30, 30, 30))
    figure = render_figure(np.random.default_rng(0), size=(192, 256), style=style)
    red, green, blue = (figure.image[..., i].astype(int) for i in range(3))
    inner = cv2.erode(np.ones(figure.labels.shape, np.uint8), np.ones((3, 3)), borderValue=0)
    for label, seen in (
        (Label.BACKGROUND, (green > red + 40) & (green > blue + 40)),
        (Label.UPPER, (blue > red + 50) & (blue > green + 40)),
        (Label.SKIN, (red > green + 25) & (red > blue + 40)),
    ):
        region = figure.labels == label
        sure = cv2.erode(region.astype(np.uint8), np.ones((3, 3))).astype(bool) & (inner > 0)
        assert sure.sum() > 400
        assert seen[sure].mean() > 0.95, label
        near = cv2.dilate(region.astype(np.uint8), np.ones((3, 3))).astype(bool)
        assert (near[seen]).mean() > 0.97, label


def test_the_two_sides_of_the_body_are_both_dressed():
    figure = render_figure(np.random.default_rng(1), size=(192, 256), style=Style(arms=("down", "down")))
    upper = (figure.labels == Label.UPPER).any(0).nonzero()[0]
    assert abs((upper.min() + upper.max()) / 2 - 96) < 6


def test_skin_tones_are_drawn_evenly():
    rng = np.random.default_rng(0)
    light = np.array([sum(random_style(rng).skin) / 3 for _ in range(300)])
    dark, middle, pale = (light < 100).mean(), ((light >= 100) & (light < 170)).mean(), (light >= 170).mean()
    assert min(dark, middle, pale) > 0.2


def test_batches_and_the_endless_stream_agree():
    images, labels = render_batch(np.random.default_rng(9), 2, size=SMALL)
    stream = figures(np.random.default_rng(9), size=SMALL)
    for image, label in zip(images, labels, strict=True):
        figure = next(stream)
        assert np.array_equal(image, figure.image)
        assert np.array_equal(label, figure.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_a_garment_covers_its_alpha_and_nothing_else(kind):
    garment = render_garment(np.random.default_rng(2), kind=kind, size=SMALL)
    assert garment.image.shape == (128, 96, 3)
    cover = garment.alpha > 127
    assert 0.12 < cover.mean() < 0.8
    assert not cover[[0, -1]].any() and not cover[:, [0, -1]].any()
    assert garment.image[garment.alpha == 0].min() > 120  # ground and its shadow
    assert np.abs(garment.image[:3, :3].astype(int) - 247).max() < 6


def test_an_unknown_garment_is_named():
    with pytest.raises(ValueError, match="sock"):
        render_garment(np.random.default_rng(0), kind="sock", size=SMALL)


def test_majority_takes_the_class_that_fills_most():
    labels = np.array([[1, 1, 0, 2], [1, 3, 2, 2]], np.uint8)
    assert majority(labels, 2).tolist() == [[1, 2]]
    assert majority(labels, 1).tolist() == labels.tolist()


def test_curve_passes_its_knots_and_stays_between_them():
    knots, values = np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 1.0, 0.5, 3.0])
    assert np.allclose(curve(knots, values, knots), values)
    between = curve(knots, values, np.linspace(0, 4, 200))
    assert between.min() >= 0.0 and between.max() <= 3.0


def test_shapes_outside_the_canvas_are_nothing():
    canvas = Canvas(40, 60, 50.0, (20.0, 5.0), Light())
    assert canvas.limb(np.array([[5.0, 5.0], [6.0, 6.0]]), [0.1, 0.1]) is None
    canvas.paint(None, np.float32([1, 1, 1]), Label.SKIN)
    assert not canvas.labels.any()


def test_a_shadow_that_falls_beside_the_picture_is_no_fault():
    assert render_figure(np.random.default_rng((7, 516)), size=(288, 384)).labels.any()


def test_the_listing_names_every_shipped_picture():
    listing = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))
    assert listing == [example.entry() for example in examples()]
    assert sum(entry["kind"] == "person" for entry in listing) >= 3
    assert sum(entry["kind"] == "garment" for entry in listing) >= 6
    assert all(entry["part"] in ("upper", "lower", "overall") for entry in listing if entry["kind"] == "garment")
    shipped = {path.name for path in EXAMPLES.iterdir()} - {"examples.json", "README.md"}
    assert shipped == {entry["file"] for entry in listing}
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir()) < 1_500_000


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_shipped_pictures_are_what_the_script_renders(example):
    """At a quarter of the size, where library versions and WebP leave only slight differences."""
    with Image.open(EXAMPLES / example.file) as shipped:
        assert shipped.size == SIZE
        small = cv2.resize(np.asarray(shipped.convert("RGB")), (192, 256), interpolation=cv2.INTER_AREA)
    rendered = example.render((192, 256))
    assert np.abs(small.astype(int) - rendered).mean() < 3.0


def test_the_command_writes_pictures_and_listing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("catvton.training.figures_examples.SIZE", SMALL)
    monkeypatch.setattr("catvton.training.figures_examples.Example.render", lambda self: np.zeros((8, 6, 3), np.uint8))
    assert main(["--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"examples.json", *(e.file for e in examples())}
    assert "person-1.webp" in capsys.readouterr().out
