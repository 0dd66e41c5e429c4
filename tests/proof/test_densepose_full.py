"""The published DensePose files at their true size, written and read as they are published, and run whole."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from densepose import DensePose, convert
from densepose.config_files import SHIPPED
from tests.conformance.densepose_reference import (
    CONFIGS,
    golden,
    key_list,
    photo,
    reference_model,
    reference_weights,
    seeded_weights,
    watched,
)
from tests.conformance.test_densepose import FRAME, assert_charts, assert_labels, close, low_margin
from tests.densepose_tiny import as_published

pytestmark = pytest.mark.proof


def write(folder: Path, config: str, state: dict[str, torch.Tensor]) -> Path:
    """The config, the one it is based on, and a pickle under the published name."""
    folder.mkdir()
    for name in (config, "Base-DensePose-RCNN-FPN.yaml"):
        shutil.copy(SHIPPED / name, folder)
    path = folder / "model_final_162be9.pkl"
    path.write_bytes(pickle.dumps(as_published(state), protocol=3))
    return path


def test_resnet_50_from_its_published_files(tmp_path):
    path = write(tmp_path / "DensePose", CONFIGS["r50"], reference_weights("r50"))
    assert path.stat().st_size == pytest.approx(255_757_821, rel=1e-4)  # the published file's bytes
    expected, numbers = DensePose.from_pretrained(path.parent)(photo()), golden("r50")
    assert_labels(expected, numbers["small_label"], low_margin(numbers, "small", FRAME))
    convert(path)
    path.unlink()
    np.testing.assert_array_equal(DensePose.from_pretrained(path.parent)(photo()), expected)


def test_the_deeplab_network_whole():
    numbers = golden("r50dl")
    record = watched(reference_model("r50dl", reference_weights("r50dl")), photo())
    close(record.given["decoder"][0][0, ::16, ::8, ::8], numbers["decoder_s8"], 5e-3)
    assert_charts(record.given["charts"][0], numbers)
    assert_labels(record.labels, numbers["small_label"], low_margin(numbers, "small", FRAME))


def test_resnet_101_runs_at_its_true_size():
    """No reference numbers: its 590 tensors load strictly and it finds people in the photo."""
    shapes = key_list("r101")
    gains = {"bottom_up.stem.conv1.weight": 0.02, "bottom_up.res": 0.8}
    overrides = {"roi_heads.box_predictor.cls_score.bias": [4.0, -4.0]}
    model = reference_model("r101", seeded_weights(shapes, gains=gains, overrides=overrides))
    people = model.instances(photo(), at_most=3)
    assert people
    assert all(np.isfinite(person.box).all() for person in people)
