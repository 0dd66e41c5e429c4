"""The records: what is kept and what never is, migrations, ages, a database that goes away, a killed process."""

import logging
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from PIL import Image
from sqlalchemy import text

from catvton.errors import Cancelled, InputError, ResultWithheld, SettingsError, WeightsError
from catvton.records import Job, outcome_of
from catvton.records.database import open_database, sqlite_engine, url_engine
from catvton.records.errors import RecordRefused, RecordsError
from catvton.records.history import History
from catvton.records.keeper import MOST_WAITING, Counts, Keeper
from catvton.records.migrations import VERSION_TABLE, upgrade
from catvton.records.models import Base
from catvton.records.store import Records
from catvton.safety.statement import Statement, read_statement
from catvton.settings import Settings
from catvton.startup import handing_out

ROOT = Path(__file__).parents[1]
NOON = datetime(2026, 11, 1, 12, 0, 30, 250_000, tzinfo=UTC)
FULL = Job(
    id="00c0ffee1234", time=NOON, account="ann", engine="compact@1", part="upper", steps=20, guidance=2.5,
    seed=2**31 - 1, size=(288, 384), pictures=2, seconds={"open": 0.25, "generate": 1.5}, outcome="done",
    flags=("withheld:1",),
)  # fmt: skip
BARE = Job(id="000000000001", time=NOON - timedelta(days=2), outcome="refused image.kind")


def job(number: int, **changes) -> Job:
    return replace(FULL, id=f"{number:012x}", **changes)


@pytest.fixture
def records(tmp_path):
    found = Records(sqlite_engine(tmp_path / "data" / "catvton.db"))
    yield found
    found.close()


# ---- what is kept ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [FULL, BARE])
def test_a_job_comes_back_whole(records, kept):
    records.add(kept)
    assert records.get(kept.id) == kept
    assert records.get("ffffffffffff") is None


def test_times_of_any_zone_are_kept_in_utc(records):
    records.add(job(1, time=NOON.astimezone(timezone(timedelta(hours=7)))))
    assert records.get(f"{1:012x}").time == NOON
    assert records.get(f"{1:012x}").time.utcoffset() == timedelta(0)


def test_written_twice_is_there_once(records):
    records.add(FULL)
    records.add(replace(FULL, outcome="failed"))
    assert records.list() == [FULL]


def test_lists_are_newest_first_and_bounded(records):
    for number in range(5):
        records.add(job(number, time=NOON + timedelta(minutes=number), account="ann" if number % 2 else "bob"))
    assert [int(each.id, 16) for each in records.list()] == [4, 3, 2, 1, 0]
    assert [int(each.id, 16) for each in records.list(limit=2)] == [4, 3]
    assert [int(each.id, 16) for each in records.list(account="ann")] == [3, 1]


def test_refusals_are_counted(records):
    for number, outcome in enumerate(["done", "refused image.kind", "done", "done", "refused image.kind", "failed"]):
        records.add(job(number, outcome=outcome))
    assert list(records.outcomes().items()) == [("done", 3), ("refused image.kind", 2), ("failed", 1)]


def test_there_is_no_column_for_what_is_never_kept():
    columns = set(Base.metadata.tables["jobs"].columns.keys())
    assert columns == {field.name for field in fields(Job)} - {"size"} | {"width", "height"}
    assert not {word for name in columns for word in name.split("_")} & {"image", "file", "path", "address", "ip"}


def test_what_is_too_long_is_cut(records):
    records.add(job(1, account="a" * 500))
    assert records.get(f"{1:012x}").account == "a" * 128


def test_purge_by_age_and_forget_by_account(records):
    for number in range(6):
        records.add(job(number, time=NOON - timedelta(days=number), account="ann" if number % 2 else None))
    assert records.purge(before=NOON - timedelta(days=3)) == 2
    assert sorted(records.forget("ann")) == [f"{number:012x}" for number in (1, 3)]
    assert [int(each.id, 16) for each in records.list()] == [0, 2]
    assert records.forget("ann") == records.forget("nobody") == []


def test_an_account_is_forgotten_however_it_is_capitalized(records):
    records.add(job(1, account="Ann"))
    records.add(job(2, account="anna"))
    records.add(job(3, account="Ärmel"))
    assert records.forget("aNN") == [f"{1:012x}"]
    assert records.forget("Ärmel") == [f"{3:012x}"]


def test_nothing_of_a_forgotten_account_is_left_in_the_file(tmp_path):
    records = Records(sqlite_engine(tmp_path / "a.db"))
    for number in range(50):
        records.add(job(number, account="ann-of-amsterdam" if number % 3 else "bob"))
    records.close()
    assert b"ann-of-amsterdam" in (tmp_path / "a.db").read_bytes()
    records.forget("ann-of-amsterdam")
    records.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]
    assert b"ann-of-amsterdam" not in (tmp_path / "a.db").read_bytes()


# ---- how a run ended -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "outcome"), [
    (InputError("x", code="image.kind"), "refused image.kind"), (ResultWithheld(), "refused result.withheld"),
    (Cancelled(), "stopped"), (KeyboardInterrupt(), "stopped"), (WeightsError("x"), "failed"), (OSError(), "failed"),
])  # fmt: skip
def test_outcomes(error, outcome):
    assert outcome_of(error) == outcome


def differences(connection) -> list:
    """What the tables lack or have too much, compared with every model there is."""
    import catvton.service.account_tables  # noqa: F401  the other tables of the same database

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
    return compare_metadata(context, Base.metadata)


# ---- the database ----------------------------------------------------------------------------------------------------


def test_sqlite_writes_ahead_and_is_private(records, tmp_path):
    records.add(FULL)
    path = tmp_path / "data" / "catvton.db"
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_migrations_make_what_the_models_say(tmp_path):
    with sqlite_engine(tmp_path / "a.db").begin() as connection:
        upgrade(connection)
        assert differences(connection) == []
        upgrade(connection)  # nothing is left to do


def test_a_migration_runs_wholly_or_not_at_all(tmp_path, monkeypatch):
    from catvton.records.migrations.versions import v0001_jobs

    engine = sqlite_engine(tmp_path / "a.db")
    monkeypatch.setattr(v0001_jobs.op, "create_index", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        upgrade(connection)
    monkeypatch.undo()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT name FROM sqlite_master")).all() == []
        upgrade(connection)


def test_a_database_of_a_newer_program_is_left_alone(records, tmp_path):
    records.add(FULL)
    with sqlite3.connect(tmp_path / "data" / "catvton.db") as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    later = Records(sqlite_engine(tmp_path / "data" / "catvton.db"))
    with pytest.raises(RecordsError, match="newer version"):
        later.list()
    assert records.list() == [FULL]


def test_other_tables_in_the_database_are_let_be(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
        connection.execute("INSERT INTO orders VALUES ('shirt')")
    Records(sqlite_engine(tmp_path / "a.db")).add(FULL)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        assert connection.execute("SELECT name FROM orders").fetchall() == [("shirt",)]


def test_many_writers_at_once(tmp_path):
    """Four connections of their own to a database that none of them has made yet."""
    stores = [Records(sqlite_engine(tmp_path / "a.db")) for _ in range(4)]

    def write(store: Records, first: int) -> None:
        for number in range(first, first + 25):
            store.add(job(number))

    threads = [threading.Thread(target=write, args=(store, 25 * index), daemon=True)
               for index, store in enumerate(stores)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(stores[0].list(limit=1000)) == 100


def test_a_new_connection_leaves_the_locks_of_the_others(tmp_path):
    """Whoever opens and closes the file by hand drops all locks of its process: another then tidies the log away."""
    first, second = (Records(sqlite_engine(tmp_path / "a.db")) for _ in range(2))
    first.add(job(1))
    assert second.list() == [job(1)]
    count = "import sqlite3; d = sqlite3.connect('a.db'); print(*d.execute('SELECT count(*) FROM jobs')); d.close()"

    def counted_elsewhere() -> str:
        return subprocess.run([sys.executable, "-c", count], cwd=tmp_path, check=True, capture_output=True,
                              text=True).stdout.strip()  # fmt: skip

    assert counted_elsewhere() == "(1,)"
    assert (tmp_path / "a.db-wal").exists()
    first.add(job(2))
    assert counted_elsewhere() == "(2,)"


def test_where_the_database_lies(tmp_path):
    engine = open_database(Settings(data_dir=tmp_path / "kept"))
    assert engine.url.database == str(tmp_path / "kept" / "catvton.db")
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is used
    elsewhere = open_database(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/other.db"))
    assert elsewhere.url.database == f"{tmp_path}/other.db"


@pytest.mark.parametrize("name", ["what?", "50%", "a#b", "für@uns:1", "a b+c&d=e"])
def test_folders_of_any_name(tmp_path, name):
    Records.of(Settings(data_dir=tmp_path / name)).add(FULL)
    assert (tmp_path / name / "catvton.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_records_are_kept_in_a_file(url):
    with pytest.raises(SettingsError, match="names no file"):
        url_engine(url)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_with_psycopg(scheme):
    engine = url_engine(f"{scheme}://ann:secret@127.0.0.1:1/shop")
    assert engine.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["somewhere", "nodatabase://ann:secret@host/x", "://:secret@"])
def test_an_address_that_is_none_is_a_setting_to_mend(url):
    with pytest.raises(SettingsError, match="CATVTON_DATABASE_URL") as caught:
        url_engine(url)
    assert "somewhere" not in str(caught.value) and "secret" not in str(caught.value)


def test_without_the_driver_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r"requirements-postgres\.txt"):
        url_engine("postgresql://ann@127.0.0.1/shop")


def test_no_fault_tells_the_password():
    away = Records(url_engine("postgresql://ann:secret@127.0.0.1:1/shop"))
    with pytest.raises(RecordsError) as caught:
        away.list()
    assert "secret" not in str(caught.value) and "OperationalError" in str(caught.value)


def test_a_broken_file_is_said_in_words(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database" * 100)
    with pytest.raises(RecordsError, match="cannot be used"):
        Records(sqlite_engine(tmp_path / "a.db")).list()


# ---- the keeper ------------------------------------------------------------------------------------------------------


class Shelf:
    """A store that is away as long as a test says so."""

    def __init__(self) -> None:
        self.away, self.jobs, self.purged, self.tries, self.closed = False, [], [], 0, 0

    def add(self, job):
        self.tries += 1
        if self.away:
            raise RecordsError("The database is away.")
        self.jobs.append(job)

    def purge(self, *, before):
        if self.away:
            raise RecordsError("The database is away.")
        self.purged.append(before)
        return 0

    def close(self):
        self.closed += 1


def until(true, seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_job_is_written_before_the_picture_is_handed_out():
    shelf = Shelf()
    keeper = Keeper(shelf)
    keeper.record(FULL)
    assert shelf.jobs == [FULL]
    assert keeper.counts() == Counts(written=1)
    keeper.close()
    keeper.close()
    assert shelf.closed == 2


def test_a_database_that_goes_away_and_comes_back(caplog):
    shelf = Shelf()
    keeper = Keeper(shelf, retry=0.02)
    shelf.away = True
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        for number in range(3):
            keeper.record(job(number))
        until(lambda: shelf.tries > 3)
    counts = keeper.counts()
    assert counts.waiting == 3 and counts.failures >= 1 and counts.written == 0
    assert f"job {0:012x}: its record has to wait" in caplog.text
    shelf.away = False
    until(lambda: keeper.counts().waiting == 0)
    assert [int(each.id, 16) for each in shelf.jobs] == [0, 1, 2]  # in their order, none twice
    keeper.record(job(3))
    assert keeper.counts().written == 4 and keeper.counts().lost == 0
    keeper.close()


def test_while_it_is_away_nobody_waits_for_it_to_fail_again():
    shelf = Shelf()
    keeper = Keeper(shelf, retry=60)
    shelf.away = True
    for number in range(50):
        keeper.record(job(number))
    assert shelf.tries == 1
    shelf.away = False
    keeper.close()  # writes what waits
    assert len(shelf.jobs) == 50


def test_what_cannot_be_written_at_the_end_is_said(caplog):
    shelf = Shelf()
    keeper = Keeper(shelf, retry=60)
    shelf.away = True
    keeper.record(FULL)
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        keeper.close()
    assert "the records of 1 jobs are lost" in caplog.text


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr("catvton.records.keeper.MOST_WAITING", 5)
    assert MOST_WAITING == 10_000
    shelf = Shelf()
    keeper = Keeper(shelf, retry=60)
    shelf.away = True
    for number in range(8):
        keeper.record(job(number))
    assert (keeper.counts().waiting, keeper.counts().lost) == (5, 3)
    shelf.away = False
    keeper.close()
    assert [int(each.id, 16) for each in shelf.jobs] == [3, 4, 5, 6, 7]


class Stuck(Shelf):
    """A store whose `add` does not return before a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def add(self, job):
        self.tries += 1
        assert self.go_on.wait(60)
        self.jobs.append(job)


def test_a_database_that_does_not_answer_costs_one_caller_a_moment_and_the_others_nothing(caplog):
    shelf = Stuck()
    keeper = Keeper(shelf, patience=0.05, retry=60)
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        for number in range(20):
            keeper.record(job(number))  # returns, though nothing is written
    assert (shelf.tries, keeper.counts().waiting) == (1, 20)
    assert caplog.text.count("the database does not answer") == 1
    shelf.go_on.set()
    until(lambda: keeper.counts().waiting == 0)
    keeper.record(job(20))
    assert [int(each.id, 16) for each in shelf.jobs] == list(range(21))
    keeper.close()


def test_many_runs_that_end_at_once_all_wait_for_their_records():
    class Slow(Shelf):
        def add(self, job):
            time.sleep(0.005)
            super().add(job)

    shelf, unwritten = Slow(), []
    keeper = Keeper(shelf, patience=60)

    def end(number: int) -> None:
        keeper.record(job(number))
        if job(number) not in shelf.jobs:
            unwritten.append(number)

    threads = [threading.Thread(target=end, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unwritten == [] and len(shelf.jobs) == 16
    keeper.close()


def test_a_record_that_will_never_be_taken_holds_nobody_up(caplog):
    class Picky(Shelf):
        def add(self, job):
            if job.id == f"{1:012x}":
                raise RecordRefused("It does not fit.")
            super().add(job)

    shelf = Picky()
    keeper = Keeper(shelf, retry=60)
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        for number in range(3):
            keeper.record(job(number))
    assert [int(each.id, 16) for each in shelf.jobs] == [0, 2]
    assert (keeper.counts().lost, keeper.counts().waiting) == (1, 0)
    assert f"the record of job {1:012x} is lost: It does not fit." in caplog.text
    keeper.close()


def test_a_run_that_ends_after_the_keeper_is_written_or_its_loss_is_said(caplog):
    shelf = Shelf()
    keeper = Keeper(shelf)
    keeper.close()
    keeper.record(job(1))
    shelf.away = True
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        keeper.record(job(2))
    assert [int(each.id, 16) for each in shelf.jobs] == [1]
    assert f"the record of job {2:012x} is lost" in caplog.text


def test_old_records_go_at_the_start_and_from_then_on():
    shelf = Shelf()
    keeper = Keeper(shelf, days=30, sweep=0.02, retry=0.02, now=lambda: NOON)
    assert shelf.purged == []
    keeper.start()
    until(lambda: len(shelf.purged) >= 3)
    keeper.close()
    assert set(shelf.purged) == {NOON - timedelta(days=30)}


def test_a_sweep_that_fails_ends_nothing(caplog):
    shelf = Shelf()
    shelf.away = True
    keeper = Keeper(shelf, days=30, sweep=0.02, retry=0.02)
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        keeper.start()
        until(lambda: "could not be removed" in caplog.text)
    shelf.away = False
    until(lambda: shelf.purged)
    keeper.close()


def test_from_the_settings(tmp_path):
    keeper = Keeper.from_settings(Settings(data_dir=tmp_path, records_days=5, history_hours=2))
    keeper.record(job(1, time=datetime.now(UTC) - timedelta(days=6)), [Image.new("RGB", (40, 40))])
    keeper.record(job(2, time=datetime.now(UTC)))
    keeper.sweep()
    assert [each.id for each in Records.of(Settings(data_dir=tmp_path)).list()] == [f"{2:012x}"]
    assert [path.name for path in (tmp_path / "history").iterdir()] == [f"{1:012x}-1.png"]
    keeper.close()


def test_results_are_not_kept_longer_than_the_records_that_say_whose_they_are(tmp_path):
    with pytest.raises(SettingsError, match=r"CATVTON_HISTORY_HOURS.*CATVTON_RECORDS_DAYS"):
        Keeper.from_settings(Settings(data_dir=tmp_path, records_days=2, history_hours=49))
    Keeper.from_settings(Settings(data_dir=tmp_path, records_days=2, history_hours=48)).close()


# ---- the history -----------------------------------------------------------------------------------------------------


def test_without_a_history_no_picture_is_kept(tmp_path):
    keeper = Keeper.from_settings(Settings(data_dir=tmp_path))
    keeper.record(FULL, [Image.new("RGB", (40, 40))])
    keeper.close()
    assert {path.name for path in tmp_path.rglob("*")} <= {"catvton.db", "catvton.db-wal", "catvton.db-shm"}


def test_results_are_kept_for_their_time(tmp_path):
    history = History(tmp_path / "history", hours=2)
    history.keep(FULL, [Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "blue")])
    names = sorted(path.name for path in (tmp_path / "history").iterdir())
    assert names == [f"{FULL.id}-1.png", f"{FULL.id}-2.png"]
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o700
    said = read_statement((tmp_path / "history" / names[0]).read_bytes())
    assert said == Statement(engine="compact@1", job_id=FULL.id)
    (tmp_path / "history" / f".{FULL.id}-3.png.77.part").write_bytes(b"half")
    assert history.sweep(now=time.time() + 7100) == 0
    assert history.sweep(now=time.time() + 7300) == 3
    assert list((tmp_path / "history").iterdir()) == []


def test_a_running_keeper_removes_them_when_their_time_is_over(tmp_path):
    keeper = Keeper(Shelf(), history=History(tmp_path, hours=0.5 / 3600), sweep=0.02)
    keeper.start()
    keeper.record(FULL, [Image.new("RGB", (40, 40))])
    path = tmp_path / f"{FULL.id}-1.png"
    until(lambda: not path.exists())
    keeper.close()


def test_a_file_that_somebody_holds_open_keeps_no_other_from_going(tmp_path, monkeypatch, caplog):
    history, unlink = History(tmp_path, hours=0), Path.unlink
    for number in (1, 2, 3):
        history.keep(job(number), [Image.new("RGB", (40, 40))])

    def held(path, missing_ok=False):  # as on Windows
        if path.name.startswith(f"{2:012x}"):
            raise PermissionError(13, "in use")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", held)
    with caplog.at_level(logging.ERROR, logger="catvton.records.history"):
        assert history.sweep(now=time.time() + 10) == 2
    assert [path.name for path in tmp_path.iterdir()] == [f"{2:012x}-1.png"]
    assert f"cannot be removed just now: {2:012x}-1.png" in caplog.text


def test_results_of_a_forgotten_account_go(tmp_path):
    history = History(tmp_path / "history", hours=2)
    for number in (1, 2):
        history.keep(job(number), [Image.new("RGB", (40, 40))])
    assert history.forget([f"{1:012x}"]) == 1
    assert [path.name for path in (tmp_path / "history").iterdir()] == [f"{2:012x}-1.png"]
    assert History(tmp_path / "none", hours=1).forget(["x"]) == History(tmp_path / "none", hours=1).sweep() == 0


def test_a_service_with_the_history_turned_off_keeps_none_of_it(tmp_path):
    history = History(tmp_path / "history", hours=2)
    history.keep(FULL, [Image.new("RGB", (40, 40))])
    for name in ("notes.txt", "00c0ffee1234.png", f"{FULL.id}-1.png.bak"):  # somebody else's
        (tmp_path / "history" / name).write_text("not ours")
    handing_out(Settings(data_dir=tmp_path), service=False)
    assert (tmp_path / "history" / f"{FULL.id}-1.png").exists()
    handing_out(Settings(data_dir=tmp_path), service=True)["recorder"].close()
    left = {path.name for path in (tmp_path / "history").iterdir()}
    assert left == {"notes.txt", "00c0ffee1234.png", f"{FULL.id}-1.png.bak"}


def test_a_full_disk_costs_no_picture(tmp_path, caplog):
    (tmp_path / "history").write_text("a file where the folder should be")
    shelf = Shelf()
    keeper = Keeper(shelf, history=History(tmp_path / "history", hours=1))
    with caplog.at_level(logging.ERROR, logger="catvton.records.keeper"):
        keeper.record(FULL, [Image.new("RGB", (40, 40))])
    assert shelf.jobs == [FULL]
    assert "could not be kept" in caplog.text
    keeper.close()


# ---- a killed process ------------------------------------------------------------------------------------------------


def test_kill_9_in_mid_run_leaves_the_records_whole(tmp_path):
    path = tmp_path / "a.db"
    writer = subprocess.Popen([sys.executable, "-m", "tests.records_writer", f"sqlite:///{path}"], cwd=ROOT,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    handed_out = [writer.stdout.readline().strip() for _ in range(15)]
    writer.send_signal(signal.SIGKILL)
    handed_out += [line.strip() for line in writer.stdout if line.endswith("\n")]
    assert writer.wait(30) == -signal.SIGKILL
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = Records(sqlite_engine(path)).list(limit=100_000)
    assert set(handed_out) <= {each.id for each in kept}  # whoever got a picture is in the records
    assert len(kept) <= len(handed_out) + 1
    for each in kept:
        assert (each.outcome, each.account, each.engine, each.pictures) == ("done", "ann", "tiny@0", 1)
        assert set(each.seconds) == {"open", "mask", "place", "generate", "paste"}
