"""Who asks: how far X-Forwarded-For is believed, and that nothing a visitor writes into it changes who he is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catvton.service.callers import Caller, client_address

PROXY = "10.0.0.9"


@pytest.mark.parametrize(("forwarded", "hops", "address"), [
    ([], 0, PROXY),
    (["1.2.3.4"], 0, PROXY),  # nobody's word is taken
    (["1.2.3.4"], 1, "1.2.3.4"),
    (["6.6.6.6, 1.2.3.4"], 1, "1.2.3.4"),  # the visitor claims to be 6.6.6.6
    (["6.6.6.6", "1.2.3.4"], 1, "1.2.3.4"),  # in a header of its own
    (["6.6.6.6, 1.2.3.4, 10.0.0.8"], 2, "1.2.3.4"),
    (["1.2.3.4"], 2, PROXY),  # came past one of the two proxies
    (["1.2.3.4, "], 1, PROXY),
    (["unknown"], 1, PROXY),
    (["<script>"], 1, PROXY),
    (["1.2.3.4:5678"], 1, "1.2.3.4"),
    (["::ffff:1.2.3.4"], 1, "1.2.3.4"),
    (["2001:db8:1:2:3:4:5:6"], 1, "2001:db8:1:2::/64"),  # a visitor has all of these
    (["[2001:db8:1:2::9]:443"], 1, "2001:db8:1:2::/64"),
])
def test_as_many_entries_count_as_there_are_own_proxies(forwarded, hops, address):
    assert client_address(PROXY, forwarded, hops=hops) == address


def test_a_peer_without_an_address_is_taken_as_it_is():
    assert client_address("testclient", [], hops=0) == "testclient"
    assert client_address("", ["1.2.3.4"], hops=0) == ""


@given(forged=st.lists(st.text(max_size=60), max_size=4), hops=st.integers(1, 4))
def test_whatever_a_visitor_claims_he_stays_who_he_is(forged, hops):
    appended = [["203.0.113.7", "10.0.0.1", "10.0.0.2", "10.0.0.3"][:hops]]
    said = [*forged, *(", ".join(entries) for entries in appended)]
    assert client_address(PROXY, said, hops=hops) == "203.0.113.7"


@given(forged=st.lists(st.text(max_size=60), max_size=4))
def test_without_a_proxy_the_header_means_nothing(forged):
    assert client_address("203.0.113.7", forged, hops=0) == "203.0.113.7"


def test_an_account_counts_wherever_it_comes_from():
    assert Caller(account="ana", address="1.2.3.4").key == Caller(account="ana", address="5.6.7.8").key
    assert Caller(account="1.2.3.4").key != Caller(address="1.2.3.4").key
