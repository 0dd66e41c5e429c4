"""Every option: its default, what it takes, and the sentence for what it does not."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catvton.errors import InputError
from catvton.options import check_options
from catvton.result import TryOnRequest
from tests.tiny import CARD


def checked(**options):
    return check_options(TryOnRequest(person=None, garment=None, **options), {"tiny": CARD}, default="tiny")


def refusal(**options) -> InputError:
    with pytest.raises(InputError) as caught:
        checked(**options)
    return caught.value


def test_defaults_are_the_cards():
    options = checked()
    assert (options.card, options.part, options.show) == (CARD, "upper", "result only")
    assert (options.steps, options.guidance, options.size, options.seeds) == (3, 2.5, (48, 64), (42,))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", 1),
        ("steps", 20.0),
        ("steps", np.int64(7)),
        ("guidance", 0),
        ("guidance", 7.5),
        ("guidance", np.float32(2.0)),
        ("seed", 0),
        ("seed", 2**31 - 1),
        ("size", (72, 96)),
        ("size", [72, 96]),
        ("size", "72x96"),
        ("variations", 4),
        ("part", "overall"),
        ("show", "input & mask & result"),
        ("engine", "tiny"),
    ],
)
def test_accepted(option, value):
    checked(**{option: value})


@pytest.mark.parametrize(
    ("option", "values", "accepted"),
    [
        ("steps", [0, 21, -3, 2.5, math.nan, math.inf, "5", True, [5], 10**400], "whole number from 1 to 20"),
        ("guidance", [-0.1, 7.6, math.nan, math.inf, "2", True], "number from 0 to 7.5"),
        ("seed", [-2, 2**31, 1.5, math.nan, "42", None, False], "whole number from -1 to 2147483647"),
        ("variations", [0, 5, 1.5, None], "whole number from 1 to 4"),
        ("part", ["hat", "", None, 3, "Upper", ["upper"]], '"upper", "lower", "overall"'),
        ("show", ["all", None], '"result only", "input & result", "input & mask & result"'),
        ("engine", ["nano", "", 1], '"tiny"'),
        ("size", [(1, 2), "48", "axb", 48, (48, 64, 3), [None, 1], "48x64x", b"ab"], "48x64, 72x96"),
    ],
)
def test_refused_with_what_is_accepted(option, values, accepted):
    for value in values:
        error = refusal(**{option: value})
        assert error.code == f"option.{option}"
        assert option in str(error).lower()
        assert accepted in str(error)


def test_a_long_value_is_not_echoed_whole():
    assert len(str(refusal(part="x" * 10_000))) < 200


def test_minus_one_draws_and_variations_count_on():
    drawn = {checked(seed=-1).seeds[0] for _ in range(20)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**31 for seed in drawn)
    assert checked(seed=2**31 - 2, variations=3).seeds == (2**31 - 2, 2**31 - 1, 0)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=9),
    st.lists(st.integers(), max_size=3), st.tuples(st.floats(), st.floats()), st.dictionaries(st.text(), st.integers()),
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("part", "steps", "guidance", "seed", "show", "engine", "size"), anything)
    )
)
def test_anything_at_all_is_accepted_or_refused_in_words(options):
    try:
        done = checked(**options)
    except InputError as error:
        assert error.code.startswith("option.")
        assert 20 < len(str(error)) < 300
    else:
        assert 1 <= done.steps <= 20
        assert 0 <= done.guidance <= 7.5
        assert all(0 <= seed < 2**31 for seed in done.seeds)
