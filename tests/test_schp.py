"""SCHP's files, pixels and shapes, with a small network in the real one's place; tests/conformance has the real one."""

import io
import logging
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from model import SCHP, Atr, CheckpointError, Lip, MaskError
from model.schp import DATASETS, fill, normalise, read_checkpoint
from model.schp_network import UNUSED, AugmentCE2P, BinMeans, Norm
from model.warp import Warp


class Stripes(nn.Module):
    """Logits of a quarter of the input's size: class k is best in the k-th of eighteen columns. Keeps its inputs."""

    def __init__(self, classes=18):
        super().__init__()
        self.centres = nn.Parameter((torch.arange(classes) + 0.5) / classes)
        self.inputs = []

    def forward(self, x):
        self.inputs.append(x)
        rows, columns = (-(-size // 4) for size in x.shape[-2:])
        across = (torch.arange(columns) + 0.5) / columns
        planes = -((across - self.centres[:, None]) ** 2)
        return planes[None, :, None].expand(len(x), -1, rows, -1) + 0.1 * x.mean((1, 2, 3), keepdim=True)


def parser(dataset="atr"):
    return SCHP(Stripes(len(DATASETS[dataset].labels)), dataset)


def photo(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


class TestPixels:
    def test_red_is_fed_first_and_meets_blues_statistics(self):
        """As the published demo does with PIL pictures: see `MEAN`. A red photo is (1, 0, 0) before normalisation."""
        net = parser()
        net(Image.new("RGB", (40, 40), (255, 0, 0)))
        red, green, blue = net.network.inputs[0][0, :, 256, 256].tolist()
        assert red == pytest.approx((1 - 0.406) / 0.225)
        assert green == pytest.approx((0 - 0.456) / 0.224)
        assert blue == pytest.approx((0 - 0.485) / 0.229)

    def test_around_the_photo_it_is_black(self):
        net = parser()
        net(Image.new("RGB", (100, 50), "white"))
        seen = net.network.inputs[0][0]
        black = normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))[0]
        assert torch.equal(seen[:, :120], black.expand(3, 120, 512))
        assert torch.equal(seen[:, -120:], black.expand(3, 120, 512))
        assert (seen[:, 256] > black[:, 0]).all()

    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1"])
    def test_any_mode(self, mode):
        image = photo(30, 20).convert(mode)
        before = image.tobytes()
        assert parser()(image).shape == (20, 30)
        assert image.tobytes() == before

    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 900), (513, 511)])
    def test_any_size(self, size):
        labels = parser()(photo(*size))
        assert labels.shape == size[::-1] and labels.dtype == np.uint8

    @pytest.mark.parametrize(("dataset", "side", "kind"), [("atr", 512, Atr), ("lip", 473, Lip)])
    def test_the_two_sets_of_labels(self, dataset, side, kind):
        net = parser(dataset)
        labels = net(photo(400, 400))
        assert net.network.inputs[0].shape == (1, 3, side, side)
        assert np.unique(labels).tolist() == list(range(len(kind)))

    def test_labels_are_the_best_logits(self):
        image = photo(61, 83)
        logits, labels = parser().logits(image), parser()(image)
        assert logits.shape == (18, 83, 61) and logits.dtype == np.float32
        assert (logits.argmax(0) == labels).all()
        assert (np.diff(labels.astype(int), axis=1) >= 0).all()  # the stripes stand, from left to right

    def test_a_batch_is_one_pass_and_each_photo_as_alone(self):
        images = [photo(40, 60, 1), photo(90, 20, 2), photo(7, 7, 3)]
        net = parser()
        together = net.batch(images)
        assert [x.shape[0] for x in net.network.inputs] == [3]
        assert all((labels == parser()(image)).all() for labels, image in zip(together, images, strict=True))
        assert net.batch([]) == []

    def test_no_gradients(self):
        net = parser()
        net(photo(9, 9))
        assert net.network.inputs[0].is_inference()
        assert not torch.is_inference_mode_enabled()


class TestWarp:
    @given(width=st.integers(2, 900), height=st.integers(2, 900), side=st.sampled_from([473, 512]))
    def test_corners_lie_on_each_other(self, width, height, side):
        """A ramp over the square, brought to the photo, tells where each photo pixel lies in it."""
        across = np.broadcast_to(np.arange(side, dtype=np.float32), (side, side))
        x, y = (Warp((width, height), side).back(np.ascontiguousarray(ramp)) for ramp in (across, across.T))
        assert x.shape == y.shape == (height, width)
        longer, scale = (x[0] if width >= height else y[:, 0]), (side - 1) / (max(width, height) - 1)
        inner = longer[1:-1]
        assert np.allclose(inner, scale * np.arange(1, len(longer) - 1), atol=0.03)
        for ramp in (x[height // 2], y[:, width // 2]):
            assert np.allclose(ramp[1:-1] + ramp[1:-1][::-1], side - 1, atol=0.06)  # in the middle, both ways


class TestNetwork:
    @pytest.mark.parametrize("bins", [1, 2, 3, 6])
    @pytest.mark.parametrize("size", [(32, 32), (30, 30), (7, 11)])
    def test_bins_are_adaptive_pooling(self, bins, size):
        x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(BinMeans(bins)(x), F.adaptive_avg_pool2d(x, bins))

    def test_normalisation_is_pytorchs_in_evaluation(self):
        theirs = nn.BatchNorm2d(4).eval()
        state = {key: torch.rand(4) + 0.5 for key in ("weight", "bias", "running_mean", "running_var")}
        state["weight"][1] *= -1
        theirs.load_state_dict(state, strict=False)
        own = Norm(4)
        own.load_state_dict(state)
        x = torch.randn(2, 4, 3, 3)
        torch.testing.assert_close(own(x), theirs(x))


def official(dataset="atr"):
    """Tensors with the official names and shapes; each is one number seen many times, so that files are small."""
    classes = len(DATASETS[dataset].labels)
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in AugmentCE2P(classes).state_dict().items()}
    heads = ((classes, 256, 1, 1), (classes,), (2, 256, 3, 3), (2,), (2, 6, 1, 1), (2,))
    shapes |= dict(zip(UNUSED, heads, strict=True))
    return {f"module.{key}": torch.full((1,), 0.5).expand(shape) for key, shape in shapes.items()}


def saved(content, folder, **options):
    path = folder / "schp.pth"
    torch.save(content, path, **options)
    return path


class TestFiles:
    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("dataset", ["atr", "lip"])
    def test_an_official_file(self, tmp_path, caplog, dataset, zipped):
        """Both of PyTorch's formats: the published files are of the older one's time."""
        content = {"epoch": 150, "state_dict": official(dataset)}
        chance = torch.get_rng_state()
        with caplog.at_level(logging.INFO, logger="model.schp"):
            net = SCHP.from_checkpoint(saved(content, tmp_path, _use_new_zipfile_serialization=zipped), dataset=dataset)
        assert torch.equal(torch.get_rng_state(), chance)
        assert sorted(net.unused) == sorted(UNUSED)
        assert "6 tensors of heads for training are not used" in caplog.text
        assert not net.network.training
        assert not any(p.requires_grad for p in net.network.parameters())
        values = net.network.state_dict().values()
        assert all(v.device.type == "cpu" and v.dtype == torch.float32 and v.flatten()[0] == 0.5 for v in values)

    def test_the_inner_mapping_alone_half_precision_and_no_heads(self, tmp_path):
        heads = tuple(f"module.{name}" for name in UNUSED)
        state = {key.removeprefix("module."): value.half() for key, value in official().items() if key not in heads}
        net = SCHP.from_checkpoint(saved(state, tmp_path))
        assert net.unused == ()
        assert all(value.dtype == torch.float32 for value in net.network.state_dict().values())

    def test_counters_of_training_steps_are_passed_over(self, tmp_path):
        state = official() | {"module.bn1.num_batches_tracked": torch.tensor(7)}
        assert "bn1.num_batches_tracked" in SCHP.from_checkpoint(saved(state, tmp_path)).unused

    def test_the_other_data_sets_file(self, tmp_path):
        path = saved({"state_dict": official("lip")}, tmp_path)
        with pytest.raises(CheckpointError, match=r"as ATR, 18 labels.*fushion.3.weight \[20, 256, 1, 1\] for \[18"):
            SCHP.from_checkpoint(path, dataset="atr")

    def test_missing_and_unexpected_tensors_are_named_and_counted(self, tmp_path):
        state = official()
        for i in range(4):
            del state[f"module.layer3.{i}.conv2.weight"]
        state["module.layer5.0.conv1.weight"] = torch.zeros(1)
        with pytest.raises(CheckpointError) as caught:
            SCHP.from_checkpoint(saved({"state_dict": state}, tmp_path))
        message = str(caught.value)
        assert "schp.pth" in message
        assert "4 missing: layer3.0.conv2.weight, " in message and "and 1 more" in message
        assert "1 unexpected: layer5.0.conv1.weight" in message
        assert not isinstance(caught.value, MaskError)  # no other photo would help

    def test_a_refused_file_changes_nothing(self):
        network = AugmentCE2P(18)
        for value in network.state_dict().values():
            value.fill_(0.25)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        state = {key.removeprefix("module."): value for key, value in official().items()}
        del state["fushion.3.bias"]
        with pytest.raises(CheckpointError, match=r"1 missing: fushion\.3\.bias"):
            fill(network, state)
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

    def test_no_such_file(self, tmp_path):
        with pytest.raises(CheckpointError, match=r"schp\.pth cannot be read"):
            SCHP.from_checkpoint(tmp_path / "schp.pth")

    @pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": 1}}, {"state_dict": None}, 3, torch.zeros(2)])
    def test_something_else(self, tmp_path, content):
        with pytest.raises(CheckpointError, match="holds no weights"):
            read_checkpoint(saved(content, tmp_path))

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
    def test_a_cut_file(self, tmp_path, share, zipped):
        path = saved({"state_dict": official()}, tmp_path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_checkpoint(path)

    @pytest.mark.parametrize("content", [b"x", b"\0" * 200, b"<html>404</html>", b"version https://git-lfs"])
    def test_no_weights_at_all(self, tmp_path, content):
        (tmp_path / "schp.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_checkpoint(tmp_path / "schp.pth")

    @pytest.mark.filterwarnings("ignore:Detected pickle protocol")
    @pytest.mark.parametrize("zipped", [True, False])
    def test_damaged_bytes_are_refused_or_go_unseen(self, tmp_path, zipped):
        """Anything else that PyTorch's reader raises would be an error without a sentence."""
        content = {"state_dict": {f"module.{i}": torch.full((2,), 0.5) for i in range(3)}}
        path = saved(content, tmp_path, _use_new_zipfile_serialization=zipped)
        whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
        for _ in range(400):
            damaged = bytearray(whole)
            damaged[rng.integers(len(whole))] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                read_checkpoint(path)
            except CheckpointError:
                refused += 1
        assert 50 < refused < 400

    @pytest.mark.parametrize("plain", [True, False])
    def test_a_file_that_runs_code_is_refused_and_does_not_run(self, tmp_path, plain):
        path = tmp_path / "schp.pth"
        if plain:
            path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol=2))
        else:
            torch.save({"state_dict": Trap(tmp_path / "sprung")}, path)
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_checkpoint(path)
        assert not (tmp_path / "sprung").exists()
        pickle.load(io.BytesIO(pickle.dumps(Trap(tmp_path / "sprung"))))
        assert (tmp_path / "sprung").exists()  # the trap is one

    def test_an_unknown_data_set(self, tmp_path):
        with pytest.raises(ValueError, match="atr, lip"):
            SCHP.from_checkpoint(tmp_path / "schp.pth", dataset="pascal")


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.path),)
