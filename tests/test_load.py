"""Fifty clients at once, through all doors: each gets its own picture, or is told its place or when to come back.

`tests/proof/test_service_load.py` does the same for five minutes with the built-in engine.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from catvton.result import TryOnRequest
from tests import load, tiny
from tests.rest_client import pictures, problem, wait_until
from tests.web_fakes import FakeTryOn, serving

CLIENTS, VISITS = 50, 1


@pytest.fixture(scope="module")
def wishes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    colours = ("crimson", "navy", "teal", "gold")
    return [load.Wish(number=number, person=tiny.person((80 + number, 150), seed=number), seed=1000 + number,
                      garment=tiny.garment(colours[number % 4]), folder=folder / str(number))
            for number in range(CLIENTS)]


def test_fifty_clients_each_get_their_own_picture(wishes, tmp_path, monkeypatch):
    monkeypatch.setattr("catvton.service.rest.LONGEST_PAUSE", 1.0)  # this engine takes milliseconds
    tryon = tiny.tiny_tryon()
    expected = {}
    for wish in wishes:
        request = TryOnRequest(person=wish.person, garment=wish.garment, seed=wish.seed)
        expected[wish.number] = tryon.run(request).image.tobytes()
    assert len(set(expected.values())) == CLIENTS  # a swapped one cannot pass for the right one

    with serving(tryon, tmp_path, examples=False, queue_size=CLIENTS, trusted_proxy_hops=1,
                 rate_limits=f"{VISITS}/day") as server:
        visits = load.crowd(wishes, server.url, again=lambda so_far: so_far <= VISITS)
        assert server.service.gate.running == 0
        figures = httpx.get(server.url + "metrics", timeout=300).text
    assert load.faults(visits, wishes, expected) == []
    # The visit after is one too many for each, whichever door it takes and however full it is.
    served = Counter(visit.number for visit in visits if not visit.refused)
    assert served == dict.fromkeys(range(CLIENTS), VISITS)
    assert Counter(visit.refused for visit in visits if visit.refused) == {"limit.reached": CLIENTS}
    told = [visit for visit in visits if visit.door == "job" and not visit.refused]
    assert told and all(visit.places and max(visit.places) < CLIENTS for visit in told)
    assert any(visit.places and visit.places[0] > 5 for visit in told)  # there really was a line
    assert sum(float(line.split()[-1]) for line in figures.splitlines()
               if line.startswith('catvton_requests_total{outcome="done"')) == CLIENTS * VISITS


def test_whom_the_line_has_no_room_for_is_told_when_to_come_back(tmp_path):
    tryon = FakeTryOn()
    tryon.gate.clear()
    with serving(tryon, tmp_path, examples=False, queue_size=5) as server, ThreadPoolExecutor(CLIENTS) as pool:
        url = server.url + "v1/tryon"
        sent = [pool.submit(httpx.post, url, files=pictures(), data={"seed": str(seed), "steps": "1"}, timeout=300,
                            verify=load.NO_TLS)
                for seed in range(CLIENTS)]
        # Nobody hangs: all but six have their answer while the first is still at work.
        wait_until(lambda: sum(each.done() for each in sent) == CLIENTS - 6)
        assert server.service.gate.waiting == 5
        tryon.gate.set()
        answers = [each.result() for each in sent]
    assert Counter(answer.status_code for answer in answers) == {200: 6, 503: CLIENTS - 6}
    for answer in answers:
        if answer.status_code == 503:
            assert problem(answer, 503)["code"] == "queue.full" and int(answer.headers["retry-after"]) >= 1
    assert sorted(request.seed for request in tryon.requests) == sorted(
        seed for seed, answer in enumerate(answers) if answer.status_code == 200)
