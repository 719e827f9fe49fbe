"""Opening, migrating and transacting the SQLite file (the only apsw in cdsed).

It uses WAL unless this SQLite has a bug in it, see `cdsed.store.sqlite_version`.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from cdsed.errors import StateDamaged, StateError
from cdsed.store.filesystem import file_identity, refuse_network_filesystem, sync_data
from cdsed.store.migration import migrate, newest_schema
from cdsed.store.patience import Patience
from cdsed.store.sqlite_errors import BUSY_TIMEOUT_MS, state_error
from cdsed.store.sqlite_version import sqlite_version, wal_is_safe
from cdsed.store.statements import KEPT, Statements, keep_plans
from cdsed.store.wake import WAKE_NAME, announce

Row = dict[str, Any]

FILE_NAME = "cdsed.sqlite"
_IN_VAIN_S = 5.0
_LOOK_S = 0.005  # a heartbeat must not wait longer


class Database:
    """One connection to the state; every process opens its own, after it has started.

    The threads of a process may share it: a lock lets one thread at a time run a transaction.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._path = Path(connection.filename)
        self._identity = file_identity(self._path)
        self._log = self._path.with_name(f"{self._path.name}-wal")
        self._wake = self._path.with_name(WAKE_NAME)
        self._lock = threading.RLock()
        self._depth = 0
        self._in_vain_s = -_IN_VAIN_S  # when a wait for the write lock last timed out
        self._syncs = True  # as `_open` sets it
        self._synced_s = 0.0
        self._run = Statements(connection, self._path).run

    @contextmanager
    def write(self, *, undo: bool = False, durable: bool = True) -> Iterator[None]:
        """Run a block in one ``BEGIN IMMEDIATE`` transaction, or join the one that this thread is in.

        The outermost block decides both.

        Parameters
        ----------
        undo
            The transaction is rolled back at its end: it only shows what it would do.
        durable
            False: a power cut may lose the transaction, with all that follow until the next durable one. A kill loses
            nothing. For what the next start finds out again, see docs/decisions/0024-what-a-power-cut-may-lose.md.
        """
        asked_s = time.monotonic()
        with self._lock:
            if self._depth == 0:
                self._sync_commits(durable=durable)
                self._begin(asked_s)
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._run("ROLLBACK", {}) if undo else self._commit()

    def sync(self) -> None:
        """Make all commits so far durable, without the write lock: other processes commit meanwhile.

        Their commits may be seen before they are durable, so what people rely on is committed with ``durable`` instead.
        The log may be opened and closed: SQLite locks the other two files.
        """
        if wal_is_safe(sqlite_version()):
            self._synced_s = time.monotonic()
            sync_data(self._log)

    @property
    def unsynced_for_s(self) -> float:
        """For how long this process has not made its commits durable."""
        return time.monotonic() - self._synced_s

    @contextmanager
    def without_triggers(self) -> Iterator[None]:
        """Run a part of a transaction without triggers, and without checks of foreign keys and of values.

        For new rows by the thousand, of a form that the checks allow: the caller does by the set what triggers would
        do for each row. The checks of values take half the time of an insertion.
        """
        assert self._depth > 0, "only in a transaction, which a failure rolls back"
        try:
            self._check_rows(False)
            yield
        finally:
            self._check_rows(True)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Run several reads on the same snapshot of the database."""
        with self._lock:
            self._run("BEGIN", {})
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def rows(self, sql: str, **values: Any) -> list[Row]:
        """Return all rows of a statement as dictionaries by column."""
        with self._lock:
            before = self._connection.total_changes()
            rows = self._run(sql, values)
            if self._depth == 0 and self._connection.total_changes() != before:
                announce(self._wake)
            return rows

    def row(self, sql: str, **values: Any) -> Row | None:
        """Return the first row of a statement, or None."""
        rows = self.rows(sql, **values)
        return rows[0] if rows else None

    def value(self, sql: str, **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = self.row(sql, **values)
        return next(iter(row.values())) if row else None

    def stream(self, sql: str, **values: Any) -> Iterator[Row]:
        """Yield rows by pages of keyset ``:after`` so that no read stays open for long.

        The statement must select a column ``position``, filter ``> :after``, order by it and limit itself.
        """
        after = -1
        while rows := self.rows(sql, after=after, **values):
            yield from rows
            after = rows[-1]["position"]

    def changes_seen(self) -> int | None:
        """Return a number that changes when another connection commits; None if another thread keeps this one."""
        if not self._lock.acquire(timeout=_LOOK_S):
            return None
        try:
            return int(self._connection.pragma("data_version"))
        finally:
            self._lock.release()

    def changes(self) -> tuple[int, int]:
        """Return a value that differs after every change of the state, by another connection or by this one."""
        with self._lock:
            return int(self._connection.pragma("data_version")), self._connection.total_changes()

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the file, as far as no other connection still needs it."""
        self.rows("PRAGMA wal_checkpoint(PASSIVE)")

    def is_in_place(self) -> bool:
        """Tell whether the path still names the file that this connection has open, and the same for its log."""
        return file_identity(self._path) == self._identity

    def problems(self) -> list[str]:
        """Return the errors that SQLite finds in the file; an empty list when it is sound."""
        try:
            found = [str(row["quick_check"]) for row in self.rows("PRAGMA quick_check(10)")]
        except StateDamaged as error:
            return [str(error)]
        return [text for text in found if text != "ok"]

    def dangling(self) -> list[str]:
        """Return the rows that name a row that does not exist; it takes twice as long as `problems`."""
        return [
            f"row {row['rowid']} of {row['table']} names a row of {row['parent']} that does not exist"
            for row in self.rows("PRAGMA foreign_key_check")
        ]

    def copy_into(self, path: Path) -> None:
        """Write a complete, compact copy into an empty or absent file; other connections may write meanwhile."""
        self.rows("VACUUM INTO :path", path=str(path))

    def interrupt(self) -> None:
        """Make the statement that another thread runs on this connection fail at once."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _check_rows(self, checked: bool) -> None:
        for switch in (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, apsw.SQLITE_DBCONFIG_ENABLE_FKEY):
            self._connection.config(switch, int(checked))
        self._connection.pragma("ignore_check_constraints", not checked)

    def _sync_commits(self, *, durable: bool) -> None:
        """Let the next commits sync the log of the state, or not; without WAL all must, for the file may be damaged."""
        if durable is not self._syncs and wal_is_safe(sqlite_version()):
            self._run(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}", {})
            self._syncs = durable

    def _begin(self, asked_s: float) -> None:
        """Take the write lock; wait for it, unless a wait of this process has just timed out.

        Threads that queued up meanwhile only try once: otherwise each would wait for the whole timeout in turn.
        """
        waits = asked_s >= self._in_vain_s + _IN_VAIN_S
        self._connection.set_busy_handler(Patience(BUSY_TIMEOUT_MS / 1000 if waits else 0.0))
        try:
            self._run("BEGIN IMMEDIATE", {})
        except StateError:
            self._in_vain_s = time.monotonic() if waits else self._in_vain_s
            raise
        finally:
            self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)

    def _commit(self) -> None:
        try:
            self._run("COMMIT", {})
        except StateError:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        if self._syncs:
            self._synced_s = time.monotonic()
        announce(self._wake)


def open_state(state_dir: Path) -> Database:
    """Open the state for reading and writing; create it and its directory, or upgrade it.

    Raises
    ------
    StateRefused
        It is on a network file system, or its schema is newer than this cdsed.
    StateError
        SQLite refuses it: locked, damaged, or its disk fails.
    """
    state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    refuse_network_filesystem(state_dir)
    return _open(state_dir / FILE_NAME, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, migrate)


def join_state(state_dir: Path) -> Database:
    """Open the state that the daemon has prepared; a worker must never create an empty one.

    Raises
    ------
    StateDamaged
        The file is absent.
    StateError
        It has another schema than this cdsed, or SQLite refuses it.
    """
    path = state_dir / FILE_NAME
    if not path.exists():
        raise StateDamaged(f"the state {path} is gone; start the daemon again, which recovers it")
    return _open(path, apsw.SQLITE_OPEN_READWRITE, _expect_this_schema)


def open_as_it_is(state_dir: Path) -> Database:
    """Open the file of a state with any schema, to examine or copy it; StateError where SQLite refuses it."""
    return _open(state_dir / FILE_NAME, apsw.SQLITE_OPEN_READWRITE, lambda *_: None)


def open_read_only(state_dir: Path, *, daemon_runs: bool) -> Database | None:
    """Open the state for reading, without a lock; None if it does not exist yet.

    A reader without write rights cannot open the WAL of a daemon that has stopped. When the daemon's lock is free and
    no log is left, the file does not change, so it is opened as immutable.
    """
    path = state_dir / FILE_NAME
    if not path.exists():
        return None
    still = not daemon_runs and not path.with_name(path.name + "-wal").exists()
    uri = f"file:{path.as_posix().replace('?', '%3f').replace('#', '%23')}?mode=ro{'&immutable=1' if still else ''}"
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        version, tables = connection.pragma("user_version"), connection.pragma("schema_version")
    except apsw.Error as error:
        raise state_error(path, error) from error
    if version == tables == 0:  # the daemon is still creating it
        connection.close()
        return None
    if version != newest_schema():
        connection.close()
        raise StateError(
            f"the state {path} has schema {version}, this cdsed reads {newest_schema()}: "
            + ("start the daemon" if version < newest_schema() else "use the newer cdsed")
        )
    return Database(connection)


def _open(path: Path, flags: int, prepare: Callable[[apsw.Connection, Path], None]) -> Database:
    try:
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=KEPT)
    except apsw.Error as error:
        raise state_error(path, error) from error
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.pragma("journal_mode", "wal" if wal_is_safe(sqlite_version()) else "truncate")
        connection.pragma("synchronous", "FULL")
        connection.pragma("foreign_keys", True)
        keep_plans(connection)
        prepare(connection, path)
    except BaseException as error:
        connection.close()
        if isinstance(error, apsw.Error):
            raise state_error(path, error) from error
        raise
    return Database(connection)


def _expect_this_schema(connection: apsw.Connection, path: Path) -> None:
    if (version := connection.pragma("user_version")) != newest_schema():
        raise StateError(f"the state {path} has schema {version}, not {newest_schema()}: start the daemon again")
