"""`evaluate vitonhd` and `evaluate dresscode` from the command line to the files, with small engines and fake sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catvton import cli
from catvton.datasets import VitonHD
from catvton.evaluation import result_folder
from catvton.evaluation.networks import NETWORKS
from catvton.masking import Maskers
from tests import fake_sets, tiny_metrics
from tests.tiny import TinyMasker
from tests.tiny_pipeline import tiny_pipe

CARD = """
[{name}]
title = "Tiny"
description = "Random weights."
revision = "0"
licence = "Apache-2.0"
commercial = true
folder = "{folder}"
files = ["model_index.json"]
mend = "there is nothing to mend"
sizes = [[48, 64]]
steps = {{ default = 2, minimum = 1, maximum = 9 }}
guidance = {{ default = 2.5, minimum = 0.0, maximum = 7.5 }}
placement = false
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two small engines in a registry, small networks for the figures, VITON-HD with five test cases."""
    root = tmp_path_factory.mktemp("benchmark")
    for name, options in {"tiny": {}, "free": {"use_mask": False, "concat_axis": "width"}}.items():
        tiny_pipe(**options).save_pretrained(root / name)
    (root / "registry.toml").write_text(
        "".join(CARD.format(name=name, folder=root / name) for name in ("tiny", "free"))
    )
    fake_sets.write_vitonhd(root / "set", pairs=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATVTON_MODELS_DIR", str(tiny_metrics.install(patch, root / "models")))
        patch.setenv("CATVTON_REGISTRY", str(root / "registry.toml"))
        patch.setenv("CATVTON_DEVICE", "cpu")
        yield root


@pytest.fixture(scope="module")
def whole(world):
    """A run that nothing stopped: batches of 4 and 1."""
    assert evaluate(world, world / "whole", "--paired", "--batch", "4") == 0
    return world / "whole"


def evaluate(world, out, *options, engine="tiny"):
    where = ["--root", str(world / "set"), "--engine", engine, "--out", str(out)]
    return cli.main(["evaluate", "vitonhd", *where, *options])


def pictures(folder):
    """{path in the folder: bytes} of the results."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.jpg"))}


def read(path):
    return json.loads(path.read_text())


# ---- what a run leaves -----------------------------------------------------------------------------------------------


def test_both_ways_are_kept_under_the_data_sets_own_names_as_jpeg_of_quality_75(world, whole):
    names = [f"{number}_00.jpg" for number in range(10_000, 10_005)]
    assert list(pictures(whole)) == [f"{way}/{name}" for way in ("plain", "repaint") for name in names]
    photo = Image.open(world / "set/test/image/10000_00.jpg")
    for way in ("plain", "repaint"):
        result = Image.open(whole / way / names[0])
        again = photo.copy()
        again.save(whole / "quality.jpeg", quality=75)
        assert result.size == (48, 64) and result.quantization == Image.open(whole / "quality.jpeg").quantization
    near, far = (distance(whole / way / names[0], photo) for way in ("repaint", "plain"))
    assert near < 0.5 * far  # most of the photo lies outside the mask


def distance(path, photo):
    return np.abs(np.asarray(Image.open(path), float) - np.asarray(photo, float)).mean()


def test_the_protocol_says_everything_that_moves_a_figure(world, whole):
    told = {way: read(whole / way / "protocol.json") for way in ("plain", "repaint")}
    assert {way: protocol.pop("repaint") for way, protocol in told.items()} == {"plain": False, "repaint": True}
    assert told["plain"] == told["repaint"]
    protocol = told["plain"]
    assert protocol["dataset"] == "vitonhd" and protocol["split"] == "test" and protocol["paired"] is True
    assert protocol["engine"] == "tiny@0" and protocol["precision"] == "float32" and protocol["images"] == 5
    assert [protocol[key] for key in ("size", "steps", "guidance", "seed")] == [[48, 64], 2, 2.5, 555]
    assert [protocol[key] for key in ("resize", "file_format", "jpeg_quality")] == ["lanczos", "jpeg", 75]
    assert protocol["masks"] == {"set": 5, "made": 0, "masker": "built-in"}
    assert set(protocol["weights"]) == {f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae")}
    shas = {name: (file.file, file.sha256) for name, file in NETWORKS.items()}
    assert {name: (file["file"], file["sha256"]) for name, file in protocol["networks"].items()} == shas


def test_the_scores_are_in_the_folder_and_in_the_output(world, whole, capsys):
    assert evaluate(world, whole, "--paired", "--resume", "--batch", "4", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    for way in ("plain", "repaint"):
        scores = read(whole / way / "scores.json")
        assert set(scores["each"]) == {f"{number}_00" for number in range(10_000, 10_005)} and scores["images"] == 5
        assert scores["ssim"] == pytest.approx(np.mean([each["ssim"] for each in scores["each"].values()]))
        assert said[way]["scores"] == scores | {"each": {}} and said[way]["protocol"]["repaint"] is (way == "repaint")
    assert said["repaint"]["scores"]["fid"] < said["plain"]["scores"]["fid"]

    assert evaluate(world, whole, "--paired", "--scores-only") == 0
    text = capsys.readouterr().out
    assert f"{scores['ssim']:.4f}" in text and NETWORKS["inception"].sha256 in text and "JPEG of quality 75" in text


def test_unpaired_results_have_no_likeness_and_wear_others_garments(world, whole, tmp_path):
    assert evaluate(world, tmp_path / "out", "--batch", "4", "--no-repaint") == 0
    assert not (tmp_path / "out/repaint").exists()
    scores = read(tmp_path / "out/plain/scores.json")
    assert scores["ssim"] is None and scores["each"] == {} and scores["fid"] > 0
    assert set(read(tmp_path / "out/plain/protocol.json")["networks"]) == {"inception"}
    mine, theirs = pictures(tmp_path / "out/plain"), pictures(whole / "plain")
    assert mine.keys() == theirs.keys() and all(mine[name] != theirs[name] for name in mine)


def test_a_saved_pipeline_stands_in_for_the_engines_weights(world, tmp_path):
    tiny_pipe().save_pretrained(tmp_path / "mine")
    assert evaluate(world, tmp_path / "out", "--paired", "--weights", str(tmp_path / "mine"), "--limit", "4") == 0
    protocol = read(tmp_path / "out/plain/protocol.json")
    assert protocol["engine"] == "tiny@mine" and protocol["images"] == 4
    assert len(pictures(tmp_path / "out/plain")) == 4


# ---- stopped and taken up --------------------------------------------------------------------------------------------


def test_a_run_stopped_after_two_pictures_and_taken_up_gives_the_same_bytes(world, whole, tmp_path, monkeypatch):
    out, write, count = tmp_path / "out", result_folder.os.replace, 0

    def stop_at_the_third(partial, path):
        nonlocal count
        count += Path(path).suffix == ".jpg"
        if count > 4:  # two files a picture
            raise KeyboardInterrupt
        write(partial, path)

    with monkeypatch.context() as patch:
        patch.setattr(result_folder.os, "replace", stop_at_the_third)
        assert evaluate(world, out, "--paired", "--batch", "4") == 130
    assert sorted(pictures(out)) == [f"{way}/1000{n}_00.jpg" for way in ("plain", "repaint") for n in (0, 1)]
    assert not (out / "plain/scores.json").exists()
    assert evaluate(world, out, "--paired", "--batch", "4", "--resume") == 0
    assert pictures(out) == pictures(whole)
    assert read(out / "plain/scores.json") == read(whole / "plain/scores.json")


def test_what_is_finished_is_not_made_again(world, tmp_path):
    out = tmp_path / "out"
    assert evaluate(world, out, "--paired", "--batch", "2") == 0
    kept = out / "plain/10000_00.jpg"
    kept.write_bytes((out / "plain/10001_00.jpg").read_bytes())
    (out / "plain/10004_00.jpg").unlink()
    assert evaluate(world, out, "--paired", "--batch", "2", "--resume") == 0
    assert kept.read_bytes() == (out / "plain/10001_00.jpg").read_bytes()
    assert (out / "plain/10004_00.jpg").is_file()


def test_results_made_in_another_way_are_left_alone_and_the_difference_is_named(world, whole, capsys):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert evaluate(world, whole, "--paired", "--batch", "4") == 2
    assert "not empty" in capsys.readouterr().err
    assert evaluate(world, whole, "--paired", "--resume", "--steps", "3", "--seed", "1") == 2
    said = capsys.readouterr().err
    assert "steps (2 there, 3 now)" in said and "seed (555 there, 1 now)" in said and "batch" not in said
    assert evaluate(world, whole, "--resume", "--limit", "4") == 2
    said = capsys.readouterr().err
    assert "paired (true there, false now)" in said and "images (5 there, 4 now)" in said
    assert before == {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}


def test_other_weights_are_another_protocol(world, whole, tmp_path, capsys):
    tiny = tiny_pipe()
    tiny.unet.conv_in.bias.data += 1
    tiny.save_pretrained(tmp_path / "0")
    assert evaluate(world, whole, "--paired", "--resume", "--weights", str(tmp_path / "0")) == 2
    said = capsys.readouterr().err
    assert "weights: unet/diffusion_pytorch_model.safetensors (" in said
    assert "vae" not in said and "engine" not in said


# ---- the data set ----------------------------------------------------------------------------------------------------


def test_a_faulty_set_ends_with_its_faults_and_nothing_is_made(world, tmp_path, capsys):
    root = fake_sets.write_vitonhd(tmp_path / "set", pairs=4)
    (root / "test/cloth/10002_00.jpg").unlink()
    assert evaluate(tmp_path, tmp_path / "out") == 2
    assert "10002_00.jpg" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_missing_masks_are_made_once_beside_the_results_and_the_set_is_left_alone(world, tmp_path, monkeypatch):
    root = fake_sets.write_vitonhd(tmp_path / "set", pairs=4, masks=False)
    mine = VitonHD(root).cases(paired=True)[0].mask
    fake_sets._write(mine, fake_sets.mask())
    before = sorted(root.rglob("*"))
    asked = []

    def drawn(photo, part):
        asked.append(part)
        return TinyMasker()(photo, part)

    monkeypatch.setattr(Maskers, "__call__", lambda self, card: drawn)
    assert evaluate(tmp_path, tmp_path / "runs/one", "--paired") == 0
    made = sorted(path.name for path in (tmp_path / "runs/masks-vitonhd/built-in").iterdir())
    assert [name[:8] for name in made] == ["10001_00", "10002_00", "10003_00"] and asked == ["upper"] * 3
    assert evaluate(tmp_path, tmp_path / "runs/two", "--paired") == 0 and len(asked) == 3
    assert sorted(root.rglob("*")) == before
    protocol = read(tmp_path / "runs/one/plain/protocol.json")
    assert protocol["masks"] == {"set": 1, "made": 3, "masker": "built-in"}
    assert pictures(tmp_path / "runs/one") == pictures(tmp_path / "runs/two")


def test_the_built_in_engine_dresses_dresscode_one_by_one(world, tmp_path):
    root = fake_sets.write_dresscode(tmp_path / "set")
    command = ["evaluate", "dresscode", "--root", str(root), "--paired", "--engine", "compact", "--size", "48x64"]
    assert cli.main([*command, "--out", str(tmp_path / "out")]) == 0
    names = ["dresses/000010_0", "dresses/000011_0", "lower_body/000006_0", "lower_body/000007_0"]
    names += ["upper_body/000002_0", "upper_body/000003_0"]
    for way in ("plain", "repaint"):
        assert list(pictures(tmp_path / "out" / way)) == [f"{name}.jpg" for name in names]
        assert sorted(read(tmp_path / "out" / way / "scores.json")["each"]) == names


def test_an_engine_without_masks_is_given_none_and_has_nothing_to_paste_along(world, tmp_path, capsys):
    root = fake_sets.write_vitonhd(tmp_path / "set", pairs=4, masks=False)
    assert evaluate(tmp_path, tmp_path / "out", "--paired", engine="free") == 0
    assert not (tmp_path / "out/repaint").exists() and not (tmp_path / "masks-vitonhd").exists()
    assert "masks" not in read(tmp_path / "out/plain/protocol.json") and root.is_dir()
    assert evaluate(tmp_path, tmp_path / "no", "--paired", "--repaint", engine="free") == 2
    assert "--repaint needs masks" in capsys.readouterr().err


# ---- scoring alone ---------------------------------------------------------------------------------------------------


def test_pictures_of_another_program_are_scored_where_they_are(world, whole, tmp_path, capsys):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for path in (whole / "plain").glob("*.jpg"):
        Image.open(path).save(theirs / f"{path.stem}.png")
    assert evaluate(world, theirs, "--paired", "--scores-only", "--repaint") == 0
    protocol = read(theirs / "protocol.json")
    assert protocol["engine"] == "theirs" and protocol["size"] == [48, 64] and protocol["file_format"] == "png"
    assert protocol["repaint"] is True and "steps" not in protocol and protocol["images"] == 5
    assert read(theirs / "scores.json")["fid"] == read(whole / "plain/scores.json")["fid"]
    assert "5 results of theirs" in capsys.readouterr().out

    assert evaluate(world, theirs, "--scores-only") == 2
    assert "paired (true there, false now)" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert evaluate(world, tmp_path / "empty", "--scores-only") == 2
    assert "no pictures" in capsys.readouterr().err


def test_one_way_is_scored_where_one_was_asked_for(world, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate(world, out, "--no-repaint") == 0
    (out / "plain/scores.json").unlink()
    assert evaluate(world, out, "--scores-only", "--repaint") == 2
    assert "has plain/ only" in capsys.readouterr().err and not (out / "protocol.json").exists()
    assert evaluate(world, out, "--scores-only") == 0 and (out / "plain/scores.json").is_file()
    (out / "plain/10000_00.jpg").unlink()
    assert evaluate(world, out, "--scores-only") == 2
    assert "lacks results: 10000_00" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--limit", "3"), "Limit 3 is not possible"),
        (("--size", "384x384"), 'Size "384x384" is not possible'),
        (("--size", "big"), 'Size "big" is not possible'),
        (("--steps", "0"), "Steps 0 is not possible"),
        (("--guidance", "-1"), "Guidance -1 is not possible"),
        (("--batch", "0"), "Batch 0 is not possible"),
        (("--seed", "-1"), "Seed -1 is not possible"),
        (("--engine", "nobody"), 'There is no engine "nobody"'),
    ],
)
def test_options_that_cannot_be_are_refused_with_what_can(world, tmp_path, capsys, options, said):
    assert evaluate(world, tmp_path / "out", *options) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
