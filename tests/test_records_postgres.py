"""The records in a real PostgreSQL: migrations, replicas that write at once, a server that goes away and comes back."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from catvton.records.database import url_engine
from catvton.records.keeper import Keeper
from catvton.records.migrations import upgrade
from catvton.records.store import Records
from catvton.result import TryOnRequest
from catvton.tryon import TryOn
from tests import tiny
from tests.postgres import Server, postgres
from tests.test_records import BARE, FULL, differences, job, until


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture
def empty(server) -> Server:
    """The server with nothing in its database."""
    with url_engine(server.url).begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    return server


def test_the_migrations_make_what_the_models_say(empty):
    with url_engine(empty.url).begin() as connection:
        upgrade(connection)
        assert differences(connection) == []
        upgrade(connection)


def test_jobs_come_back_whole_and_go_when_they_should(empty):
    records = Records(url_engine(empty.url))
    for kept in (FULL, BARE, FULL):
        records.add(kept)
    assert records.list() == [FULL, BARE]
    assert records.outcomes() == {"done": 1, "refused image.kind": 1}
    assert records.purge(before=FULL.time) == 1
    assert records.forget("ann") == [FULL.id]
    assert records.list() == []
    records.close()


def test_replicas_that_start_and_write_at_once(empty):
    """Six of them on an empty database: the first makes the tables, the others wait; no job is lost or doubled."""
    stores, faults = [Records(url_engine(empty.url)) for _ in range(6)], []

    def write(store: Records, first: int) -> None:
        try:
            for number in range(first, first + 20):
                store.add(job(number))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(store, 20 * index)) for index, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(int(each.id, 16) for each in stores[0].list(limit=1000)) == list(range(120))
    for store in stores:
        store.close()


def test_a_server_that_goes_away_costs_nobody_a_picture(empty):
    keeper = Keeper(Records(url_engine(empty.url)), retry=0.1)
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), recorder=keeper)

    def dressed() -> str:
        return tryon.run(TryOnRequest(person=tiny.person(), garment=tiny.garment(), steps=1)).job_id

    made = [dressed()]
    empty.stop()
    made += [dressed(), dressed()]
    assert keeper.counts().waiting == 2 and keeper.counts().failures >= 1
    empty.start()
    until(lambda: keeper.counts().waiting == 0, seconds=60)
    made.append(dressed())
    records = Records(url_engine(empty.url))
    assert sorted(each.id for each in records.list()) == sorted(made)
    records.close()
    tryon.close()
    assert keeper.counts().lost == 0


def test_a_server_that_is_away_at_the_start(empty):
    empty.stop()
    keeper = Keeper(Records(url_engine(empty.url)), days=30, retry=0.1)
    keeper.start()
    keeper.record(FULL)
    time.sleep(0.3)
    assert keeper.counts().waiting == 1
    empty.start()
    until(lambda: keeper.counts().waiting == 0, seconds=60)
    keeper.close()
