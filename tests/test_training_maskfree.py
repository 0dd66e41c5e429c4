"""Redressing people for a network without a mask: who wears what, what is kept, and how it is taken up again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from catvton.cli import main
from catvton.datasets import open_source
from catvton.errors import InputError
from catvton.evaluation.benchmark_engine import Sized
from catvton.image_utils import resize_and_crop
from catvton.pipeline import CatVTONPipeline
from catvton.training.latent_cache import LatentCache
from catvton.training.recipes import PRESETS
from catvton.training.synthetic_pairs import SyntheticPairs, wishes_of
from tests.fake_sets import write_table
from tests.tiny_pipeline import tiny_pipe

SIZE = (24, 32)


class Painter:
    """An engine that paints the mask in the garment's middle colour, and a little chance; counts what it was asked."""

    mask_free, precision = False, "float32"

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, cases: Sequence[Sized], generators: Sequence[torch.Generator]) -> list[Image.Image]:
        self.asked += len(cases)
        return [self._one(case, generator) for case, generator in zip(cases, generators, strict=True)]

    @staticmethod
    def _one(case: Sized, generator: torch.Generator) -> Image.Image:
        colour = np.asarray(case.garment)[16, 12].astype(int) + int(torch.randint(20, (1,), generator=generator))
        return Image.new("RGB", case.person.size, tuple(int(value) for value in colour.clip(0, 255)))


@pytest.fixture(autouse=True)
def nothing_downloaded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CATVTON_MODELS_DIR", str(tmp_path / "models"))


@pytest.fixture
def source(tmp_path: Path):
    return open_source(f"csv:{write_table(tmp_path / 'set', pairs=7)}")  # three parts in turn: 3, 2 and 2 pairs


def maker(tmp_path: Path, source, painter: Painter, **options) -> SyntheticPairs:
    given = {"folder": tmp_path / "pairs", "size": SIZE, "facts": {"engine": "painter"}, "together": 2}
    return SyntheticPairs(**{"source": source, "dresser": lambda: painter, **given, **options})


def table(folder: Path) -> dict[str, str]:
    with (folder / "redressed.csv").open(newline="") as file:
        return {row["name"]: row["garment_of"] for row in csv.DictReader(file)}


def test_everyone_wears_the_garment_of_another_of_the_same_part(tmp_path: Path, source) -> None:
    maker(tmp_path, source, Painter()).make()
    worn, parts = table(tmp_path / "pairs"), {pictures.name: pictures.part for pictures in source}
    assert worn.keys() == parts.keys() and sorted(worn.values()) == sorted(worn)  # every garment is worn once
    assert all(name != other and parts[name] == parts[other] for name, other in worn.items())


def test_only_the_mask_changes_and_the_photo_is_the_truth(tmp_path: Path, source) -> None:
    pairs = list(maker(tmp_path, source, Painter()).make())
    assert [pair.name for pair in pairs] == [pictures.name for pictures in source]
    for pair, pictures in zip(pairs, source, strict=True):
        photo = np.asarray(resize_and_crop(pictures.person, SIZE)).astype(int)
        shown = np.asarray(pair.shown).astype(int)
        hole = np.asarray(pictures.mask.resize(SIZE, Image.Resampling.BOX))
        assert np.asarray(pair.person).tolist() == np.asarray(pictures.person).tolist()
        corners = (slice(None, 4), slice(None, 4))
        np.testing.assert_array_equal(shown[corners], photo[corners])
        assert np.abs(shown - photo)[hole == 255].mean() > 15


def test_what_is_there_is_not_made_again_and_chance_is_the_names(tmp_path: Path, source) -> None:
    whole = {pair.name: np.asarray(pair.shown) for pair in maker(tmp_path, source, Painter()).make()}
    again = Painter()
    maker(tmp_path, source, again).make()
    assert again.asked == 0
    for name in list(whole)[2:5]:
        (tmp_path / "pairs" / "pictures" / f"{name}.png").unlink()
    (tmp_path / "pairs" / "redressed.csv").unlink()  # as after a kill
    made = maker(tmp_path, source, again, together=5).make()
    assert again.asked == 3
    for pair in made:
        np.testing.assert_array_equal(np.asarray(pair.shown), whole[pair.name])


def test_people_redressed_otherwise_are_refused(tmp_path: Path, source) -> None:
    maker(tmp_path, source, Painter()).make()
    with pytest.raises(InputError, match=r"engine \(\"painter\" there, \"other\" now\)") as caught:
        maker(tmp_path, source, Painter(), facts={"engine": "other"}).make()
    assert caught.value.code == "pairs.mismatch"


def test_a_lone_pair_is_left_out_and_missing_masks_are_asked_for(tmp_path: Path, caplog) -> None:
    lone = open_source(f"csv:{write_table(tmp_path / 'lone', pairs=4, masks=False)}")
    names = [wish.pictures.name for wish in wishes_of(lone)]
    assert names == ["00005_look03", "00002_look00"] and "only one of its part" in caplog.text
    with pytest.raises(InputError, match="no masker"):
        maker(tmp_path, lone, Painter()).make()
    drawn = np.zeros((64, 48), np.uint8)
    drawn[20:40, 10:30] = 255
    masker = lambda photo, part: SimpleNamespace(mask=drawn)  # noqa: E731
    assert len(maker(tmp_path, lone, Painter(), masker=masker).make()) == 2


def test_the_network_sees_the_redressed_person(tmp_path: Path, source) -> None:
    pipe = tiny_pipe(use_mask=False, concat_axis="width")
    pairs = maker(tmp_path, source, Painter()).make()
    latents = LatentCache(folder=tmp_path / "cache", source=pairs, pipe=pipe, dtype="float32").build()
    rows, pair = latents.rows([1]), list(pairs)[1]
    assert rows.keys() == {"person", "shown", "garment"}
    torch.testing.assert_close(rows["shown"], pipe.person_latents(pair.shown), rtol=0, atol=1e-5)
    torch.testing.assert_close(rows["person"], pipe.person_latents(pair.person), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="redressed people"):
        LatentCache(folder=tmp_path / "other", source=source, pipe=pipe).build()


def test_the_command_redresses_trains_and_saves(tmp_path: Path, source, capsys) -> None:
    """With the engine that ships as the one that redresses."""
    tiny_pipe(use_mask=False, concat_axis="width").save_pretrained(tmp_path / "base")
    out = tmp_path / "run"
    command = ["train", "maskfree", "--data", source.name, "--base", str(tmp_path / "base"), "--out", str(out),
               "--engine", "compact", "--engine-steps", "1", "--resolution", "32", "--steps", "2", "--batch", "2",
               "--accumulate", "1", "--device", "cpu"]  # fmt: skip
    assert main([*command, "--dry-run"]) == 0
    assert "cache latents" in capsys.readouterr().out and not out.exists()
    lost = [*command[:5], "instruct-pix2pix", *command[6:]]
    assert main(lost) != 0 and not (out / "pairs").exists()  # nobody is redressed for a base that is not there
    assert "models download catvton-maskfree" in capsys.readouterr().err
    assert main(command) == 0
    assert "The model is in" in capsys.readouterr().out
    assert len(list((out / "pairs" / "pictures").iterdir())) == 7
    saved = CatVTONPipeline.from_pretrained(out / "model")
    assert saved.layout == PRESETS["maskfree"].layout
    assert (out / "model" / "official" / "mix-48k-1024" / "attention" / "model.safetensors").is_file()


def test_an_engine_without_a_mask_cannot_redress(tmp_path: Path, source, capsys) -> None:
    tiny_pipe(use_mask=False, concat_axis="width").save_pretrained(tmp_path / "base")
    command = ["train", "maskfree", "--data", source.name, "--base", str(tmp_path / "base"), "--out", str(tmp_path),
               "--engine", "catvton-maskfree", "--resolution", "32", "--device", "cpu"]  # fmt: skip
    assert main(command) != 0
    assert "catvton-maskfree@mix has no mask" in capsys.readouterr().err
