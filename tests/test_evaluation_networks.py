"""The networks' files: downloaded once, taken up, checked to the last byte, or carried by hand; over real sockets."""

from __future__ import annotations

import hashlib

import pytest
from huggingface_hub import constants

from catvton.errors import InputError, WeightsError
from catvton.evaluation import networks
from catvton.evaluation.networks import NETWORKS, Networks, network_file
from tests.fake_hub import FakeHub
from tests.hub_world import noise
from tests.tiny_metrics import install, publish

NAME, DATA = "inception-2015-12-05.pth", noise(11, 300_000)  # served like weights: by way of a second server
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(monkeypatch, tmp_path):
    with FakeHub({"maker/nets": {NAME: DATA}}) as running:
        running.point_here(monkeypatch, token_file=tmp_path / "no token")
        url = f"{running.url}/maker/nets/resolve/main/{NAME}"
        publish(monkeypatch, "inception", url=url, sha256=SHA256, size=len(DATA))
        yield running


def place(root):
    return root / networks.FOLDER / "inception-2015-12-05.pt"


def test_a_file_is_downloaded_once(server, tmp_path):
    told = []

    class Bar:
        def __init__(self, *about):
            told.append(about)

        def __enter__(self):
            return told.append

        def __exit__(self, *_):
            pass

    found = network_file("inception", root=tmp_path, progress=Bar)
    assert (found.path, found.sha256) == (place(tmp_path), SHA256)
    assert found.path.read_bytes() == DATA
    assert found.url == NETWORKS["inception"].url
    assert told[0] == ("inception-2015-12-05.pt", len(DATA), 0) and sum(told[1:]) == len(DATA)
    server.forget()
    assert network_file("inception", root=tmp_path) == found
    assert server.requests == []


def test_a_download_that_broke_off_is_taken_up(server, tmp_path):
    server.die_after = 100_000
    with pytest.raises(WeightsError, match=NAME.removesuffix("h")):
        network_file("inception", root=tmp_path)
    assert not place(tmp_path).exists()
    server.die_after = None
    server.forget()
    assert network_file("inception", root=tmp_path).path.read_bytes() == DATA
    assert server.sent[NAME] == len(DATA) - 100_000


def test_a_file_that_arrives_damaged_is_not_kept(server, tmp_path):
    server.corrupt.add(NAME)
    with pytest.raises(WeightsError, match="arrived damaged"):
        network_file("inception", root=tmp_path)
    assert [path.name for path in place(tmp_path).parent.iterdir()] == []


def test_a_server_that_refuses_is_quoted(server, tmp_path):
    server.answer = 503
    with pytest.raises(WeightsError, match="503"):
        network_file("inception", root=tmp_path)


def test_without_a_network_the_text_says_what_to_put_where(server, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError) as caught:
        network_file("inception", root=tmp_path)
    for part in ("HF_HUB_OFFLINE", NETWORKS["inception"].url, str(place(tmp_path).parent), place(tmp_path).name):
        assert part in str(caught.value)
    assert not isinstance(caught.value, InputError)
    place(tmp_path).parent.mkdir(exist_ok=True)
    place(tmp_path).write_bytes(DATA)  # carried by hand
    assert network_file("inception", root=tmp_path).sha256 == SHA256
    assert server.requests == []


def test_a_server_that_is_not_there_is_named(tmp_path, monkeypatch, server):
    publish(monkeypatch, "inception", url="http://127.0.0.1:9/inception.pt")
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:9"):
        network_file("inception", root=tmp_path)


def test_another_file_in_its_place_is_refused(server, tmp_path):
    place(tmp_path).parent.mkdir()
    place(tmp_path).write_bytes(DATA[:-1] + b"?")
    with pytest.raises(WeightsError, match=f"not {SHA256}"):
        network_file("inception", root=tmp_path)
    assert place(tmp_path).exists() and server.requests == []


def test_the_operators_models_folder_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("CATVTON_MODELS_DIR", str(tmp_path / "mine"))
    assert network_file("inception").path == place(tmp_path / "mine")


def test_the_heads_come_with_torchmetrics_and_are_the_published_ones(tmp_path):
    found = network_file("lpips-squeeze", root=tmp_path)
    assert found.path.name == "squeeze.pth" and found.sha256.startswith("4a5350f2")
    assert list(tmp_path.iterdir()) == []


def test_the_published_files_are_known_to_the_last_byte():
    assert NETWORKS["inception"].url.endswith(NETWORKS["inception"].file)
    name = NETWORKS["squeezenet"].file  # torchvision's names carry the beginning of their sha256
    assert NETWORKS["squeezenet"].sha256.startswith(name.removesuffix(".pth").partition("-")[2])
    assert all(len(wanted.sha256) == 64 and wanted.size > 0 for wanted in NETWORKS.values())


def test_unpaired_figures_need_inception_alone(monkeypatch, tmp_path):
    here = Networks(device="cpu", root=install(monkeypatch, tmp_path))
    assert list(here.files(paired=False)) == ["inception"]
    assert list(here.files(paired=True)) == ["inception", "squeezenet", "lpips-squeeze"]
    assert here.files(paired=True)["squeezenet"].path.parent == tmp_path / networks.FOLDER
    assert here.inception is here.inception and here.lpips is here.lpips
