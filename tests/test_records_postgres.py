"""The records in a real PostgreSQL: migrations, replicas that write at once, a server that goes away and comes back."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from catvton import cli
from catvton.records.database import url_engine
from catvton.records.errors import RecordRefused
from catvton.records.keeper import Keeper
from catvton.records.migrations import upgrade
from catvton.records.store import Records
from catvton.result import TryOnRequest
from catvton.safety.statement import read_statement
from catvton.tryon import TryOn
from tests import tiny
from tests.ports import free_port
from tests.postgres import Server, postgres
from tests.test_records import BARE, FULL, differences, job, until

ROOT = Path(__file__).parents[1]


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


REPLICA = """
import sys
from datetime import UTC, datetime
import alembic.runtime.environment, psycopg, sqlalchemy.orm
from catvton.records import Job
from catvton.records.database import url_engine
from catvton.records.store import Records
records, first = Records(url_engine(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, first + 20):
    records.add(Job(id=f"{number:012x}", time=datetime.now(UTC)))
"""


def test_replicas_that_start_and_write_at_once(empty):
    """Four processes on an empty database: the first makes the tables, the others wait; no job is lost or doubled."""
    replicas = [subprocess.Popen([sys.executable, "-c", REPLICA, empty.url, str(20 * number)], cwd=ROOT, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE) for number in range(4)]  # fmt: skip
    for replica in replicas:
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        replica.stdin.write("go\n")
        replica.stdin.flush()
    for replica in replicas:
        replica.communicate(timeout=120)
        assert replica.returncode == 0
    records = Records(url_engine(empty.url))
    assert sorted(int(each.id, 16) for each in records.list(limit=1000)) == list(range(80))
    records.close()


def test_a_process_opens_its_database_several_times_at_once(empty):
    """The accounts and the records do, each with connections of their own."""
    stores = [Records(url_engine(empty.url)) for _ in range(4)]
    threads = [threading.Thread(target=store.add, args=(job(number),), daemon=True)
               for number, store in enumerate(stores)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(stores[0].list()) == 4
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


def test_a_table_that_somebody_holds_costs_nobody_a_picture(empty):
    """The server is there and takes the record, and does not answer."""
    keeper = Keeper(Records(url_engine(empty.url)), patience=0.2, retry=0.1)
    tryon = TryOn([tiny.tiny_engine()], tiny.TinyMasker(), recorder=keeper)
    request = TryOnRequest(person=tiny.person(), garment=tiny.garment(), steps=1)
    made = [tryon.run(request).job_id]
    until(lambda: keeper.counts().written == 1)  # making the tables may take longer than its patience
    with url_engine(empty.url).begin() as other:
        other.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        made += [tryon.run(request).job_id, tryon.run(request).job_id]
        assert keeper.counts().waiting == 2
    until(lambda: keeper.counts().waiting == 0)
    records = Records(url_engine(empty.url))
    assert sorted(each.id for each in records.list()) == sorted(made)
    records.close()
    tryon.close()


def test_a_record_that_cannot_be_written_is_told_from_a_server_that_is_away(empty):
    records = Records(url_engine(empty.url))
    with pytest.raises(RecordRefused):
        records.add(job(1, account="no\0name"))
    records.add(job(2))
    assert [each.id for each in records.list()] == [f"{2:012x}"]
    records.close()


# ---- the app itself --------------------------------------------------------------------------------------------------


@pytest.fixture
def app(empty, tmp_path, monkeypatch) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    """`python app.py` with its records in the server, and a client of it."""
    port = free_port()
    (tmp_path / "temp").mkdir()
    for name, value in {"DATABASE_URL": empty.url, "PORT": port, "TEMP_DIR": tmp_path / "temp",
                        "DATA_DIR": tmp_path / "data", "EXAMPLES": "off"}.items():  # fmt: skip
        monkeypatch.setenv(f"CATVTON_{name}", str(value))
    process = subprocess.Popen([sys.executable, str(ROOT / "app.py")], cwd=tmp_path, env=dict(os.environ))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
            until(lambda: process.poll() is not None or ready(client), seconds=300)
            yield process, client
    finally:
        process.kill()
        process.wait()


def ready(client: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        return client.get("/readyz").status_code == 200
    return False


def photos() -> dict[str, bytes]:
    return {name: (ROOT / "resource" / "examples" / f"{name}-1.webp").read_bytes() for name in ("person", "garment")}


def test_the_app_hands_out_while_its_database_is_away_and_is_killed(empty, app, tmp_path, capsys):
    process, client = app
    records = Records(url_engine(empty.url))

    def recorded() -> set[str]:
        return {each.id for each in records.list()}

    def dressed() -> str:
        told = client.post("/v1/tryon", files=photos(), headers={"Accept": "application/json"})
        assert told.status_code == 200, told.text
        return told.json()["job_id"]

    made = {dressed()}
    assert recorded() == made  # and no more: warming up is no job
    empty.stop()
    made.add(dressed())
    assert client.get("/readyz").status_code == 200
    empty.start()
    until(lambda: recorded() == made, seconds=60)
    picture = client.post("/v1/tryon", files=photos(), headers={"Accept": "image/png"}).content
    job_id = read_statement(picture).job_id
    made.add(job_id)
    assert client.post("/v1/jobs", files=photos(), data={"variations": "4"}).status_code == 202
    until(lambda: "catvton_jobs_in_flight 1.0" in client.get("/metrics").text, seconds=60)
    process.kill()  # kill -9 in mid-run
    process.wait()

    found = {each.id: each for each in records.list()}
    assert set(found) == made  # what was handed out, and nothing by half
    assert {(each.outcome, each.pictures, each.account, each.part) for each in found.values()} == {
        ("done", 1, None, "upper")
    }
    left = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= {".lock"}  # no photo, no result, no SQLite
    (tmp_path / "found.png").write_bytes(picture)
    assert cli.main(["trace", str(tmp_path / "found.png")]) == 0
    told = capsys.readouterr().out
    assert f"{job_id} (by its watermark and its file)" in told
    assert f"{found[job_id].time:%Y-%m-%d %H:%M:%S} UTC" in told and "compact@" in told
    records.close()
