"""What every HTTP request passes: what it is called in the figures, and whether anybody is still being answered."""

import threading

import pytest

from catvton.service.edge import Traffic, route_name
from tests.rest_client import door, pictures, wait_until
from tests.web_fakes import FakeTryOn


@pytest.mark.parametrize(("path", "name"), [
    ("/", "/"), ("/v1/tryon", "/v1/tryon"), ("/v1/jobs", "/v1/jobs"), ("/v1/jobs/abc", "/v1/jobs/{id}"),
    ("/v1/jobs/abc/result", "/v1/jobs/{id}/result"), ("/v1/jobs/a/b/c", "other"), ("/v1/ana", "other"),
    ("/gradio_api/file=/home/ana/photo.png", "/gradio_api/..."), ("/readyz", "/readyz"), ("/readyz/x", "other"),
    ("/wp-login.php", "other"), ("/v1/docs/../../x", "other"), ("", "/"),
])
def test_the_figures_name_no_file_and_no_job_and_have_an_end(path, name):
    assert route_name(path) == name


def test_it_is_quiet_since_the_last_visitor_was_answered():
    now = [0.0]
    traffic = Traffic(clock=lambda: now[0])
    now[0] = 10.0
    assert traffic.quiet(since=4.0) == 6.0
    with traffic.answering("/v1/tryon"):
        now[0] = 20.0
        assert traffic.quiet(since=4.0) == 0.0
        with traffic.answering("/v1/jobs/x"):
            now[0] = 21.0
        assert traffic.quiet(since=4.0) == 0.0
    now[0] = 25.0
    assert traffic.quiet(since=4.0) == 4.0 and traffic.quiet(since=24.0) == 1.0


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/gradio_api/heartbeat/abc"])
def test_probes_and_pages_that_are_merely_open_are_no_visitors(path):
    now = [0.0]
    traffic = Traffic(clock=lambda: now[0])
    with traffic.answering(path):
        now[0] = 7.0
        assert traffic.quiet(since=0.0) == 7.0
    assert traffic.quiet(since=0.0) == 7.0


def test_an_end_waits_for_the_run_and_for_whoever_fetches_its_picture(monkeypatch):
    monkeypatch.setattr("catvton.service.app.LINGER", 1.0)
    tryon = FakeTryOn()
    tryon.gate.clear()
    with door(tryon) as rest:
        job = rest.client.post("/v1/jobs", files=pictures()).json()
        ending = threading.Thread(target=rest.service.drain, args=(600,))
        ending.start()
        wait_until(lambda: rest.get("/readyz").json()["status"] == "ending")
        assert rest.client.post("/v1/jobs", files=pictures()).json()["code"] == "server.closing"
        assert ending.is_alive()
        tryon.gate.set()
        told = wait_until(lambda: (found := rest.get(job["url"]).json())["state"] == "done" and found)
        assert rest.get(told["result"]).status_code == 200
        ending.join(300)
        assert not ending.is_alive()


def test_where_nobody_is_at_work_the_end_comes_at_once():
    with door(FakeTryOn()) as rest:
        rest.service.drain(600)
        assert rest.get("/v1/engines").status_code == 200 and rest.service.gate.closed
