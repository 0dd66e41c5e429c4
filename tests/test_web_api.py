"""gradio_client against a live server: what other programs get, and what they are told when something is wrong."""

import json
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.gradio_clients import connect, photos_in
from tests.tiny import tiny_tryon
from tests.web_fakes import FakeTryOn, person_picture, saved, serving


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def server(tryon, tmp_path_factory):
    with serving(tryon, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return connect(server.url, downloads=tmp_path_factory.mktemp("client"))


@pytest.fixture
def pictures(tmp_path):
    return photos_in(tmp_path)


def files_in(server):
    return [path for path in server.studio.folder.path.rglob("*") if path.is_file()]


def read(path):
    with Image.open(path) as image:
        return image.format, np.asarray(image)


def test_the_endpoints_are_three_and_every_option_has_a_default(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/tryon", "/mask", "/engines"}
    parameters = endpoints["/tryon"]["parameters"]
    optional = [each for each in parameters if each["parameter_has_default"]]
    defaults = {each["parameter_name"]: each["parameter_default"] for each in optional}
    assert defaults == {"part": "upper", "mask": None, "steps": None, "guidance": None, "seed": 42,
                        "show": "result only", "engine": None, "size": None}
    assert [each["parameter_name"] for each in parameters][:2] == ["person", "garment"]


def test_each_parameter_has_its_type_and_its_description(server):
    endpoints = httpx.get(server.url + "gradio_api/info", timeout=300).json()["named_endpoints"]
    for name in ("/tryon", "/mask"):
        described = endpoints[name]["description"]
        types = {each["parameter_name"]: each["python_type"]["type"] for each in endpoints[name]["parameters"]}
        assert all(f"- {parameter}: " in described for parameter in types) and "/v1/docs" in described
        assert types["person"] == "filepath" and types["part"] == "str" and types["engine"] == "None | str"
    steps = "- steps: Denoising steps; left out, the engine's default. From 1 to 100."
    assert steps in endpoints["/tryon"]["description"]
    assert "One of: upper, lower, overall." in endpoints["/mask"]["description"]
    types = {each["parameter_name"]: each["python_type"]["type"] for each in endpoints["/tryon"]["parameters"]}
    assert (types["steps"], types["guidance"], types["seed"]) == ("None | int", "None | float", "int")
    assert [each["python_type"]["type"] for each in endpoints["/tryon"]["returns"]] == [
        "filepath", "dict(str, Any)"]


def test_defaults_give_a_png_with_exact_pixels_and_the_info(client, server, tryon, pictures):
    path, info = client.predict(**pictures, api_name="/tryon")
    kind, pixels = read(path)
    assert kind == "PNG" and pixels.shape == (400, 300, 3)
    same = (pixels == np.asarray(person_picture())).all(-1)
    assert same[:100].all() and same[200:].all() and not same[110:190, 100:200].any()
    assert (pixels[150, 150] == pixels[110, 90]).all()  # one colour: nothing was lossily compressed on the way
    assert info["seed"] == 42 and info["engine"] == "plain@1" and info["steps"] == 4 and info["guidance"] == 2.5
    assert set(info) >= {"job_id", "part", "size", "seconds", "flags", "notes"}
    described = httpx.get(server.url + "gradio_api/info", timeout=300).json()["named_endpoints"]["/tryon"]
    assert f"The info has {', '.join(info)}." in described["description"]
    assert set(info["seconds"]) == {"open", "generate"}


def test_options_reach_the_engine(client, tryon, pictures, tmp_path):
    mask = np.zeros((400, 300), np.uint8)
    mask[300:350, 50:100] = 255
    drawn = handle_file(saved(Image.fromarray(mask), tmp_path / "mask.png"))
    path, info = client.predict(**pictures, part="lower", mask=drawn, steps=11, guidance=0, seed=3, engine="careful",
                                api_name="/tryon")
    assert (info["part"], info["steps"], info["guidance"], info["seed"]) == ("lower", 11, 0, 3)
    assert info["engine"] == "careful@1"
    changed = (read(path)[1] != np.asarray(person_picture())).any(-1)
    assert np.array_equal(changed, mask > 0)


def test_minus_one_draws_a_seed_and_the_one_reported_gives_the_picture_again(client, pictures):
    path, info = client.predict(**pictures, seed=-1, api_name="/tryon")
    assert 0 <= info["seed"] <= 2**31 - 1
    again, _ = client.predict(**pictures, seed=info["seed"], api_name="/tryon")
    assert np.array_equal(read(path)[1], read(again)[1])


@pytest.mark.parametrize(("show", "panels"), [("result only", 1), ("input & result", 3), ("input & mask & result", 4)])
def test_show_types(client, pictures, show, panels):
    path, _ = client.predict(**pictures, show=show, api_name="/tryon")
    assert read(path)[1].shape == (400, panels * 308 - 8, 3)


def test_progress_comes_as_intermediate_answers(client, pictures):
    job = client.submit(**pictures, steps=3, api_name="/tryon")
    job.result(timeout=300)
    *before, last = job.outputs()
    assert [picture for picture, _ in before] == [None] * len(before)
    assert {"stage": "generate", "step": 3, "steps": 3} in [info for _, info in before]
    assert last[1]["steps"] == 3


def test_the_mask_endpoint(client, pictures):
    path, info = client.predict(person=pictures["person"], part="upper", api_name="/mask")
    kind, mask = read(path)
    assert kind == "PNG" and mask.shape == (400, 300) and set(np.unique(mask)) == {0, 255}
    assert info == {"part": "upper", "notes": []}


@pytest.mark.parametrize(("options", "words"), [
    ({"steps": 0}, ["Steps 0", "from 1 to 50"]),
    ({"steps": "many"}, ["Steps", "many"]),
    ({"guidance": 99}, ["Guidance 99", "from 0 to 7.5"]),
    ({"guidance": "NaN"}, ["Guidance", "NaN"]),
    ({"seed": -2}, ["Seed -2", "2147483647"]),
    ({"seed": 2**31}, ["Seed", "2147483647"]),
    ({"part": "hat"}, ["hat", "upper", "lower", "overall"]),
    ({"show": "all"}, ["all", "input & result"]),
    ({"engine": "<b>x</b>"}, ["&lt;b&gt;x", "plain"]),
    ({"person": None}, ["person photo", "missing"]),
    ({"person": "/etc/passwd"}, ["person photo", "uploaded"]),
    ({"garment": {"path": "/etc/passwd"}}, ["garment photo", "not an uploaded file"]),
    ({"garment": {"path": "https://example.org/x.png", "meta": {"_type": "gradio.FileData"}}}, ["not a link"]),
])
def test_a_wrong_option_is_answered_with_a_sentence_that_names_what_is_accepted(client, pictures, options, words):
    with pytest.raises(AppError) as caught:
        client.predict(**(pictures | options), api_name="/tryon")
    for word in words:
        assert word in str(caught.value)


def broken_pictures(folder):
    png = saved(person_picture(), folder / "whole.png").read_bytes()
    yield "truncated", png[: len(png) // 2]
    yield "fake", b"GIF89a is what this text begins with"
    yield "empty", b""
    yield "text", b"hello"
    yield "huge", png[:16] + (30000).to_bytes(4, "big") * 2 + png[24:]
    yield "tiny", saved(Image.new("RGB", (1, 1)), folder / "tiny.png").read_bytes()


def test_unusable_pictures_are_answered_in_words_and_the_server_goes_on(client, server, pictures, tmp_path):
    for name, data in broken_pictures(tmp_path):
        path = tmp_path / f"{name}.png"
        path.write_bytes(data)
        for slot in ("person", "garment"):
            with pytest.raises(AppError, match=f"{slot} photo"):
                client.predict(**(pictures | {slot: handle_file(path)}), api_name="/tryon")
    _, info = client.predict(**pictures, api_name="/tryon")
    assert info["seed"] == 42


def test_a_masks_faults_are_told(client, pictures, tmp_path):
    masks = {"empty": np.zeros((400, 300)), "full": np.full((400, 300), 255), "other": np.eye(99) * 255}
    for name, mask in masks.items():
        path = saved(Image.fromarray(mask.astype(np.uint8)), tmp_path / f"{name}.png")
        with pytest.raises(AppError, match="mask"):
            client.predict(**pictures, mask=handle_file(path), api_name="/tryon")


def test_no_person_in_the_photo_is_told(client, pictures, tmp_path):
    flat = saved(Image.new("RGB", (300, 400), "teal"), tmp_path / "flat.png")
    with pytest.raises(AppError, match="No person was found"):
        client.predict(person=handle_file(flat), garment=pictures["garment"], api_name="/tryon")


def test_a_fault_of_ours_reaches_clients_without_its_details(client, tryon, pictures, monkeypatch):
    def breaks(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(tryon, "_run", breaks)
    with pytest.raises(AppError, match="on our side") as caught:
        client.predict(**pictures, api_name="/tryon")
    assert "secret" not in str(caught.value)


def test_uploads_are_gone_after_the_request_and_answers_soon_after(client, server, pictures):
    client.predict(**pictures, api_name="/tryon")
    left = files_in(server)
    assert left and all("answers" in path.parts for path in left)
    server.studio.folder.sweep(now=time.time() + 301)
    assert files_in(server) == []


def test_clients_that_send_the_same_pictures_at_once_are_all_served(client, tryon, pictures):
    tryon.gate.clear()
    jobs = [client.submit(**pictures, steps=1, seed=seed, api_name="/tryon") for seed in range(4)]
    tryon.gate.set()
    assert sorted(job.result(timeout=300)[1]["seed"] for job in jobs) == [0, 1, 2, 3]


def test_cancelling_stops_the_model(client, server, tryon, pictures):
    tryon.gate.clear()
    tryon.started.clear()
    tryon.closing.clear()
    before = tryon.steps_done
    job = client.submit(**pictures, steps=50, api_name="/tryon")
    assert tryon.started.wait(300)
    job.cancel()
    assert tryon.closing.wait(300)
    queued = client.submit(**pictures, steps=2, seed=5, api_name="/tryon")
    wait_until(lambda: server.service.gate.waiting == 1)  # the next one begins only when the step is over
    tryon.gate.set()
    assert queued.result(timeout=300)[1]["seed"] == 5
    wait_until(lambda: tryon.steps_done == before + 3)  # one of the cancelled run, two of the next


def test_a_client_that_goes_away_stops_the_model(server, client, tryon, pictures):
    tryon.gate.clear()
    tryon.started.clear()
    tryon.closing.clear()
    before = tryon.steps_done
    with httpx.Client(base_url=server.url, timeout=300) as http:
        sent = [Path(pictures[slot]["path"]).read_bytes() for slot in ("person", "garment")]
        files = [http.post("gradio_api/upload", files={"files": ("photo.png", each)}).json()[0] for each in sent]
        data = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in files]
        data += ["upper", None, 50, None, 4, "result only", None, None]
        event = http.post("gradio_api/call/tryon", json={"data": data}).json()["event_id"]
        with http.stream("GET", f"gradio_api/call/tryon/{event}") as answer:
            assert any("generating" in line for line in answer.iter_lines())
    assert tryon.closing.wait(300)
    queued = client.submit(**pictures, steps=2, seed=6, api_name="/tryon")
    tryon.gate.set()
    queued.result(timeout=300)
    wait_until(lambda: tryon.steps_done == before + 3)


def test_nothing_is_recorded_monitored_or_fetched_from_elsewhere(server):
    config = httpx.get(server.url + "config", timeout=300).json()
    assert config["run_history"] is False and config.get("analytics_enabled") is not True
    assert httpx.get(server.url + "gradio_api/monitoring/summary", timeout=300).status_code in (403, 404)
    assert httpx.get(server.url + "monitoring", timeout=300).status_code in (403, 404)
    assert "googleapis" not in json.dumps(config)


def test_the_pages_own_events_are_nobodys_endpoints(server):
    info = httpx.get(server.url + "gradio_api/info", timeout=300).json()
    assert set(info["named_endpoints"]) == {"/tryon", "/mask", "/engines"} and not info["unnamed_endpoints"]


def wait_until(condition, seconds=300):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.02)


def test_the_real_path_behind_the_server(tmp_path, pictures):
    """The same endpoint around the real `TryOn`, with an engine of random weights: its errors and its result."""
    with serving(tiny_tryon(), tmp_path / "real", examples=False) as server:
        client = connect(server.url, downloads=tmp_path / "answers")
        path, info = client.predict(**pictures, steps=2, seed=9, api_name="/tryon")
        again, _ = client.predict(**pictures, steps=2, seed=9, api_name="/tryon")
        assert read(path)[1].shape == (400, 300, 3) and np.array_equal(read(path)[1], read(again)[1])
        assert info["engine"] == "tiny@0" and set(info["seconds"]) == {"open", "mask", "place", "generate", "paste"}
        with pytest.raises(AppError, match="from 1 to 20"):
            client.predict(**pictures, steps=21, api_name="/tryon")


def test_an_option_that_is_not_possible_counts_against_nobodys_limit(tryon, pictures, tmp_path):
    with serving(tryon, tmp_path / "home", examples=False, rate_limits="1/day") as server:
        client = connect(server.url, downloads=tmp_path)
        for options in ({"steps": 0}, {"part": "hat"}, {"size": "1x1"}):
            with pytest.raises(AppError) as caught:
                client.predict(**pictures, **options, api_name="/tryon")
            assert caught.value.title == f"option.{next(iter(options))}"
        with pytest.raises(AppError) as caught:
            client.predict(person=pictures["person"], engine="none", api_name="/mask")
        assert caught.value.title == "option.engine"
        _, info = client.predict(**pictures, size="288x384", api_name="/tryon")
        assert info["size"] == [288, 384]
        client.predict(person=pictures["person"], engine="careful", api_name="/mask")
