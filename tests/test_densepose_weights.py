"""Checkpoints: published pickles are read as data and never run, and every tensor is counted."""

from __future__ import annotations

import collections
import pickle
import pickletools
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from densepose import DensePose, convert
from densepose.errors import WeightsFileError
from densepose.pickled import read_pickle
from densepose.weights import find_weights, load_strictly, read_state
from tests import densepose_tiny as tiny

ARRAYS = {
    "float": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "columns first": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "half": np.array([0.5, -2], np.float16),
    "counter": np.array(12345, np.int64),
    "switch": np.array([True, False]),
    "nothing": np.zeros((0, 4), np.float32),
    "big-endian": np.array([1.5, -3e10], ">f4"),
}
NUMPY_1, NUMPY_2 = b"numpy.core.multiarray", b"numpy._core.multiarray"

# What Python 2 wrote: raw bytes as strings. One float32 array, [1.0, -2.0], under the key "w".
PYTHON_2 = (
    b"\x80\x02}U\x05model}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89T\x08\x00\x00\x00" + np.array([1, -2], "<f4").tobytes() + b"tbss."
)


def published(content, module: bytes = NUMPY_2, protocol: int = 2) -> bytes:
    """A pickle that names numpy's module as its version 1 or 2 does."""
    data = pickle.dumps(content, protocol=protocol)
    found = next(name for name in (NUMPY_2, NUMPY_1) if name in data)
    return data.replace(found, module)


@pytest.fixture
def write(tmp_path):
    def write(data: bytes, name: str = "model_final_0.pkl"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("module", [NUMPY_1, NUMPY_2])
@pytest.mark.parametrize("kind", [dict, collections.OrderedDict])
@pytest.mark.parametrize("protocol", [0, 2, 3])
def test_arrays_by_either_numpy(write, module, kind, protocol):
    data = published({"model": kind(ARRAYS), "__author__": "Detectron2 Model Zoo"}, module, protocol)
    assert module in data
    found = read_pickle(write(data))
    assert list(found) == list(ARRAYS)
    for key, expected in ARRAYS.items():
        assert found[key].dtype == expected.dtype, key
        np.testing.assert_array_equal(found[key], expected)


def test_arrays_by_python_2(write):
    assert read_pickle(write(PYTHON_2))["w"].tolist() == [1, -2]


def test_tensors_are_float32_in_this_machine_s_byte_order(write):
    state = read_state(write(published({"model": ARRAYS})))
    assert state["big-endian"].tolist() == [1.5, np.float32(-3e10)]
    assert state["half"].dtype == state["columns first"].dtype == torch.float32
    assert state["counter"].item() == 12345
    assert state["columns first"].tolist() == [[0, 1, 2], [3, 4, 5]]


class Malicious:
    """Something that makes a file, or whatever else, when it is unpickled the ordinary way."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["beside the weights", "among them", "alone"])
def test_a_file_that_would_run_something_is_refused_and_not_run(write, tmp_path, protocol, place):
    marker = tmp_path / "was here"
    attack = Malicious(open, str(marker), "w")
    content = {"beside the weights": {"model": ARRAYS, "x": attack}, "among them": {"model": {"w": attack}}}
    data = pickle.dumps(content.get(place, attack), protocol=protocol)
    pickle.loads(data)
    assert marker.exists()  # the attack works on those who run it
    marker.unlink()
    with pytest.raises(WeightsFileError, match=r"model_final_0\.pkl: it asks for (io|__builtin__)\.open"):
        read_pickle(write(data))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (Malicious(eval, "1 + 1"), "asks for builtins.eval|asks for __builtin__.eval"),
        (Malicious(getattr, "a", "upper"), "asks for .*getattr"),
        (Malicious(np.load, "file.npy"), "asks for numpy.load"),
        (Malicious(np.ndarray, (2, 2)), "calls numpy.ndarray"),
        (Malicious(random.Random, 1), "asks for random.Random"),
        (np.array([object()], dtype=object), "asks for .*object|which are no plain numbers"),
        (np.array([{}], dtype=object), "which are no plain numbers"),
        (np.zeros(2, [("a", "f4")]), "which are no plain numbers"),
        (np.array(["text"]), "which are no plain numbers"),
        (np.float32(1), "asks for .*scalar"),
        (Malicious(collections.OrderedDict, state={"__class__": 1}), "something else than arrays"),
    ],
)
def test_what_else_is_not_an_array(write, attack, message):
    with pytest.raises(WeightsFileError, match=message):
        read_pickle(write(pickle.dumps({"model": {"w": attack}}, protocol=2)))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x80\x02c_codecs\nencode\nU\x01aU\x03zip\x86R.", "encodes text as 'zip'"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x05arrayU\x01xsb.", "damaged"),  # rewrites a class
        (b"\x80\x02cnumpy\nndarray\n}U\x08__init__U\x01xsb.", "damaged"),
        (b"\x80\x02cnumpy.core.multiarray\n__dict__\n.", "asks for numpy.core.multiarray.__dict__"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.", "asks for numpy.ndarray.dumps"),
        (b"\x80\x02U\x04nameQ.", "refers to something outside itself"),
        (b"\x80\x02\x82\x01.", "damaged"),  # an extension code nobody registered
        (b"\x80\x02}.", "no arrays under 'model'"),
        (b"\x80\x02K\x01.", "no arrays under 'model'"),
        (b"\x80\x02}K\x01K\x02s.", "something else than arrays at 1"),
        (PYTHON_2.replace(b"K\x02\x85cnumpy\ndtype", b"K\x03\x85cnumpy\ndtype"), r"shape \(3,\) with 8 bytes"),
        (PYTHON_2.replace(b"U\x01<", b"U\x01?"), "byte order"),
        (b"", "damaged"),
        (b"PK\x03\x04 a zip file", "something outside itself"),
        (b"GIF89a", "damaged"),
    ],
)
def test_programs_that_use_the_few_known_names_badly(write, program, message):
    with pytest.raises(WeightsFileError, match=message):
        read_pickle(write(program))


def test_a_file_cut_short_is_refused(write):
    data = published({"model": ARRAYS})
    for end in range(0, len(data), 7):
        with pytest.raises(WeightsFileError):
            read_pickle(write(data[:end]))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused_but_never_anything_else(tmp_path_factory, changes):
    data = bytearray(published({"model": ARRAYS}))
    for place, replacement in changes:
        start = place % len(data)
        data[start : start + len(replacement)] = replacement
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(data)
    try:
        found = read_pickle(path)
    except WeightsFileError:
        return
    assert all(isinstance(value, np.ndarray) for value in found.values())


def test_the_fixtures_are_of_protocol_2():
    for module in (NUMPY_1, NUMPY_2):
        operations = list(pickletools.genops(published({"model": ARRAYS}, module)))
        assert (operations[0][0].name, operations[0][1]) == ("PROTO", 2)
        assert max(operation.proto for operation, _, _ in operations) == 2


def test_missing_unexpected_and_misshapen_tensors_are_counted_and_named():
    state = tiny.weights(tiny.RESNET)
    missing = [key for key in state if "fpn_output" in key]
    for key in missing:
        del state[key]
    state["backbone.extra"] = torch.zeros(1)
    state["roi_heads.box_head.fc1.bias"] = torch.zeros(17)
    with pytest.raises(WeightsFileError) as error:
        load_strictly(tiny.network(tiny.RESNET), state, source="some.pkl")
    text = str(error.value)
    assert text.startswith("some.pkl does not fit this config")
    assert f"{len(missing)} missing: backbone.fpn_output2" in text
    assert f"and {len(missing) - 4} more" in text
    assert "1 unexpected: backbone.extra" in text
    assert "1 of another shape: roi_heads.box_head.fc1.bias (17,) for (16,)" in text


def test_one_missing_tensor_is_enough():
    for tree in (tiny.RESNET, tiny.HRNET, tiny.EMBEDDING):
        state = tiny.weights(tree)
        del state["roi_heads.decoder.predictor.bias"]
        with pytest.raises(WeightsFileError, match=r"1 missing: roi_heads\.decoder\.predictor\.bias"):
            load_strictly(tiny.network(tree), state, source="x")


def test_constants_of_older_files_are_ignored():
    state = tiny.weights(tiny.RESNET)
    extra = {
        "pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.zeros(3, 1, 1),
        "proposal_generator.anchor_generator.cell_anchors.0": torch.zeros(3, 4),
        "anchor_generator.cell_anchors.4": torch.zeros(3, 4),
    }  # fmt: skip
    network = tiny.network(tiny.RESNET)
    load_strictly(network, state | extra, source="x")
    assert all(torch.equal(network.state_dict()[key], value) for key, value in state.items())


def test_step_counters_are_no_weights():
    state = {key: value for key, value in tiny.weights(tiny.HRNET).items() if not key.endswith("num_batches_tracked")}
    network = tiny.network(tiny.HRNET)
    load_strictly(network, state, source="x")
    assert not any(value.is_meta for value in network.state_dict().values())


def test_a_converted_file_has_the_same_weights_and_is_preferred(tmp_path):
    folder = tiny.write_folder(tmp_path / "published")
    pickled = find_weights(folder)
    converted = convert(pickled)
    assert converted == find_weights(folder) == folder / "model_final_0.safetensors"
    before, after = read_state(pickled), read_state(converted)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    with safe_open(converted, "pt") as file:
        assert file.metadata()["source"] == "model_final_0.pkl"
    expected = DensePose.from_pretrained(folder, weights="model_final_0.pkl", min_score=0.6)(tiny.photo())
    pickled.unlink()
    assert expected.any()
    assert (DensePose.from_pretrained(folder, min_score=0.6)(tiny.photo()) == expected).all()


def test_folders_without_one_weights_file(tmp_path):
    with pytest.raises(WeightsFileError, match="has no weights"):
        find_weights(tmp_path)
    for name in ("a.pkl", "b.safetensors", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsFileError, match=r"several weights files \(a\.pkl, b\.safetensors\)"):
        find_weights(tmp_path)
    assert find_weights(tmp_path, name="a.pkl").name == "a.pkl"
    with pytest.raises(WeightsFileError, match="There is no weights file"):
        find_weights(tmp_path, name="d.pkl")


def test_broken_safetensors(write, tmp_path):
    with pytest.raises(WeightsFileError, match=r"broken\.safetensors is damaged"):
        read_state(write(b"not this", "broken.safetensors"))
    for name in ("nowhere.safetensors", "nowhere.pkl"):
        with pytest.raises(WeightsFileError, match="nowhere"):
            read_state(tmp_path / name)
