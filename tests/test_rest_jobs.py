"""Jobs: asked for now and fetched later, stopped, forgotten after ten minutes, and nobody else's business."""

import base64
import json

import pytest

from catvton.service.accounts import Accounts
from catvton.service.results import Job, MemoryResults, SharedResults, StoreAway
from catvton.service.sharing import SharedRedis
from catvton.settings import Settings
from tests.redis_server import redis_server
from tests.rest_client import bearer, door, pictures, problem, wait_until
from tests.web_fakes import FakeTryOn


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def rest(tryon):
    with door(tryon, queue_size=3) as rest:
        yield rest


@pytest.fixture(autouse=True)
def open_gate(tryon):
    tryon.started.clear()
    tryon.closing.clear()
    yield
    tryon.gate.set()


def started(rest, **options):
    answer = rest.tryon("/v1/jobs", **options)
    assert answer.status_code == 202 and answer.headers["location"] == answer.json()["url"]
    return answer.json()


def finished(rest, job, key=None):
    def asked():
        told = rest.get(job["url"], headers=bearer(key)).json()
        return told if told["state"] not in ("queued", "running") else None

    return wait_until(asked)


def test_a_job_from_its_beginning_to_its_result(rest, tryon):
    tryon.gate.clear()
    first, second = started(rest, seed=5, steps=3), started(rest, seed=6)
    assert first["state"] == "queued" and (first["place"], second["place"]) == (0, 1)
    wait_until(lambda: rest.get(first["url"]).json()["state"] == "running")
    waiting = rest.get(second["url"]).json()
    assert waiting["state"] == "queued" and waiting["place"] == 1
    early = rest.get(first["url"] + "/result")
    assert problem(early, 409)["code"] == "job.unfinished" and early.headers["retry-after"] == "1"

    tryon.gate.set()
    told = finished(rest, first)
    assert told["state"] == "done" and told["info"]["seed"] == 5 and told["pictures"] == 1
    png = rest.get(told["result"])
    assert png.headers["content-type"] == "image/png" and json.loads(png.headers["x-result-info"])["seed"] == 5
    assert png.content == rest.tryon(seed=5, steps=3).content
    both = rest.get(told["result"], headers={"Accept": "application/json"}).json()
    assert base64.b64decode(both["pictures"][0].partition(",")[2]) == png.content
    assert finished(rest, second)["info"]["seed"] == 6


def test_where_a_run_is_can_be_followed(rest, tryon, monkeypatch):
    monkeypatch.setattr("catvton.service.jobs.NEWS_EVERY", 0.0)
    tryon.gate.clear()
    job = started(rest, steps=7)
    wait_until(lambda: tryon.started.is_set())
    told = wait_until(lambda: (found := rest.get(job["url"]).json())["stage"] and found)
    assert (told["state"], told["stage"], told["step"], told["steps"]) == ("running", "generate", 0, 7)
    tryon.gate.set()
    finished(rest, job)


def test_a_failed_job_answers_what_the_request_would_have(rest):
    options = {"files": pictures(person=b"no picture")}
    job = started(rest, **options)
    told = finished(rest, job)
    assert told["state"] == "failed" and told["error"]["code"] == "image.format"
    at_once, later = rest.tryon(**options), rest.get(job["url"] + "/result")
    assert at_once.status_code == later.status_code == 415
    for said in (at_once.json(), later.json()):
        said.pop("request_id")
    assert at_once.json()["message"] == told["error"]["message"]
    # What can be known at once is told at once.
    assert problem(rest.tryon("/v1/jobs", steps=0), 422)["code"] == "option.steps"


def test_dropping_a_job_stops_it_and_forgets_it(rest, tryon):
    tryon.gate.clear()
    running, waiting, kept = started(rest, steps=50), started(rest, seed=8), started(rest, seed=9)
    assert tryon.started.wait(300)
    before = tryon.steps_done
    for job in (running, waiting):
        assert rest.client.delete(job["url"]).status_code == 204
        assert problem(rest.get(job["url"]), 404)["code"] == "job.unknown"
    assert tryon.closing.wait(300)
    tryon.gate.set()
    assert finished(rest, kept)["state"] == "done"
    assert tryon.steps_done == before + 1 + 4  # the running one's present step, and the whole of the kept one
    assert 8 not in [request.seed for request in tryon.requests]
    assert problem(rest.client.delete(running["url"]), 404)
    assert rest.client.delete(kept["url"]).status_code == 204
    assert problem(rest.get(kept["url"] + "/result"), 404)


@pytest.mark.parametrize("number", ["", "x", "..%2f..%2fmetrics", "%2e%2e", "a" * 22, "a" * 500, "<b>", "\u0661" * 22])
def test_ids_that_are_none(rest, number):
    for method in ("GET", "DELETE"):
        answer = rest.client.request(method, f"/v1/jobs/{number}")
        assert answer.status_code in (404, 405) and "<b>" not in answer.text
    assert rest.get(f"/v1/jobs/{number}/result").status_code == 404


def test_a_full_queue_refuses_a_job_and_leaves_no_trace_of_it(rest, tryon):
    tryon.gate.clear()
    jobs = [started(rest, steps=1) for _ in range(4)]
    assert problem(rest.tryon("/v1/jobs"), 503)["code"] == "queue.full"
    tryon.gate.set()
    for job in jobs:
        assert finished(rest, job)["state"] == "done"
    wait_until(lambda: rest.service.gate.running == 0)


# ---- whose job it is -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """{name: API key} of two accounts, in a database of their own."""
    folder = tmp_path_factory.mktemp("accounts")
    accounts = Accounts.of(Settings(data_dir=folder))
    for name in ("ana", "ben"):
        accounts.add(name, None)
    return {"folder": folder} | {name: accounts.new_key(name)[1] for name in ("ana", "ben")}


@pytest.fixture(scope="module")
def closed(tryon, keys):
    """A door that asks for a key."""
    with door(tryon, auth="password", data_dir=keys["folder"]) as closed:
        yield closed


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YW5hOnB3"}, {"Authorization": "Bearer"},
    {"Authorization": "\u00e4"}, {"Cookie": "access-token=1"},
])
def test_without_a_key_nobody_is_let_in(closed, headers):
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("POST", "tryon"), ("POST", "mask"), ("POST", "jobs"), ("GET", "engines"), ("GET", "jobs/x"),
                         ("GET", "jobs/x/result"), ("DELETE", "jobs/x")):
        answer = closed.client.request(method, f"/v1/{path}", headers=sent)
        assert problem(answer, 401)["code"].startswith("account.") and answer.headers["www-authenticate"] == "Bearer"
    for path in ("docs", "openapi.json"):
        assert closed.get(f"/v1/{path}").status_code == 200


def test_jobs_of_one_account_do_not_exist_for_another(closed, keys):
    job = started(closed, key=keys["ana"])
    told = finished(closed, job, keys["ana"])
    assert closed.get(told["result"], headers=bearer(keys["ana"])).status_code == 200
    for path in (job["url"], told["result"]):
        nobodys = path.replace(job["id"], "a" * 22)
        other, nothing = (closed.get(each, headers=bearer(keys["ben"])) for each in (path, nobodys))
        assert problem(other, 404)["message"] == problem(nothing, 404)["message"]
    assert problem(closed.client.delete(job["url"], headers=bearer(keys["ben"])), 404)
    assert closed.get(told["result"], headers=bearer(keys["ana"])).status_code == 200
    linked = closed.tryon(key=keys["ana"], accept="application/json", pictures="url").json()["pictures"][0]
    assert problem(closed.get(linked, headers=bearer(keys["ben"])), 404)
    assert closed.get(linked, headers=bearer(keys["ana"])).status_code == 200


def test_a_revoked_key_is_out_at_once(closed, keys):
    accounts = Accounts.of(Settings(data_dir=keys["folder"]))
    made, key = accounts.new_key("ben")
    assert closed.get("/v1/engines", headers=bearer(key)).status_code == 200
    accounts.revoke("ben", made.id)
    assert problem(closed.get("/v1/engines", headers=bearer(key)), 401)["code"] == "account.key"


def test_who_asks_is_told_to_the_records(closed, keys, tryon):
    closed.tryon(key=keys["ben"])
    assert tryon.requests[-1].account == "ben"
    finished(closed, started(closed, key=keys["ana"]), keys["ana"])
    assert tryon.requests[-1].account == "ana"


def test_where_everybody_may_come_a_key_still_names_its_account(tryon, keys):
    with door(tryon, data_dir=keys["folder"]) as rest:
        rest.tryon()
        assert tryon.requests[-1].account is None
        rest.tryon(key=keys["ana"])
        assert tryon.requests[-1].account == "ana"
        assert problem(rest.tryon(key="wrong"), 401)
        job = started(rest, key=keys["ana"])
        finished(rest, job, keys["ana"])
        assert problem(rest.get(job["url"]), 404)


def test_without_a_database_nobody_with_a_key_is_let_in_and_it_is_not_the_keys_fault(tryon):
    with door(tryon, auth="password", database_url="postgresql://u:pw@127.0.0.1:1/d") as rest:
        answer = rest.tryon(key="whatever")
        assert problem(answer, 503)["code"] == "accounts.away" and answer.headers["retry-after"] == "5"


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_over_the_limit_is_429_with_the_wait(tryon, keys):
    with door(tryon, rate_limits="3/hour", data_dir=keys["folder"]) as rest:
        assert rest.tryon(variations=2).status_code == 200
        assert problem(rest.tryon(steps=0), 422)  # refused for another reason: does not count
        assert rest.tryon("/v1/jobs").status_code == 202
        for path in ("/v1/tryon", "/v1/jobs"):
            answer = rest.tryon(path)
            said = problem(answer, 429)
            assert said["code"] == "limit.reached" and 3500 < said["retry_after"] <= 3600
            assert answer.headers["retry-after"] == str(said["retry_after"]) and "60 minutes" in said["message"]
        assert rest.tryon("/v1/mask", files={"person": pictures()["person"]}).status_code == 200  # has its own
        assert rest.tryon(key=keys["ana"]).status_code == 200
        assert problem(rest.tryon(key=keys["ana"], variations=4), 429).get("retry_after") is None


def test_forged_addresses_do_not_escape_the_limit(tryon):
    with door(tryon, rate_limits="1/hour") as rest:
        rest.client.headers["X-Forwarded-For"] = "1.1.1.1"
        assert rest.tryon().status_code == 200
        rest.client.headers["X-Forwarded-For"] = "2.2.2.2"
        assert problem(rest.tryon(), 429)
    with door(tryon, rate_limits="1/hour", trusted_proxy_hops=1) as rest:
        for said, status in (("9.9.9.9, 1.1.1.1", 200), ("8.8.8.8, 1.1.1.1", 429), ("7.7.7.7, 2.2.2.2", 200)):
            rest.client.headers["X-Forwarded-For"] = said
            assert rest.tryon().status_code == status


# ---- where they are kept ---------------------------------------------------------------------------------------------


def test_finished_jobs_are_forgotten_after_their_time_and_the_oldest_first():
    now = [0.0]
    kept = MemoryResults(keep=600, max_bytes=100, clock=lambda: now[0])
    for number in range(3):
        kept.begin(Job(id=f"{number}"))
    assert kept.get("0").state == "queued"
    kept.put(Job(id="0", state="done"), [b"x" * 60])
    kept.put(Job(id="1", state="done"), [b"x" * 60])
    assert kept.get("0") is None and kept.pictures("1") == [b"x" * 60]  # together they were too much
    now[0] = 601
    assert kept.get("1") is None and kept.pictures("1") is None
    assert kept.get("2").state == "queued"  # not finished: still there
    kept.put(Job(id="2", state="done"), [b"x" * 500])
    assert kept.pictures("2") == [b"x" * 500]  # too large, but the newest


def test_a_dropped_job_stays_dropped():
    kept = MemoryResults()
    kept.begin(Job(id="a"))
    kept.drop("a")
    kept.put(Job(id="a", state="running"))
    kept.put(Job(id="a", state="done"), [b"x"])
    assert kept.get("a") is None and kept.dropped("a") and len(kept) == 0


def test_replicas_know_each_others_jobs(tryon, redis):
    with door(tryon, redis_url=redis.url) as one, door(tryon, redis_url=redis.url) as other:
        job = started(one, seed=11)
        told = finished(other, job)
        assert told["state"] == "done" and told["info"]["seed"] == 11
        assert other.get(told["result"]).content == one.get(told["result"]).content

        tryon.gate.clear()
        tryon.started.clear()
        tryon.closing.clear()
        running = started(one, steps=50)
        assert tryon.started.wait(300)
        wait_until(lambda: other.get(running["url"]).json()["state"] == "running")
        assert other.client.delete(running["url"]).status_code == 204
        assert tryon.closing.wait(300)  # the other replica's word reached the run
        tryon.gate.set()
        assert problem(one.get(running["url"]), 404) and problem(other.get(running["url"]), 404)


def test_limits_hold_across_replicas(tryon, redis):
    with door(tryon, redis_url=redis.url, rate_limits="3/day") as one, \
         door(tryon, redis_url=redis.url, rate_limits="3/day") as other:
        assert [rest.tryon().status_code for rest in (one, other, one, other, one)] == [200, 200, 200, 429, 429]


def test_without_redis_each_replica_goes_on_with_its_own(tryon):
    with redis_server() as redis, door(tryon, redis_url=redis.url, rate_limits="50/day") as rest:
        before = started(rest, seed=1)
        finished(rest, before)
        redis.stop()
        assert rest.tryon().status_code == 200
        job = started(rest, seed=2)
        assert finished(rest, job)["info"]["seed"] == 2
        assert rest.get(before["url"] + "/result").status_code == 200
        answer = rest.get("/v1/jobs/" + "a" * 22)  # may be another replica's: nobody can say
        assert problem(answer, 503)["code"] == "jobs.away" and answer.headers["retry-after"] == "5"
        assert "catvton_redis_outages_total 1.0" in rest.get("/metrics").text


def test_what_is_in_redis_goes_by_itself(redis):
    shared = SharedRedis(redis.url)
    kept = SharedResults(shared, keep=600, pulse=60)
    kept.begin(Job(id="p"))
    assert 50 < shared.client.ttl("catvton:job:p") <= 60  # a process that dies is missed after a minute
    kept.put(Job(id="p", state="done"), [b"one", b"two"])
    ages = [shared.client.ttl(name) for name in ("catvton:job:p", "catvton:pictures:p")]
    assert all(590 < age <= 600 for age in ages)
    assert SharedResults(shared).pictures("p") == [b"one", b"two"]
    kept.drop("p")
    assert SharedResults(shared).get("p") is None and not shared.client.exists("catvton:pictures:p")
    assert kept.dropped("p")


def test_a_drop_needs_redis_where_the_job_may_be_anothers():
    kept = SharedResults(SharedRedis("redis://127.0.0.1:1/0"))
    with pytest.raises(StoreAway):
        kept.get("nobody's")
