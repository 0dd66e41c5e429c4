"""The whole server: gradio and the REST door behind one gate, its health, its headers, its log and its end."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from catvton.errors import SettingsError
from catvton.service.accounts import Accounts
from catvton.service.app import Service
from catvton.service.edge import security_headers
from catvton.service.readiness import warm_up
from catvton.settings import Settings
from tests.gradio_clients import connect, photos_in
from tests.ports import free_port
from tests.rest_client import bearer, door, pictures, problem, wait_until
from tests.tiny import CARD, TinyMasker, tiny_tryon
from tests.web_fakes import FakeTryOn, person_picture, saved, serving

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def accounts(tmp_path_factory):
    return tmp_path_factory.mktemp("accounts")


@pytest.fixture(scope="module")
def server(tryon, accounts, tmp_path_factory):
    """A server with everything: accounts, limits, a queue of one."""
    with serving(tryon, tmp_path_factory.mktemp("server"), examples=False, auth="password", data_dir=accounts,
                 rate_limits="40/hour", queue_size=1, metrics_token="figures") as server:
        yield server


@pytest.fixture(scope="module")
def known(accounts):
    """{"ana": her API key}; her password is "correct horse"."""
    people = Accounts.of(Settings(data_dir=accounts))
    for name in ("ana", "ben", "eva"):
        people.add(name, "correct horse")
    return {name: people.new_key(name)[1] for name in ("ana", "ben")}


@pytest.fixture
def photos(tmp_path):
    return photos_in(tmp_path)


def client(server, name=None, folder=None):
    return connect(server.url, downloads=folder, auth=(name, "correct horse") if name else None)


# ---- signing in ------------------------------------------------------------------------------------------------------


def test_without_signing_in_nothing_of_gradio_is_to_be_had(server):
    with httpx.Client(base_url=server.url, timeout=300) as http:
        for path in ("config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/file=/etc/passwd"):
            assert http.get(path).status_code == 401, path
        for path in ("gradio_api/queue/join", "gradio_api/call/tryon", "gradio_api/upload"):
            assert http.post(path, json={"data": []}).status_code in (401, 404), path
        assert "correct horse" not in http.get("/").text and http.get("/").status_code == 200


def test_whoever_is_signed_in_works_as_their_account(server, tryon, known, photos, tmp_path):
    ana = client(server, "ana", tmp_path)
    _, info = ana.predict(**photos, api_name="/tryon")
    assert info["seed"] == 42 and tryon.requests[-1].account == "ana"
    assert [each["name"] for each in ana.predict(api_name="/engines")] == ["plain", "careful"]


def test_an_account_that_is_removed_is_out_though_its_session_lives(server, accounts, known, photos, tmp_path):
    eva = client(server, "Eva", tmp_path)
    eva.predict(**photos, api_name="/tryon")
    Accounts.of(Settings(data_dir=accounts)).remove("eva")
    with pytest.raises(AppError, match="sign in") as caught:
        eva.predict(**photos, api_name="/tryon")
    assert caught.value.title == "account.missing"


def test_guessing_is_slowed_down_per_name_and_address(server, known):
    with httpx.Client(base_url=server.url, timeout=300) as http:
        answers = [http.post("login", data={"username": "ben", "password": f"guess {number}"},
                             headers={"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(11)]
        assert [answer.status_code for answer in answers] == [400] * 10 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 300 and "wrong passwords" in answers[-1].text
        assert http.post("login", data={"username": "ben", "password": "correct horse"}).status_code == 429
        assert http.post("login", data={"username": "ana", "password": "correct horse"}).status_code == 200


# ---- one gate, one count ---------------------------------------------------------------------------------------------


def test_both_doors_wait_at_one_gate_and_a_full_one_says_so_at_both(server, tryon, known, photos, tmp_path):
    ana = client(server, "ana", tmp_path)
    tryon.gate.clear()
    tryon.started.clear()
    with httpx.Client(base_url=server.url, timeout=300, headers=bearer(known["ana"])) as http:
        running = ana.submit(**photos, steps=1, seed=1, api_name="/tryon")
        assert tryon.started.wait(300)
        waiting = http.post("v1/jobs", files=pictures(), data={"seed": "2", "steps": "1"}).json()
        assert (waiting["state"], waiting["place"]) == ("queued", 1)
        with pytest.raises(AppError, match="1 are waiting") as caught:
            ana.predict(**photos, api_name="/tryon")
        assert caught.value.title == "queue.full"
        assert problem(http.post("v1/tryon", files=pictures()), 503)["code"] == "queue.full"
        tryon.gate.set()
        assert running.result(timeout=300)[1]["seed"] == 1
        wait_until(lambda: http.get(waiting["url"]).json()["state"] == "done")
    assert [request.seed for request in tryon.requests[-2:]] == [1, 2]


def test_who_waits_in_gradio_is_told_the_place(server, tryon, known, photos, tmp_path):
    ana = client(server, "ana", tmp_path)
    tryon.gate.clear()
    tryon.started.clear()
    first = ana.submit(**photos, steps=1, api_name="/tryon")
    assert tryon.started.wait(300)
    second = ana.submit(**photos, steps=1, api_name="/tryon")
    wait_until(lambda: server.service.gate.waiting)
    wait_until(lambda: len(second.outputs()) > 1)
    tryon.gate.set()
    first.result(timeout=300)
    second.result(timeout=300)
    assert second.outputs()[0] == (None, {"stage": "waiting", "step": 1, "steps": 0})


def test_both_doors_count_together_and_gradio_tells_the_wait(tryon, accounts, known, photos, tmp_path):
    with serving(tryon, tmp_path / "home", examples=False, auth="password", data_dir=accounts,
                 rate_limits="2/hour") as server:
        ana = client(server, "ana", tmp_path)
        ana.predict(**photos, api_name="/tryon")
        with httpx.Client(base_url=server.url, headers=bearer(known["ana"]), timeout=300) as http:
            assert http.post("v1/tryon", files=pictures()).status_code == 200
            assert http.post("v1/tryon", files=pictures()).status_code == 429
        with pytest.raises(AppError, match="again in 60 minutes") as caught:
            ana.predict(**photos, api_name="/tryon")
        assert caught.value.title == "limit.reached"
        ana.predict(person=photos["person"], api_name="/mask")


def test_the_http_server_believes_nobody_about_addresses(tryon, photos, tmp_path):
    """uvicorn by itself believes X-Forwarded-For from this machine, which is where the test comes from."""
    with serving(tryon, tmp_path / "home", examples=False, rate_limits="1/hour") as server:
        for number, expected in enumerate((None, "limit.reached")):
            forged = connect(server.url, headers={"X-Forwarded-For": f"203.0.113.{number}"})
            if expected is None:
                forged.predict(**photos, api_name="/tryon")
            else:
                with pytest.raises(AppError) as caught:
                    forged.predict(**photos, api_name="/tryon")
                assert caught.value.title == expected


# ---- health ----------------------------------------------------------------------------------------------------------


def test_alive_at_once_and_ready_after_the_first_picture():
    with door(tiny_tryon()) as rest:
        assert rest.get("/healthz").json() == {"status": "alive"}
        answer = rest.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "warming up")
        warm_up(rest.service.tryon, rest.service.readiness)
        assert (rest.get("/readyz").status_code, rest.get("/readyz").json()["status"]) == (200, "ready")
        assert 'catvton_requests_total{outcome="done",route="warm-up"} 1.0' in rest.get("/metrics").text
        rest.service.gate.close()
        assert rest.get("/readyz").json()["status"] == "ending" and rest.get("/healthz").status_code == 200


def test_another_engines_picture_does_not_make_it_ready():
    with door(FakeTryOn()) as rest:
        assert rest.tryon(engine="careful").status_code == 200 and rest.get("/readyz").status_code == 503
        assert rest.tryon().status_code == 200 and rest.get("/readyz").status_code == 200


def test_an_engine_without_its_weights_is_never_ready(caplog, tmp_path):
    from catvton.engines import PipelineEngine
    from catvton.tryon import TryOn

    empty = TryOn([PipelineEngine(replace(CARD, folder=tmp_path), device="cpu", dtype="float32")], TinyMasker())
    with door(empty) as rest:
        warm_up(rest.service.tryon, rest.service.readiness)
        assert rest.get("/readyz").json()["status"] == "failed to warm up: see the log"
        assert "warming up failed" in caplog.text
        said = problem(rest.tryon(), 503)
        assert said["code"] == "engine.missing" and str(tmp_path) not in said["message"]


def test_figures_are_for_those_with_the_token(server):
    with httpx.Client(base_url=server.url, timeout=300) as http:
        for headers in ({}, bearer("wrong"), {"Authorization": "figures"}):
            assert problem(http.get("metrics", headers=headers), 401)
        told = http.get("metrics", headers=bearer("figures"))
    assert told.status_code == 200 and "catvton_queue_length" in told.text and "ana" not in told.text
    assert 'route="/tryon"' in told.text and "catvton_refusals_total" in told.text


# ---- headers ---------------------------------------------------------------------------------------------------------


def test_every_answer_has_the_security_headers(server):
    with httpx.Client(base_url=server.url, timeout=300) as http:
        answers = [http.get(path) for path in ("/", "healthz", "v1/docs", "v1/nothing", "config", "gradio_api/nothing",
                                               "favicon.ico", "theme.css")]
    for answer in answers:
        for name in ("x-content-type-options", "referrer-policy", "permissions-policy", "x-frame-options",
                     "content-security-policy", "x-request-id"):
            assert answer.headers.get(name), (answer.url, name)
    assert "camera=(self)" in answers[0].headers["permissions-policy"]
    assert "frame-ancestors 'self'" in answers[0].headers["content-security-policy"]


def test_who_may_frame_the_page_is_the_operators_choice():
    headers = security_headers("https://shop.example https://*.hf.space")
    assert "frame-ancestors 'self' https://shop.example https://*.hf.space" in headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in headers
    with pytest.raises(SettingsError, match="CATVTON_FRAME_ANCESTORS"):
        Settings(frame_ancestors="https://a.example; script-src *")


def test_signing_in_with_hugging_face_is_for_spaces(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    with pytest.raises(SettingsError, match=r"on Hugging Face Spaces only.*CATVTON_AUTH=password"):
        Service(Settings(auth="huggingface"), FakeTryOn())


# ---- the log and the end ---------------------------------------------------------------------------------------------


def test_a_run_that_takes_too_long_does_not_keep_it_from_ending(tryon, tmp_path):
    tryon.gate.clear()
    tryon.started.clear()
    try:
        with serving(tryon, tmp_path, examples=False) as server:
            assert httpx.post(server.url + "v1/jobs", files=pictures(), timeout=300).status_code == 202
            assert tryon.started.wait(300)
            server.drain(0.1)  # returns, though the step never ends
        assert list(tmp_path.iterdir()) == []
    finally:
        tryon.gate.set()


@dataclass
class Story:
    """What a server process did from its start to its end, told by its client and by its log."""

    url: str = ""
    secrets: tuple[str, ...] = ()
    statuses: list[int] = field(default_factory=list)
    waiting: httpx.Response | None = None
    late: httpx.Response | None = None
    last: tuple[str, dict] | None = None
    log: list[str] = field(default_factory=list)
    returncode: int | None = None
    left: list[Path] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder, told = tmp_path_factory.mktemp("story"), Story()
    people = Accounts.of(Settings(data_dir=folder))
    people.add("anamaria", "correct horse")
    _, key = people.new_key("anamaria")
    told.secrets = ("anamaria", "holiday-photo", "203.0.113.77", "127.0.0.1:", key, "correct horse", "<b>bold</b>")
    photo = saved(person_picture(), folder / "holiday-photo.png")
    headers = bearer(key) | {"X-Forwarded-For": "203.0.113.77", "X-Request-ID": "told-by-the-proxy"}
    with process(folder, auth="password", trusted_proxy_hops=1, log_level="DEBUG", rate_limits="5/hour") as (
            told.url, running), httpx.Client(base_url=told.url, timeout=300, headers=headers) as http:
        gradio = connect(told.url, downloads=folder / "answers", auth=("anamaria", "correct horse"),
                         headers={"X-Forwarded-For": "203.0.113.77"})
        _work(told, http, gradio, photo)
        _end(told, http, gradio, photo, folder, running)
        told.log = running.communicate(timeout=300)[1].splitlines()
        told.returncode = running.returncode
    told.left = list((folder / "temp").iterdir())
    return told


def _work(told, http, gradio, photo):
    files = {name: (photo.name, photo.read_bytes()) for name in ("person", "garment")}
    forms = ({"seed": "666"}, {"part": "<b>bold</b>"}, {"steps": "1"}, {"variations": "4"})
    told.statuses = [http.post("v1/tryon", files=files, data=form).status_code for form in forms]
    told.statuses.append(http.post("login", data={"username": "anamaria", "password": "correct horse!"}).status_code)
    gradio.predict(person=handle_file(photo), api_name="/mask")


def _end(told, http, gradio, photo, folder, running):
    """Told to end while one runs and one waits."""
    hold = folder / "hold"
    hold.touch()
    job = gradio.submit(person=handle_file(photo), garment=handle_file(photo), steps=30, seed=3, api_name="/tryon")
    wait_until(lambda: any(info["stage"] == "generate" for _, info in job.outputs()))

    def wait():
        told.waiting = http.post("v1/tryon", files=pictures())

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_until(lambda: "catvton_queue_length 1.0" in http.get("metrics").text)
    running.send_signal(signal.SIGTERM)
    wait_until(lambda: http.get("readyz").status_code == 503)
    told.late = http.post("v1/tryon", files=pictures())
    waiter.join(300)
    hold.unlink()
    told.last = job.result(timeout=300)  # the file is fetched after the run


@contextmanager
def process(folder, **settings):
    port = free_port()
    values = {"port": port, "temp_dir": folder / "temp", "data_dir": folder, "log_format": "json",
              "shutdown_seconds": 600} | settings
    environment = os.environ | {f"CATVTON_{name.upper()}": str(value) for name, value in values.items()}
    environment |= {"TEST_HOLD": str(folder / "hold")}
    running = subprocess.Popen([sys.executable, "-m", "tests.slow_server"], cwd=ROOT, env=environment,
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}/"

    def ready():
        assert running.poll() is None, running.stderr.read()
        try:
            return httpx.get(url + "readyz", timeout=300).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(ready, seconds=300)
        yield url, running
    finally:
        running.kill()
        running.wait()


def test_told_to_end_it_finishes_the_run_and_hands_it_over(story):
    path, info = story.last
    assert info["steps"] == 30 and info["seed"] == 3 and Path(path).stat().st_size
    assert story.returncode == 0 and "Traceback" not in [line for line in story.log if "unforeseen" not in line]
    assert story.left == []


def test_told_to_end_it_sends_away_who_waits_and_lets_nobody_in(story):
    for answer in (story.waiting, story.late):
        assert problem(answer, 503)["code"] == "server.closing" and answer.headers["retry-after"] == "60"


def test_the_log_is_json_with_request_ids(story):
    assert story.statuses == [500, 422, 200, 429, 400]
    lines = [json.loads(line) for line in story.log]
    for line in lines:
        assert {"time", "level", "logger", "message"} <= set(line) <= {"time", "level", "logger", "message", "request",
                                                                       "error"}
    faults = [line for line in lines if line["level"] == "ERROR"]
    assert len(faults) == 1 and faults[0]["request"] == "told-by-the-proxy"
    assert "an unforeseen fault" in faults[0]["error"]


def test_the_log_names_nobody(story):
    for line in story.log:
        said = line.replace(story.url, "")
        assert not [secret for secret in story.secrets if secret in said], said
