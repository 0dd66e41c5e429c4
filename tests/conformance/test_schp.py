"""SCHP against numbers recorded from the published try-on's port of it, with seeded weights, both sets of labels.

Two routes: a PIL picture (red first, as the published app feeds it), and a file name (read by OpenCV, blue first, as
its preprocessing script does). The second is the first with the channels turned round.

OpenCV 4 and 5 warp differently, and there are numbers of both. Where those of the installed version exist, the fine
tolerances hold, else the wide ones; see `reference`.
"""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from model import SCHP
from model.schp import DATASETS
from model.schp_network import UNUSED
from model.warp import Warp
from tests.conformance.conftest import DATA, read_json
from tests.conformance.seeded import fingerprint, seeded_state

ROUTES = ("pil", "path")
INSTALLED = cv2.__version__.partition(".")[0]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(DATA / "schp.npz"))


def reference(golden, key) -> tuple[np.ndarray, bool]:
    """The recorded array, and whether it was made with the installed version of OpenCV."""
    own = key if INSTALLED == "5" else f"{key}_cv{INSTALLED}"
    return (golden[own], True) if own in golden else (golden[key], False)


def low_margin(golden, key) -> np.ndarray:
    """bool (400, 300): where the two best labels are so close that rounding may swap them."""
    bits, _ = reference(golden, f"{key}_low_margin")
    return np.unpackbits(bits)[: 400 * 300].reshape(400, 300) > 0


def official_shapes(dataset) -> dict[str, list[int]]:
    keys = read_json("schp_keys.json")
    return keys["lip"] | (keys["atr_differs"] if dataset == "atr" else {})


def official_state(dataset, golden) -> dict[str, torch.Tensor]:
    shapes = official_shapes(dataset)
    state = seeded_state(shapes, gains=read_json("schp_keys.json")["gains"])
    state |= {key: _statistics(key, shapes[key]) for key in shapes if "running_" in key}
    state["module.fushion.3.bias"] = torch.from_numpy(golden[f"{dataset}_fushion_bias"])
    return state


def _statistics(key, shape) -> torch.Tensor:
    """A normalisation's running mean and variance, seeded as the reference's."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    if key.endswith("running_var"):
        return 0.5 + torch.rand(tuple(shape), generator=generator)
    return 0.1 * torch.randn(tuple(shape), generator=generator)


@pytest.fixture(scope="module", params=DATASETS)
def dataset(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def parser(dataset, golden, tmp_path_factory) -> SCHP:
    """Read from a file like the official one; 270 MB, so it is removed at once."""
    state = official_state(dataset, golden)
    expected, found = read_json("schp_keys.json")["meta"][dataset]["fingerprint"], fingerprint(state)
    assert found["numel"] == expected["numel"]
    for figure in ("sum", "abs_sum"):
        assert found[figure] == pytest.approx(expected[figure], abs=1e-6 * expected["abs_sum"])
    file = tmp_path_factory.mktemp("schp") / f"{dataset}.pth"
    torch.save({"epoch": 150, "state_dict": state}, file)
    try:
        return SCHP.from_checkpoint(file, dataset=dataset)
    finally:
        file.unlink()


@pytest.fixture(scope="module")
def pictures() -> dict[str, Image.Image]:
    """The photo as each route hands it to the network."""
    photo = Image.open(DATA / "schp_300x400.png")
    return {"pil": photo, "path": Image.fromarray(np.asarray(photo)[..., ::-1].copy())}


@pytest.fixture(scope="module")
def seen(parser, pictures):
    """Both routes in one pass: the network's input and output, (2, C, h, w) each, and the labels."""
    record = {}

    def note(_module, args, output):
        record.update(input=args[0].numpy(), output=output.numpy())

    hook = parser.network.register_forward_hook(note)
    try:
        return record | {"labels": parser.batch([pictures[route] for route in ROUTES])}
    finally:
        hook.remove()


def close(found, expected, tolerance):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_the_files_keys_and_shapes(parser, dataset):
    own = {key: list(value.shape) for key, value in parser.network.state_dict().items()}
    official = {key.removeprefix("module."): shape for key, shape in official_shapes(dataset).items()}
    assert {key: official[key] for key in official if key not in UNUSED} == own
    assert sorted(parser.unused) == sorted(UNUSED)
    assert set(UNUSED) <= set(official)
    unread = read_json("schp_keys.json")["meta"][dataset]["unused_checkpoint_keys"]
    read = {"edge.conv4.weight", "edge.conv4.bias"}  # the published code computes with these, and drops the result
    assert {key.removeprefix("module.") for key in unread} == set(UNUSED) - read


@pytest.mark.parametrize("version", ["4", "5"])
def test_the_square_the_network_sees(dataset, pictures, version):
    expected = np.asarray(Image.open(DATA / f"schp_{dataset}_warped_cv{version}.png")).astype(int)
    found = Warp(pictures["pil"].size, DATASETS[dataset].side).there(np.asarray(pictures["pil"]))
    difference = np.abs(found - expected)
    if version == INSTALLED:
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-4
    else:
        assert difference.max() <= 2
        assert (difference > 0).mean() < 0.03


@pytest.mark.parametrize(("row", "route"), list(enumerate(ROUTES)))
def test_the_normalised_input(seen, golden, dataset, row, route):
    """Plain arrays are OpenCV 5's; a level more or less is 0.018 here."""
    close(seen["input"][row, :, ::16, ::16], golden[f"{dataset}_{route}_input_s16"], 1e-4 if INSTALLED == "5" else 0.04)


@pytest.mark.parametrize(("row", "route"), list(enumerate(ROUTES)))
def test_the_network(seen, golden, dataset, row, route):
    expected, same = reference(golden, f"{dataset}_{route}_net_out_s4")
    close(seen["output"][row, :, ::4, ::4], expected, 1e-3 if same else 0.05)


@pytest.mark.parametrize(("row", "route"), list(enumerate(ROUTES)))
def test_logits_and_labels(parser, pictures, seen, golden, dataset, row, route):
    key = f"{dataset}_{route}"
    logits, label = parser.logits(pictures[route]), seen["labels"][row]
    expected, same = reference(golden, f"{key}_logits_s8")
    close(logits[:, ::8, ::8], expected.transpose(2, 0, 1), 1e-3 if same else 0.05)
    expected, same = reference(golden, f"{key}_label")
    wrong = label != expected
    assert wrong.mean() < 0.01
    if same:  # the fourth version's margins were recorded for one route only; they lie where the fifth's do
        assert np.count_nonzero(wrong & ~low_margin(golden, key)) <= (0 if INSTALLED == "5" or route == "pil" else 60)
    close(logits[label, np.arange(400)[:, None], np.arange(300)], logits.max(0), 1e-4)


def test_the_two_routes_differ(golden, dataset):
    """Else a network fed the wrong colours would pass."""
    assert (golden[f"{dataset}_pil_label"] != golden[f"{dataset}_path_label"]).mean() > 0.2


def test_every_reference_array_is_used(golden):
    parts = ("label", "net_out_s4", "logits_s8", "input_s16", "low_margin")
    plain = {f"{dataset}_{route}_{part}" for dataset in DATASETS for route in ROUTES for part in parts}
    named = {"cv2", "palette18", "palette20", *(f"{dataset}_fushion_bias" for dataset in DATASETS)}
    assert {key.removesuffix("_cv4") for key in golden} - named == plain
