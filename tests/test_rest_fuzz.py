"""The REST door under requests of any shape, in front of an engine of tiny random weights: always one of its answers.

`tests/proof/test_rest_fuzz.py` does the same for longer.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rest_client import door
from tests.rest_fuzz import Fuzz
from tests.tiny import tiny_tryon

CASES = 300


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    with door(tiny_tryon(), queue_size=100, data_dir=tmp_path_factory.mktemp("data")) as rest:
        yield Fuzz.of(rest)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_request_gets_an_answer_the_document_knows(fuzz, data):
    fuzz.once(data)


def test_the_fire_reached_what_it_was_meant_for(fuzz):
    """Runs after the one above: a fuzz that only ever meets the first check proves little."""
    made = {name for name, status in fuzz.outcomes if status in (200, 202)}
    assert {"tryon", "mask", "engines", "startJob"} <= made
    statuses = {status for _, status in fuzz.outcomes}
    assert {200, 202, 400, 401, 404, 406, 415, 422} <= statuses
