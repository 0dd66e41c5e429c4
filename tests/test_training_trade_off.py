"""The table of seconds against quality: what is measured again, what is chosen, what the cards say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catvton.cli import main
from catvton.errors import InputError
from catvton.training import trade_off as module
from catvton.training.students import Made
from catvton.training.trade_off import Variant, best, page
from tests.tiny_students import compact_teacher

QUALITY = {"paired": {"mask": [6.5, 0.43], "region": [5.2, 0.45]}, "unpaired": 0.99, "cases": 2, "results": 40}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models; the second was made by a command, so it has a card."""
    root = tmp_path_factory.mktemp("models")
    folders = {name: compact_teacher(root / name) for name in ("first", "second")}
    part = {"unet": {"parameters": [2, 1], "bytes": [4, 2]}}
    Made("second", ["Cut."], {"name": "first", "sha256": "0"}, part).write(folders["second"])
    return folders


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Quality and whole seconds are made up here; what was asked for is listed."""
    asked: list[tuple[str, int]] = []

    def quality(variant: Variant, *_: object, **__: object) -> dict:
        asked.append((variant.name, variant.steps))
        return dict(QUALITY)

    monkeypatch.setattr(module, "_quality", quality)
    monkeypatch.setattr(module, "_seconds", lambda variant, _: 0.5)
    return asked


def row(
    name: str, ms: float, *, mask: tuple = (6.5, 0.43), region: tuple = (5.2, 0.45), unpaired: float = 0.99
) -> dict:
    return {"name": name, "unet_ms": ms, "paired": {"mask": mask, "region": region}, "unpaired": unpaired}


def test_the_quickest_that_is_about_as_good_is_best() -> None:
    first = row("first", 40)
    assert best([first, row("quick", 20), row("slow", 50)])["name"] == "quick"
    worse = [row("a", 9, mask=(6.7, 0.43)), row("b", 9, mask=(6.5, 0.42)), row("c", 9, region=(5.4, 0.45)),
             row("d", 9, region=(5.2, 0.44)), row("e", 9, unpaired=0.98)]  # fmt: skip
    for one in worse:
        assert best([first, one])["name"] == "first", one["name"]
    assert best([first, row("better", 9, mask=(5.0, 0.6))])["name"] == "better"


@pytest.mark.parametrize(("text", "steps"), [("a=x/y", 1), ("a=x/y@2", 2), ("a=x@home/y", 1), ("a=x@home/y@3", 3)])
def test_a_variant_is_a_name_a_folder_and_steps(text: str, steps: int) -> None:
    variant = Variant.parse(text)
    assert (variant.name, variant.steps) == ("a", steps) and str(variant.folder) in text


@pytest.mark.parametrize("text", ["x/y", "=x", "a=", "a=x@0"])
def test_what_is_no_variant_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="NAME=FOLDER"):
        Variant.parse(text)


def test_a_second_call_measures_only_what_is_new(folders, measured, tmp_path: Path, capsys) -> None:
    stem = tmp_path / "fast"
    known, new = (f"{name}={folder}" for name, folder in folders.items())
    fixed = ["--data", "nowhere", "--write", str(stem), "--threads", "1"]
    assert main(["train", "tradeoff", known, *fixed]) == 0 and measured == [("first", 1)]
    assert main(["train", "tradeoff", known, f"{known}@2", new, *fixed]) == 0
    # The second folder's weights are the first's: nothing to measure but the other number of steps.
    assert measured == [("first", 1), ("first", 2)]
    assert main(["train", "tradeoff", known, *fixed, "--limit", "3"]) == 0 and measured[-1] == ("first", 1)
    assert len(measured) == 3
    capsys.readouterr()


def test_the_page_and_the_cards_have_the_figures(folders, measured, tmp_path: Path, capsys) -> None:
    stem = tmp_path / "fast"
    variants = [f"first={folders['first']}", f"second={folders['second']}@2"]
    assert main(["train", "tradeoff", *variants, "--data", "nowhere", "--write", str(stem), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(stem.with_suffix(".json").read_text())
    assert found["variants"][1]["unet_ms"] > found["variants"][0]["unet_ms"] > 0 and found["best"] == "first"
    text = stem.with_suffix(".md").read_text()
    assert text == page(found) and "| **first** | 1 |" in text and "6.50 / 0.430" in text and "99.0%" in text
    assert "- steps 2: UNet" in (folders["second"] / "README.md").read_text()
    assert not (folders["first"] / "README.md").exists()
