"""LPIPS: the network and the distance held to a plain computation in float64 on seeded weights; files read strictly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from catvton.errors import InputError, WeightsError
from catvton.evaluation.networks import network_file
from catvton.evaluation.perceptual import LPIPS
from tests.tiny_metrics import head_weights, picture, squeezenet_weights

FIRES = (3, 4, 6, 7, 9, 10, 11, 12)
POOLS = (2, 5, 8)
SEEN_AFTER = (1, 4, 7, 9, 10, 11, 12)  # layers whose output LPIPS looks at


def written_out(one: np.ndarray, other: np.ndarray, weights: dict, heads: dict) -> float:
    """The distance from the formulas, one layer after the other, in float64."""
    weights = {key: value.double() for key, value in weights.items()}
    total = 0.0
    for head, a, b in zip(heads.values(), _looks(one, weights), _looks(other, weights), strict=True):
        difference = (a / np.sqrt(1e-8 + (a**2).sum(0)) - b / np.sqrt(1e-8 + (b**2).sum(0))) ** 2
        total += float((head.double().numpy()[0] * difference).sum(0).mean())
    return total


def _looks(picture: np.ndarray, weights: dict) -> list[np.ndarray]:
    pixels = picture.transpose(2, 0, 1) / 127.5 - 1
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    flow = torch.from_numpy((pixels - shift[:, None, None]) / scale[:, None, None])[None]

    def conv(flow, name, **options):
        return F.relu(F.conv2d(flow, weights[f"{name}.weight"], weights[f"{name}.bias"], **options))

    found = []
    for layer in range(13):
        if layer == 0:
            flow = conv(flow, "features.0", stride=2)
        elif layer in POOLS:
            flow = F.max_pool2d(flow, 3, 2, ceil_mode=True)
        elif layer in FIRES:
            inner = conv(flow, f"features.{layer}.squeeze")
            sides = conv(inner, f"features.{layer}.expand1x1"), conv(inner, f"features.{layer}.expand3x3", padding=1)
            flow = torch.cat(sides, 1)
        if layer in SEEN_AFTER:
            found.append(flow[0].numpy())
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lpips")
    torch.save(squeezenet_weights(), folder / "backbone.pth")
    torch.save(head_weights(), folder / "heads.pth")
    return folder / "backbone.pth", folder / "heads.pth"


@pytest.fixture(scope="module")
def lpips(files):
    return LPIPS.from_files(*files)


@pytest.mark.parametrize("size", [(48, 64), (61, 83)])  # at the second one the pools round up
def test_distance_is_the_published_one(lpips, size):
    one, other = (np.asarray(picture(seed, size)) for seed in (1, 2))
    expected = written_out(one, other, squeezenet_weights(), head_weights())
    assert lpips(one, other) == pytest.approx(expected, rel=1e-5)
    assert lpips(other, one) == pytest.approx(expected, rel=1e-5)
    assert expected > 0.1


def test_distance_with_the_published_heads(files):
    published = network_file("lpips-squeeze")
    heads = torch.load(published.path, map_location="cpu", weights_only=True)
    one, other = (np.asarray(picture(seed)) for seed in (3, 4))
    expected = written_out(one, other, squeezenet_weights(), heads)
    assert LPIPS.from_files(files[0], published.path)(one, other) == pytest.approx(expected, rel=1e-5)


def test_faint_features_count_for_little(files, tmp_path):
    """Where a pixel's features are almost nothing, the small number under the root decides."""
    weights = {
        key: value * (1e-5 if key == "features.0.weight" else "bias" not in key)
        for key, value in squeezenet_weights().items()
    }
    torch.save(weights, tmp_path / "faint.pth")
    one, other = (np.asarray(picture(seed)) for seed in (6, 7))
    expected = written_out(one, other, weights, head_weights())
    assert LPIPS.from_files(tmp_path / "faint.pth", files[1])(one, other) == pytest.approx(expected, rel=1e-4)


def test_a_picture_is_not_far_from_itself(lpips):
    one = np.asarray(picture(5))
    assert lpips(one, one) == 0
    flat = np.full_like(one, 128)  # features of zero length, where only the small number keeps the quotient finite
    assert np.isfinite(lpips(one, flat))


def test_pictures_of_two_sizes_are_refused(lpips):
    with pytest.raises(InputError) as caught:
        lpips(np.asarray(picture(1)), np.asarray(picture(1, (48, 65))))
    assert caught.value.code == "picture.sizes"


def test_nothing_is_drawn_to_load(files):
    before = torch.get_rng_state()
    LPIPS.from_files(*files)
    assert torch.equal(before, torch.get_rng_state())


def test_a_backbone_that_is_not_whole_is_refused(files, tmp_path):
    weights = squeezenet_weights()
    for name, changed in {
        "missing": {key: value for key, value in weights.items() if key != "features.7.squeeze.bias"},
        "more": weights | {"features.13.weight": torch.zeros(1)},
        "shape": weights | {"features.0.weight": torch.zeros(96, 3, 7, 7)},
    }.items():
        torch.save(changed, tmp_path / name)
        with pytest.raises(WeightsError, match=r"SqueezeNet 1\.1"):
            LPIPS.from_files(tmp_path / name, files[1])


def test_heads_of_another_network_are_refused(files, tmp_path):
    heads = head_weights()
    for name, changed in {
        "five": dict(list(heads.items())[:5]),
        "shape": heads | {"lin0.model.1.weight": torch.zeros(1, 96, 1, 1)},
        "backbone": squeezenet_weights(),
    }.items():
        torch.save(changed, tmp_path / name)
        with pytest.raises(WeightsError, match="heads of LPIPS"):
            LPIPS.from_files(files[0], tmp_path / name)


@pytest.mark.parametrize("data", [None, b"", b"no weights", [1, 2], {"epoch": 7}])
def test_a_file_that_holds_no_weights_is_refused(files, tmp_path, data):
    path = tmp_path / "file.pth"
    if isinstance(data, bytes):
        path.write_bytes(data)
    elif data is not None:
        torch.save(data, path)
    with pytest.raises(WeightsError, match=r"file\.pth"):
        LPIPS.from_files(path, files[1])
