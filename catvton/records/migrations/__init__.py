"""Bringing a database up to the newest version of the tables, at its first use and in one transaction."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catvton.records.errors import RecordsError

if TYPE_CHECKING:
    from sqlalchemy import Connection

NEWEST = "head"
VERSION_TABLE = "records_version"
_TURNS = threading.Lock()  # what alembic works on is the whole process's: two at once would mix their connections up
_LOCK = 0x63617476  # any number: PostgreSQL's advisory lock by which replicas that start together take turns


def upgrade(connection: Connection, to: str = NEWEST) -> None:
    """Run the migrations that are missing, inside the connection's transaction.

    Raises:
        RecordsError: the database was made by a newer version of this program.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)

    def missing(revision: Any, _: Any) -> Any:
        return scripts._upgrade_revs(to, revision)  # what alembic's own `upgrade` command hands over

    with _TURNS, EnvironmentContext(config, scripts, fn=missing, destination_rev=to) as environment:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        environment.configure(connection=connection, version_table=VERSION_TABLE, render_as_batch=True)
        try:
            environment.run_migrations()
        except CommandError as error:
            raise RecordsError("The database was made by a newer version of this program: update this one.") from error
