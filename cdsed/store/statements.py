"""Run statements on a connection, each of them prepared once."""

from pathlib import Path
from typing import Any

import apsw

from cdsed.store.sqlite_errors import SQLITE_ERRORS, state_error

#: Prepared statements that a connection keeps. A worker has about 150, and preparing a long one takes a millisecond.
KEPT = 400


def keep_plans(connection: apsw.Connection) -> None:
    """Prevent that SQLite prepares statements again at each execution, because other values may suit another plan."""
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


class Statements:
    """The statements of one connection; `path` is its file."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._columns: dict[str, list[str]] = {}  # the names of the columns of each statement that gave a row

    def run(self, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all rows of a statement as dictionaries by column."""
        try:
            cursor = self._connection.execute(sql, values)
            names = self._columns.get(sql)
            if names is None:
                first = next(cursor, None)
                if first is None:
                    return []
                names = self._columns[sql] = [column[0] for column in cursor.description]
                return [dict(zip(names, cells, strict=True)) for cells in (first, *cursor)]
            return [dict(zip(names, cells, strict=True)) for cells in cursor]
        except SQLITE_ERRORS as error:
            raise state_error(self._path, error) from error
