"""Opening the one database of the app: SQLite in the data folder, or what CATVTON_DATABASE_URL names."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from catvton.settings import Settings

log = logging.getLogger(__name__)

FILE = "catvton.db"
BUSY = 10.0  # seconds one writer of SQLite waits for another
CONNECT = 3  # seconds a PostgreSQL server has to answer
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
            return sqlite_engine(Path(parsed.database or FILE))
        return create_engine(_with_driver(parsed), pool_pre_ping=True, connect_args={"connect_timeout": CONNECT})
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(f"CATVTON_DATABASE_URL is no address of a database: {EXAMPLE}.") from error
    except ImportError as error:
        raise SettingsError(f"CATVTON_DATABASE_URL needs one more package: {POSTGRES_PACKAGE}") from error


def sqlite_engine(path: Path) -> Engine:
    """An engine for a file, whose folder is made at the first connection. Readers do not wait for writers (WAL)."""
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY})
    event.listen(engine, "do_connect", lambda *_: _make_private(path))
    event.listen(engine, "connect", _prepare)
    # Python's sqlite3 begins a transaction late and as a reader; of two that both go on to write, one is refused.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # accounts are in it; SQLite's own side files follow suit


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # no BEGIN but ours
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")  # whole after a crash of the process, whatever happens
    cursor.close()


def _with_driver(url: URL) -> URL:
    """PostgreSQL is spoken to with psycopg 3, however the address is written."""
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url
