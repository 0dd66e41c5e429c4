"""Opening the one database of the app: SQLite in the data folder, or what CATVTON_DATABASE_URL names."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import URL, Dialect, Engine

    from catvton.settings import Settings

log = logging.getLogger(__name__)

FILE = "catvton.db"
BUSY = 10.0  # seconds one writer of SQLite waits for another
# Of a PostgreSQL server: seconds it has to answer at first, and what tells that a connection is broken.
CONNECT = {"connect_timeout": 3, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
           "tcp_user_timeout": 15_000}  # fmt: skip
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "data"
POSTGRES_PACKAGE = "python -m pip install -r requirements-postgres.txt"
EXAMPLE = "postgresql://name:password@host/catvton is one"


def data_folder(settings: Settings) -> Path:
    """Where what is kept lies: `data` beside the app's own code, or what CATVTON_DATA_DIR names. May not exist yet."""
    return DEFAULT_FOLDER if settings.data_dir is None else settings.data_dir.expanduser().absolute()


def open_database(settings: Settings) -> Engine:
    """An engine for the database; nothing is connected yet. Raises SettingsError for an address that is none."""
    if settings.database_url is None:
        return sqlite_engine(data_folder(settings) / FILE)
    return url_engine(settings.database_url.get_secret_value())


def url_engine(url: str) -> Engine:
    """An engine for SQLAlchemy's address of a database. Raises SettingsError; the address is in no sentence."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return sqlite_engine(_file_of(parsed))
        return create_engine(_with_driver(parsed), pool_pre_ping=True, connect_args=CONNECT)
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(f"CATVTON_DATABASE_URL is no address of a database: {EXAMPLE}.") from error
    except ImportError as error:
        raise SettingsError(f"CATVTON_DATABASE_URL needs one more package: {POSTGRES_PACKAGE}") from error


def sqlite_engine(path: Path) -> Engine:
    """An engine for a file, whose folder is made at the first connection. Transactions take turns; each is short."""
    from sqlalchemy import URL, create_engine, event

    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY})
    event.listen(engine, "do_connect", lambda dialect, _, args, options: _connect(path, dialect, args, options))
    event.listen(engine, "connect", _prepare)
    # Python's sqlite3 begins a transaction late and as a reader; of two that both go on to write, one is refused.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _connect(path: Path, dialect: Dialect, args: Any, options: Any) -> Any:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = not path.exists()
    connection = dialect.connect(*args, **options)
    if new:
        # Accounts are in it; SQLite's own side files follow suit. By its name: whoever opens the file and closes it
        # again drops every lock this process has on it, and another process may then tidy up under our hands.
        path.chmod(0o600)
    return connection


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # no BEGIN but ours
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")  # whole after a crash of the process, whatever happens
    cursor.execute("PRAGMA secure_delete = ON")  # what is forgotten is written over
    cursor.close()


def _file_of(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise SettingsError("CATVTON_DATABASE_URL names no file: sqlite:///records.db does.")
    return Path(url.database)


def _with_driver(url: URL) -> URL:
    """PostgreSQL is spoken to with psycopg 3, however the address is written."""
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url
