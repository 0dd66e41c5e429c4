"""`DensePose` from folder to label map, with networks small enough to run in milliseconds."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

import densepose
from densepose import DensePose, DensePoseError, Instance, Surface
from densepose.errors import ConfigError
from tests import densepose_tiny as tiny


@pytest.fixture(scope="module")
def model() -> DensePose:
    return tiny.model()


@pytest.fixture(scope="module")
def embedding_model() -> DensePose:
    return tiny.model(tiny.EMBEDDING)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, densepose; print(*[name for name in ('torch', 'cv2', 'yaml', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(densepose.__file__).parent.parent, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.split() == []


def test_public_names_are_there():
    assert set(densepose.__all__) <= set(dir(densepose))
    for name in densepose.__all__:
        assert getattr(densepose, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        densepose.nothing  # noqa: B018


def test_everybody_in_a_photo(model):
    photo = tiny.photo()
    people = model.instances(photo)
    assert len(people) > 3
    assert [person.score for person in people] == sorted((person.score for person in people), reverse=True)
    for person in people:
        assert isinstance(person, Instance)
        assert 0.6 < person.score <= 1
        left, top, right, bottom = person.box
        assert 0 <= left < right <= photo.width
        assert 0 <= top < bottom <= photo.height
        assert person.labels.dtype == np.uint8
        assert person.labels.shape == (photo.height, photo.width)
        assert person.labels.max() <= 24
        rows, columns = np.nonzero(person.labels)
        assert int(top) <= rows.min()
        assert rows.max() < bottom
        assert int(left) <= columns.min()
        assert columns.max() < right
    assert len({person.labels.tobytes() for person in people}) > 3


def test_the_label_map_is_the_top_scoring_person_s(model):
    labels = model(tiny.photo())
    assert labels.any()
    np.testing.assert_array_equal(labels, model.instances(tiny.photo())[0].labels)


def test_at_most(model):
    everybody = model.instances(tiny.photo())
    few = model.instances(tiny.photo(), at_most=2)
    assert [person.box for person in few] == [person.box for person in everybody[:2]]
    assert model.instances(tiny.photo(), at_most=0) == ()


def test_nobody():
    model = tiny.model(min_score=1.0)
    labels = model(tiny.photo())
    assert labels.dtype == np.uint8
    assert labels.shape == (90, 60)
    assert not labels.any()
    assert model.instances(tiny.photo()) == ()


@pytest.mark.parametrize("min_score", [-0.1, 1.1, float("nan")])
def test_an_impossible_min_score(model, min_score):
    with pytest.raises(DensePoseError, match="min_score must be from 0 to 1"):
        DensePose(model.network, min_score=min_score)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_mode(model, mode):
    photo = tiny.photo() if mode == "I;16" else tiny.photo().convert(mode)
    photo = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 200) if mode == "I;16" else photo
    assert model(photo).shape == (90, 60)
    np.testing.assert_array_equal(model(photo), model(photo.convert("RGB")))


@pytest.mark.parametrize("tree", [tiny.RESNET, tiny.HRNET], ids=["resnet", "hrnet"])
@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (33, 77), (1025, 700)])
def test_every_size(tree, size):
    labels = tiny.model(tree)(tiny.photo(*size))
    assert labels.shape == size[::-1]
    assert labels.dtype == np.uint8


def test_a_large_photo_is_answered_in_its_own_pixels(model):
    photo = tiny.photo(1400, 2100)
    (person,) = model.instances(photo, at_most=1)
    assert person.labels.shape == (2100, 1400)
    rows, columns = np.nonzero(person.labels)
    reach = 2100 / 1024  # of a pixel of the reduced photo
    assert person.box[0] - reach <= columns.min() <= columns.max() <= person.box[2] + reach
    assert person.box[1] - reach <= rows.min() <= rows.max() <= person.box[3] + reach
    np.testing.assert_array_equal(model(photo), person.labels)


def test_several_photos_at_once(model):
    sizes = [(60, 90), (90, 60), (60, 90), (60, 90), (61, 90), (60, 90)]
    photos = [tiny.photo(*size, seed=n) for n, size in enumerate(sizes)]
    together = model.batch(photos, size=3)
    assert [labels.shape for labels in together] == [size[::-1] for size in sizes]
    for photo, labels in zip(photos, together, strict=True):
        assert (labels == model(photo)).mean() > 0.999  # sums in another order may move a tie
    assert len({labels.tobytes() for labels in together}) == len(photos)
    assert model.batch([]) == []


def test_the_same_photo_twice_and_from_many_threads_is_the_same(model):
    expected = model(tiny.photo())
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as threads:
        for labels in threads.map(model, [tiny.photo()] * 8):
            np.testing.assert_array_equal(labels, expected)
    assert torch.equal(torch.get_rng_state(), before)


class Watch(TorchDispatchMode):
    """Notes the types of all tensors made, and the operations that made them."""

    def __init__(self):
        super().__init__()
        self.dtypes, self.names = set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        results = result if isinstance(result, (tuple, list)) else (result,)
        self.dtypes |= {value.dtype for value in results if isinstance(value, torch.Tensor)}
        self.names.add(func.__name__.partition(".")[0])
        return result


@pytest.mark.parametrize("tree", [tiny.RESNET, tiny.HRNET], ids=["resnet", "hrnet"])
def test_nothing_mps_lacks(tree):
    """float64 does not exist there, nor do these operations (or only for small arguments)."""
    with Watch() as watch:
        tiny.model(tree).instances(tiny.photo())
    assert torch.float32 in watch.dtypes
    assert torch.float64 not in watch.dtypes
    assert watch.names > {"conv2d", "index_select", "sort"}
    lacking = {"topk", "grid_sampler", "adaptive_avg_pool2d", "embedding_bag", "nms", "roi_align"}
    assert not watch.names & (lacking | {f"_{name}" for name in lacking})


def test_from_a_folder_as_published(tmp_path, model):
    folder = tiny.write_folder(tmp_path / "folder")
    loaded = DensePose.from_pretrained(folder, device="cpu", min_score=0.6)
    np.testing.assert_array_equal(loaded(tiny.photo()), model(tiny.photo()))
    assert not loaded.network.training
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    assert DensePose.from_pretrained(folder).min_score == 0.8


def test_which_config(tmp_path):
    folder = tiny.write_folder(tmp_path / "folder")
    with pytest.raises(ConfigError, match=r"no config nowhere\.yaml"):
        DensePose.from_pretrained(folder, config="nowhere.yaml")
    assert DensePose.from_pretrained(folder, config="Base-Tiny.yaml", min_score=0.6)(tiny.photo()).any()
    with pytest.raises(DensePoseError, match=r"model_final_0\.pkl does not fit this config"):
        DensePose.from_pretrained(folder, config="HRNet/densepose_rcnn_HRFPN_HRNet_w32_s1x.yaml")  # a published one
    (folder / "other.yaml").write_text("VERSION: 2")
    with pytest.raises(ConfigError, match=r"several configs \(other\.yaml, tiny\.yaml\)"):
        DensePose.from_pretrained(folder)
    for path in folder.glob("*.yaml"):
        path.unlink()
    with pytest.raises(ConfigError, match="has no config"):
        DensePose.from_pretrained(folder)


def test_surface_embeddings(embedding_model):
    people = embedding_model.embeddings(tiny.photo(), at_most=3)
    assert len(people) == 3
    for person in people:
        assert isinstance(person, Surface)
        assert person.embedding.shape == (3, 56, 56)
        assert person.coarse.shape == (2, 56, 56)
        assert person.embedding.dtype == person.coarse.dtype == np.float32
        assert person.inside.shape == (56, 56)
        np.testing.assert_array_equal(person.inside, person.coarse[1] > person.coarse[0])
        assert person.embedding.std() > 0
    assert people[0].score >= people[1].score


def test_embeddings_come_from_the_checkpoint_s_own_layer(embedding_model):
    """A bias goes through the enlargement unchanged, so it shows where a tensor of the file ends up."""
    before = embedding_model.embeddings(tiny.photo(), at_most=1)[0]
    layer = embedding_model.network.roi_heads.densepose_predictor.embed_lowres
    layer.bias.data += torch.tensor([0.0, 1.0, -2.0])
    try:
        after = embedding_model.embeddings(tiny.photo(), at_most=1)[0]
    finally:
        layer.bias.data -= torch.tensor([0.0, 1.0, -2.0])
    moved = (after.embedding - before.embedding).reshape(3, -1)
    np.testing.assert_allclose(moved, np.array([[0.0], [1.0], [-2.0]]) * np.ones_like(moved), atol=1e-5)
    np.testing.assert_array_equal(after.coarse, before.coarse)


def test_the_embeddings_of_a_mesh(embedding_model):
    state = tiny.weights(tiny.EMBEDDING)
    features, projection = (
        state[f"roi_heads.embedder.embedder_cube.{name}"].numpy() for name in ("features", "embeddings")
    )
    points = features @ projection
    expected = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(embedding_model.vertices("cube"), expected, atol=1e-6)
    with pytest.raises(DensePoseError, match="no embeddings of a mesh called 'sphere'"):
        embedding_model.vertices("sphere")


def test_charts_and_embeddings_are_not_mixed_up(model, embedding_model):
    with pytest.raises(DensePoseError, match="predicts charts"):
        model.embeddings(tiny.photo())
    with pytest.raises(DensePoseError, match="no embeddings of a mesh"):
        model.vertices("cube")
    for ask in (embedding_model, embedding_model.instances):
        with pytest.raises(DensePoseError, match="predicts embeddings"):
            ask(tiny.photo())
