"""The official masker's figures: arithmetic on drawn masks, the command without weights, and with (seeded) ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from catvton import cli
from catvton.ccp import CCP, CLASSES
from catvton.evaluation.masks import report, score_masks
from catvton.evaluation.protocol import cases
from model.errors import PartNotVisible
from tests.small_sets import write_ccp


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_ccp(tmp_path_factory.mktemp("data"), labelled=(2, 11), bare=())


def of_labels(ccp, change):
    """A masker that knows the truth and changes it: `change(labels, part)` -> bool (H, W)."""
    def masker(photo, part):
        labels = next(ccp.labels(n) for n in ccp.numbers("validation") if ccp.photo(n).size == photo.size)
        return SimpleNamespace(mask=np.where(change(labels, part), 255, 0).astype(np.uint8))

    return masker


def garment(labels, _part):
    return labels == CLASSES.index("upper")


def test_figures_of_masks_that_are_known(data):
    ccp = CCP(data)
    upper = [case for case in cases(ccp) if case.part == "upper"]
    ways = {
        "exact": of_labels(ccp, garment),
        "all": of_labels(ccp, lambda labels, part: np.ones_like(labels, bool)),
        "none": of_labels(ccp, lambda labels, part: np.zeros_like(labels, bool)),
    }
    ticks = iter(range(100))
    scores, refused = score_masks(ccp, upper, ways, clock=lambda: next(ticks))
    found = {score.network: score for score in scores}
    assert refused == 0 and len(scores) == 3 * len(upper)
    exact, whole, none = (found[name] for name in ("exact", "all", "none"))
    assert (exact.covered, exact.opened, exact.agrees, exact.seconds) == (1, 0, 1, 1)
    assert (whole.covered, whole.opened, whole.share) == (1, 1, 1) and whole.agrees == pytest.approx(exact.share)
    assert (none.covered, none.opened, none.share, none.agrees) == (0, 0, 0, 0)
    text = report(scores, refused)
    assert "| exact | upper | 1 | 100.0% | 0.0% |" in text and "Refused" in text


def test_refusals_are_counted_and_lower_parts_left_out(data):
    def refuses(photo, part):
        raise PartNotVisible(part)

    ccp = CCP(data)
    scores, refused = score_masks(ccp, cases(ccp), {"shy": refuses})
    assert scores == [] and refused == sum(case.part in ("upper", "overall") for case in cases(ccp)) > 0


def test_without_weights_the_command_says_so(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATVTON_MODELS_DIR", str(tmp_path / "none"))
    assert cli.main(["evaluate", "masks", "--data", str(data), "--write", "masks.md"]) == 0
    text = (tmp_path / "masks.md").read_text()
    assert "No real weights were at hand" in text and "python -m catvton models download catvton@mix" in text
    assert "R_101_FPN_s1x" in capsys.readouterr().out


def test_a_network_without_a_folder_is_refused(data, tmp_path, monkeypatch, capsys):
    from catvton.evaluation.commands.masks import named

    with pytest.raises(ValueError, match="NAME=FOLDER is needed"):
        named("R101")
    with pytest.raises(ValueError, match="NAME=FOLDER is needed"):
        named(f"R101={tmp_path / 'none'}")
    assert named(f"R101={tmp_path}") == ("R101", tmp_path)
