"""Two replicas of the whole server behind one Redis and one PostgreSQL, both real: what they share, and what happens
while either is away."""

import sys
from io import StringIO

import httpx
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError

from catvton import cli
from tests.gradio_clients import connect
from tests.postgres import postgres
from tests.redis_server import redis_server
from tests.rest_client import bearer, pictures, problem, wait_until
from tests.web_fakes import FakeTryOn, garment_picture, person_picture, saved, serving

LIMIT = 4


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server


def users(capsys, database, *arguments, said=""):
    """The command line's `users`, on the replicas' database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATVTON_DATABASE_URL", database.url)
        patch.setattr(sys, "stdin", StringIO(said))
        assert cli.main(["users", *arguments]) == 0
    return capsys.readouterr().out


@pytest.fixture
def new_key(capsys, database):
    """Makes an account of that name with the password "correct horse", and an API key for it."""

    def make(name):
        users(capsys, database, "add", name, "--stdin", said="correct horse\n")
        return next(word for word in users(capsys, database, "key", name).split() if word.startswith("catvton_"))

    return make


@pytest.fixture(scope="module")
def tryon():
    return FakeTryOn()


@pytest.fixture(scope="module")
def replicas(tryon, database, redis, tmp_path_factory):
    options = {"examples": False, "auth": "password", "database_url": database.url, "redis_url": redis.url,
               "rate_limits": f"{LIMIT}/day"}
    with serving(tryon, tmp_path_factory.mktemp("one"), **options) as one, \
         serving(tryon, tmp_path_factory.mktemp("other"), **options) as other:
        yield one, other


def ask(replica, key):
    return httpx.post(replica.url + "v1/tryon", files=pictures(), headers=bearer(key), timeout=300)


def test_an_accounts_limit_holds_at_both_doors_of_both(replicas, new_key, tmp_path):
    key = new_key("ana")
    photos = {"person": handle_file(saved(person_picture(), tmp_path / "person.png")),
              "garment": handle_file(saved(garment_picture(), tmp_path / "garment.png"))}
    # Gradio's folder of uploads is one per process, and so is its page here.
    page = connect(replicas[1].url, downloads=tmp_path, auth=("ana", "correct horse"))
    for replica in replicas:
        assert ask(replica, key).status_code == 200
        assert page.predict(**photos, api_name="/tryon")[1]["seed"] == 42
    for replica in replicas:
        assert problem(ask(replica, key), 429)["retry_after"] > 80_000
    with pytest.raises(AppError, match="24 hours") as caught:
        page.predict(**photos, api_name="/tryon")
    assert caught.value.title == "limit.reached"
    assert ask(replicas[0], new_key("ben")).status_code == 200


def test_guessing_passwords_is_slowed_down_across_both(replicas, new_key):
    new_key("eva")

    def sign_in(number, password):
        return httpx.post(replicas[number % 2].url + "login", timeout=300,
                          data={"username": "eva", "password": password})

    assert [sign_in(number, f"guess {number}").status_code for number in range(11)] == [400] * 10 + [429]
    assert sign_in(1, "correct horse").status_code == 429


def test_a_key_that_is_revoked_is_out_at_both_and_jobs_are_known_to_both(replicas, new_key, database, capsys):
    key = new_key("gus")
    http = [httpx.Client(base_url=replica.url, headers=bearer(key), timeout=300) for replica in replicas]
    job = http[0].post("v1/jobs", files=pictures()).json()
    told = wait_until(lambda: (found := http[1].get(job["url"]).json())["state"] == "done" and found)
    assert http[1].get(told["result"]).content == http[0].get(told["result"]).content
    number = users(capsys, database, "key", "gus", "--list").split()[0]
    users(capsys, database, "key", "gus", "--revoke", number)
    for each in http:
        assert problem(each.get(job["url"]), 401)["code"] == "account.key"


def test_while_redis_is_away_each_counts_for_itself_and_then_both_together_again(replicas, redis, new_key):
    before, during, after = new_key("ida"), new_key("jan"), new_key("kim")

    def asked_for_a_job(key):
        """Whether Redis is there, which is asked for each job that is not one's own; and so nothing is counted."""
        return [httpx.get(replica.url + "v1/jobs/" + "a" * 22, headers=bearer(key), timeout=300).status_code
                for replica in replicas]

    assert [ask(replica, before).status_code for replica in (*replicas, *replicas, *replicas)] == [200] * 4 + [429] * 2
    redis.stop()
    assert asked_for_a_job(during) == [503, 503]
    for replica in replicas:
        assert [ask(replica, during).status_code for _ in range(LIMIT + 1)] == [200] * LIMIT + [429]
        assert "catvton_redis_outages_total 1.0" in httpx.get(replica.url + "metrics", timeout=300).text
    redis.start()
    wait_until(lambda: asked_for_a_job(during) == [404, 404])
    assert [ask(replica, after).status_code for replica in (*replicas, *replicas, *replicas)] == [200] * 4 + [429] * 2


def test_while_the_database_is_away_nobody_is_let_in_and_then_everybody_again(replicas, database, new_key):
    key = new_key("leo")
    assert ask(replicas[0], key).status_code == 200
    database.stop()
    for replica in replicas:
        answer = ask(replica, key)
        assert problem(answer, 503)["code"] == "accounts.away" and answer.headers["retry-after"] == "5"
        signing_in = httpx.post(replica.url + "login", data={"username": "leo", "password": "correct horse"},
                                timeout=300)
        assert signing_in.status_code == 503 and signing_in.headers["retry-after"] == "5"
        assert httpx.get(replica.url + "healthz", timeout=300).status_code == 200
    database.start()
    assert [ask(replica, key).status_code for replica in replicas] == [200, 200]
