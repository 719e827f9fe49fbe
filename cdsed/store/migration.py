"""Upgrade the schema of a state, or refuse one that is newer than this cdsed."""

from pathlib import Path

import apsw

from cdsed.errors import StateDamaged, StateRefused
from cdsed.store.queries import migrations, whole_schema

APPLICATION_ID = 0x43445345  # "CDSE"


def newest_schema() -> int:
    """Return the number of the schema that this cdsed uses."""
    return len(migrations())


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Make or upgrade the schema in one transaction: a reader sees the old schema or the new one.

    Raises
    ------
    StateRefused
        The schema is newer than this cdsed.
    StateDamaged
        A row names another row that does not exist.
    """
    scripts = migrations()
    if connection.pragma("user_version") == len(scripts):
        return
    connection.pragma("foreign_keys", False)  # a migration may replace a table; the keys are checked at the end
    connection.execute("BEGIN IMMEDIATE")
    try:
        _refuse_newer(version := connection.pragma("user_version"), path)  # another process may have upgraded it
        if connection.pragma("schema_version") == 0:
            connection.execute(whole_schema())
            version = connection.pragma("user_version")
        for script in scripts[version:]:
            connection.execute(script)
        _refuse_dangling(connection, path)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(scripts))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # on a full disk SQLite has already rolled it back
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.pragma("foreign_keys", True)


def _refuse_dangling(connection: apsw.Connection, path: Path) -> None:
    if row := connection.execute("PRAGMA foreign_key_check").fetchone():
        raise StateDamaged(
            f"the state {path} cannot be upgraded: a row of {row[0]} names a row of {row[2]} that does not exist"
        )


def _refuse_newer(version: int, path: Path) -> None:
    if version > newest_schema():
        raise StateRefused(
            f"the state {path} has schema {version}, newer than the {newest_schema()} of this cdsed: install the newer "
            "one again, or go back to the backup made before the upgrade with `cdsed state restore`"
        )
