"""Rate limits: moving windows, all of which hold, with the wait in words; alone, and shared through a real Redis."""

import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catvton.errors import SettingsError
from catvton.service.limits import Limiter, Window, read_windows
from catvton.service.refusals import LimitReached, in_words
from catvton.service.sharing import Away, SharedRedis
from catvton.settings import Settings
from tests.redis_server import redis_server


@pytest.fixture
def clock(monkeypatch):
    """The time of day, moved by the test."""

    class Clock:
        now = 1_700_000_000.0

        def pass_(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(time, "time", lambda: clock.now)
    return clock


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server


def limiter(windows, **options):
    return Limiter(read_windows(windows), name="test", **options)


def refused(limiter, caller="ana", **options):
    with pytest.raises(LimitReached) as caught:
        limiter.hit(caller, **options)
    return caught.value


@pytest.mark.parametrize(("text", "windows"), [
    ("", []),
    ("5/minute", [(5, 60, "a minute")]),
    ("60/hour;5/minute", [(5, 60, "a minute"), (60, 3600, "an hour")]),
    (" 1 / 10 seconds ; 200/2days; ", [(1, 10, "in 10 seconds"), (200, 172800, "in 2 days")]),
    ("3/60 seconds", [(3, 60, "a minute")]),
])
def test_windows_are_read_as_the_settings_let_them_through(text, windows):
    found = read_windows(Settings(rate_limits=text).rate_limits)
    assert [(each.count, each.seconds, str(each)) for each in found] == windows


@pytest.mark.parametrize("text", ["5", "5/", "0/minute", "5/fortnight", "five/minute", "5/minute,6/hour", "-1/day"])
def test_other_windows_are_refused_by_the_settings(text):
    with pytest.raises(SettingsError, match=r"CATVTON_RATE_LIMITS.*5/minute;60/hour"):
        Settings(rate_limits=text)


def test_no_window_means_no_limit():
    unlimited = limiter("")
    for _ in range(1000):
        unlimited.hit("ana")


def test_the_window_moves_with_the_time(clock):
    limited = limiter("2/minute")
    limited.hit("ana")
    clock.pass_(40)
    limited.hit("ana")
    error = refused(limited)
    assert error.wait_seconds == 20 and "2 pictures a minute" in str(error) and "in 20 seconds" in str(error)
    assert error.code == "limit.reached"
    clock.pass_(20.5)
    limited.hit("ana")  # the first is out of the window, the second is not
    assert refused(limited).wait_seconds == 40
    clock.pass_(60.5)
    limited.hit("ana")
    limited.hit("ana")


def test_every_window_holds_and_a_refusal_counts_in_none(clock):
    limited = limiter("2/10 seconds;3/hour")
    limited.hit("ana")
    limited.hit("ana")
    for _ in range(5):
        assert refused(limited).wait_seconds == 10
    clock.pass_(11)
    limited.hit("ana")
    clock.pass_(11)
    assert refused(limited).wait_seconds == 3600 - 22
    clock.pass_(3600 - 21)
    limited.hit("ana")


def test_callers_and_kinds_of_request_count_apart(clock):
    limited = limiter("1/hour")
    for caller, what in (("ana", "tryon"), ("ben", "tryon"), ("ana", "mask")):
        limited.hit(caller, what)
        with pytest.raises(LimitReached):
            limited.check(caller, what)
    limited.forget("ana", "tryon")
    limited.hit("ana", "tryon")
    assert refused(limited, "ben", what="tryon")


def test_a_request_for_several_counts_as_several(clock):
    limited = limiter("4/minute")
    limited.hit("ana", cost=3)
    assert refused(limited, cost=2).wait_seconds == 60
    limited.hit("ana", cost=1)
    error = refused(limited, "ben", cost=5)
    assert error.wait_seconds is None and "Ask for fewer at once" in str(error)


@pytest.mark.parametrize(("seconds", "words"), [(1, "1 second"), (90, "90 seconds"), (120, "2 minutes"),
                                                (121, "3 minutes"), (7200, "2 hours"), (100_000, "28 hours")])
def test_waits_are_told_in_words(seconds, words):
    assert in_words(seconds) == words


@given(count=st.integers(1, 5), seconds=st.integers(1, 100), gaps=st.lists(st.floats(0, 60), max_size=40))
def test_no_stretch_of_time_ever_holds_more_than_its_share(count, seconds, gaps):
    with pytest.MonkeyPatch.context() as patch:
        now, let_in = 1_700_000_000.0, []
        patch.setattr(time, "time", lambda: now)
        limited = Limiter((Window(count=count, seconds=seconds),), name="test")
        for gap in gaps:
            now += gap
            try:
                limited.hit("ana")
                let_in.append(now)
            except LimitReached as error:
                assert 1 <= error.wait_seconds <= seconds
        for first, last in zip(let_in, let_in[count:], strict=False):
            assert last - first >= seconds


# ---- shared through Redis --------------------------------------------------------------------------------------------


def test_two_replicas_count_together(redis):
    replicas = [limiter("3/hour", shared=SharedRedis(redis.url)) for _ in range(2)]
    for replica in (*replicas, replicas[0]):
        replica.hit("two replicas")
    for replica in replicas:
        assert 3500 < refused(replica, "two replicas").wait_seconds <= 3600
        assert refused(replica, "nobody yet", cost=4).wait_seconds is None
    replicas[1].forget("two replicas")
    replicas[0].hit("two replicas")


def test_many_requests_at_once_on_two_replicas_do_not_slip_through(redis):
    from concurrent.futures import ThreadPoolExecutor

    replicas = [limiter("7/hour;9/day", shared=SharedRedis(redis.url)) for _ in range(2)]

    def ask(number):
        try:
            replicas[number % 2].hit("a crowd")
        except LimitReached:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(64))) == 7


def test_redis_may_go_away_and_come_back(redis, caplog):
    outages, now = [], [0.0]
    shared = SharedRedis(redis.url, patience=5, clock=lambda: now[0], on_outage=lambda: outages.append(1))
    limited = limiter("2/hour", shared=shared)
    limited.hit("eva")
    limited.hit("eva")
    caplog.set_level(logging.INFO)
    redis.stop()
    limited.hit("eva")  # this process's own memory has not seen her yet
    limited.hit("eva")
    assert refused(limited, "eva")
    assert len(outages) == 1 and [record.levelname for record in caplog.records] == ["WARNING"]
    assert "eva" not in caplog.text

    redis.start()  # as a new, empty one
    limited.hit("ida")
    assert len(caplog.records) == 1  # it is left alone for a while
    now[0] += 6
    limited.hit("eva")
    assert "Redis answers again" in caplog.text and len(outages) == 1
    assert limiter("2/hour", shared=SharedRedis(redis.url)).hit("eva") is None  # counted there: the second of two
    assert refused(limited, "eva")


def test_while_it_is_away_it_is_asked_only_now_and_then():
    now, asked = [0.0], []
    shared = SharedRedis("redis://127.0.0.1:1/0", patience=5, clock=lambda: now[0])

    def work(client):
        asked.append(now[0])
        client.ping()

    for now[0] in (0.0, 1.0, 4.0, 5.5, 6.0, 11.0):
        with pytest.raises(Away):
            shared.use(work)
    assert asked == [0.0, 5.5, 11.0]


@pytest.mark.parametrize("url", ["localhost:6379", "http://x", "redis://host:port/0"])
def test_an_address_that_is_none_is_refused_without_being_repeated(url):
    with pytest.raises(SettingsError, match="CATVTON_REDIS_URL") as caught:
        SharedRedis(url)
    assert url not in str(caught.value)
