"""What the app keeps things in: the folders of weights and data, the database, Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.doctor import Finding, failed, ok, warning
from catvton.doctor.machine import folder

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from catvton.settings import Settings

NEXT_USE = "Nothing: the app brings it up to date at its next start."


def look(settings: Settings) -> Iterator[Finding]:
    from catvton.hub.store import Store
    from catvton.records.database import data_folder

    yield folder("models folder", Store(settings.models_dir).root, "CATVTON_MODELS_DIR")
    yield folder("data folder", data_folder(settings), "CATVTON_DATA_DIR")
    yield database(settings)
    yield redis(settings)


def database(settings: Settings) -> Finding:
    """Whether it answers, and whether its tables are this version's."""
    from sqlalchemy.exc import SQLAlchemyError

    from catvton.errors import SettingsError
    from catvton.records.database import FILE, data_folder, open_database

    if settings.database_url is None and not (data_folder(settings) / FILE).exists():
        return ok("database", f"SQLite; {data_folder(settings) / FILE} is made at its first use.")
    try:
        engine = open_database(settings)
    except SettingsError as error:
        return failed("database", str(error), "Correct CATVTON_DATABASE_URL, or install what it needs.")
    try:
        with engine.connect() as connection:
            return _tables(connection, engine.dialect.name)
    except (SQLAlchemyError, OSError) as error:
        why = type(getattr(error, "orig", None) or error).__name__
        return failed("database", f"The {engine.dialect.name} database does not answer ({why}).",
                      "Is the server running, and CATVTON_DATABASE_URL right? Accounts and records need it.")
    finally:
        engine.dispose()


def _tables(connection: Connection, kind: str) -> Finding:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from catvton.records import migrations

    options = {"version_table": migrations.VERSION_TABLE}
    found = MigrationContext.configure(connection, opts=options).get_current_revision()
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    known = {script.revision for script in scripts.walk_revisions()}
    if found == scripts.get_current_head():
        return ok("database", f"The {kind} database answers, and its tables are up to date.")
    if found is None:
        return warning("database", f"The {kind} database answers and has no tables yet.", NEXT_USE)
    if found in known:
        return warning("database", f"The {kind} database answers; its tables are those of an older version.", NEXT_USE)
    return failed("database", f"The {kind} database was made by a newer version of this program.", "Update this one.")


def redis(settings: Settings) -> Finding:
    from catvton.errors import SettingsError
    from catvton.service.sharing import Away, SharedRedis

    if settings.redis_url is None:
        return ok("redis", "Not used: limits and jobs are kept in each process, which is right for a single one.")
    try:
        shared = SharedRedis(settings.redis_url.get_secret_value())
    except SettingsError as error:
        return failed("redis", str(error), "Correct CATVTON_REDIS_URL.")
    try:
        shared.use(lambda client: client.ping())
    except Away as error:
        why = type(error.__cause__).__name__
        return failed("redis", f"It does not answer ({why}): each replica counts for itself meanwhile.",
                      "Is the server running, and CATVTON_REDIS_URL right, its password too?")
    finally:
        shared.close()
    return ok("redis", "It answers.")
