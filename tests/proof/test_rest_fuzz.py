"""Ten thousand requests of any shape for the REST door: each gets an answer its own document knows, and never a 500."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.rest_client import door
from tests.rest_fuzz import Fuzz

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]

CASES = 10_000


def test_ten_thousand_requests(figures, tmp_path):
    with door(tiny.tiny_tryon(), queue_size=1000, data_dir=tmp_path) as rest:
        fuzz = Fuzz.of(rest)

        @settings(max_examples=CASES, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
        @given(data=st.data())
        def fire(data):
            fuzz.once(data)

        fire()
        statuses = sorted({status for _, status in fuzz.outcomes})
        figures["Requests of any shape for the REST door, tiny random engine"] = {
            "requests": sum(fuzz.outcomes.values()),
            **{f"answered {each}": sum(count for (_, status), count in fuzz.outcomes.items() if status == each)
               for each in statuses},
        }  # fmt: skip
        assert sum(fuzz.outcomes.values()) >= CASES * 0.9 and max(statuses) < 500
