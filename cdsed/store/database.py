"""Opening, migrating and transacting the SQLite file (the only apsw in cdsed).

SQLite comes with apsw's wheels because versions up to 3.51.2 can corrupt a WAL database when two connections
checkpoint at once (https://sqlite.org/wal.html#walresetbug). Below 3.51.3 this module refuses WAL.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from cdsed.errors import StateError
from cdsed.store.queries import migrations

Row = dict[str, Any]

FILE_NAME = "cdsed.sqlite"
APPLICATION_ID = 0x43445345  # "CDSE"
_WAL_SAFE_VERSION = (3, 51, 3)
_BUSY_TIMEOUT_MS = 30_000
_ESCAPED = re.compile(r"\\([0-7]{3})")  # how mountinfo writes white space and backslashes

# SQLite's locks and shared memory do not hold across hosts: https://sqlite.org/wal.html, section 1.
_NETWORK_FILESYSTEMS = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
    ]
)


class Database:
    """One connection to the state; every process opens its own, after it has started.

    Its threads may share it: a lock gives one transaction at a time to one thread.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def write(self) -> Iterator[None]:
        """Run a block in one ``BEGIN IMMEDIATE`` transaction, or join the one this thread is in."""
        with self._lock:
            if self._depth == 0:
                self._run("BEGIN IMMEDIATE", {})
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
                self._run("COMMIT", {})

    @contextmanager
    def read(self) -> Iterator[None]:
        """Run several reads against one and the same state of the database."""
        with self._lock:
            self._run("BEGIN", {})
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def rows(self, sql: str, **values: Any) -> list[Row]:
        """Return all rows of a statement as dictionaries by column."""
        with self._lock:
            return self._run(sql, values)

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

    def changes_seen(self) -> int:
        """Return a number that differs when another connection has committed since the last call."""
        with self._lock:
            return int(self._connection.pragma("data_version"))

    def checkpoint(self) -> None:
        """Fold the write-ahead log back into the file when nobody is in the way."""
        with self._lock:
            self._connection.pragma("wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, values: dict[str, Any]) -> list[Row]:
        try:
            rows: list[Row] = []
            names: list[str] = []
            for cells in (cursor := self._connection.execute(sql, values)):
                names = names or [column[0] for column in cursor.description]
                rows.append(dict(zip(names, cells, strict=True)))
        except apsw.BusyError as error:
            raise StateError(
                f"the state {self._connection.filename} stayed locked for {_BUSY_TIMEOUT_MS // 1000} s; "
                "see which process holds it, then start again"
            ) from error
        except (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.NotADBError) as error:
            raise StateError(f"the state {self._connection.filename} cannot be used: {error}") from error
        return rows


def open_state(state_dir: Path) -> Database:
    """Open the state for reading and writing, creating or upgrading it.

    Parameters
    ----------
    state_dir
        A directory on a local file system; it is created when absent.

    Raises
    ------
    StateError
        The file system is a network one, the schema is newer than this cdsed, or SQLite refuses.
    """
    state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    _refuse_network_filesystem(state_dir)
    path = state_dir / FILE_NAME
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("journal_mode", "wal" if _wal_is_safe(sqlite_version()) else "truncate")
        connection.pragma("synchronous", "FULL")
        connection.pragma("foreign_keys", True)
        _migrate(connection, path)
    except apsw.Error as error:
        raise StateError(f"the state {path} cannot be opened: {error}") from error
    return Database(connection)


def open_read_only(state_dir: Path, *, daemon_runs: bool) -> Database | None:
    """Open the state to look at it, taking no lock; None when there is none yet.

    A reader without write rights cannot open the WAL of a daemon that has stopped. When the daemon's lock
    says that it is stopped and no log is left, the file does not change and may be read as it is.
    """
    path = state_dir / FILE_NAME
    if not path.exists():
        return None
    still = not daemon_runs and not path.with_name(path.name + "-wal").exists()
    uri = f"file:{path.as_posix().replace('?', '%3f').replace('#', '%23')}?mode=ro{'&immutable=1' if still else ''}"
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        version = connection.pragma("user_version")
    except apsw.Error as error:
        raise StateError(f"the state {path} cannot be read: {error}") from error
    if version != len(migrations()):
        raise StateError(
            f"the state {path} has schema {version}, this cdsed reads {len(migrations())}: start the daemon"
        )
    return Database(connection)


def sqlite_version() -> str:
    """Return the version of the SQLite that comes with cdsed."""
    return apsw.sqlite_lib_version()


def _wal_is_safe(sqlite_version: str) -> bool:
    """Tell whether this SQLite is free of the WAL-reset bug."""
    return tuple(int(part) for part in sqlite_version.split(".")[:3]) >= _WAL_SAFE_VERSION


def _migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the schema up to date, each step in one transaction with its number."""
    scripts = migrations()
    version = connection.pragma("user_version")
    if version > len(scripts):
        raise StateError(
            f"the state {path} has schema {version}, newer than the {len(scripts)} of this cdsed: install the newer one"
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been quicker while we waited for the lock.
            if connection.pragma("user_version") < number:
                connection.execute(script)
                connection.pragma("application_id", APPLICATION_ID)
                connection.pragma("user_version", number)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _refuse_network_filesystem(directory: Path) -> None:
    """Raise StateError when the directory lies on a file system where SQLite's locks do not hold."""
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    kind = filesystem_kind(directory.resolve(), mountinfo)
    if kind in _NETWORK_FILESYSTEMS:
        raise StateError(
            f"state_dir {directory} lies on {kind}, a network file system, where SQLite loses data; "
            "set state_dir to a local disk, e.g. /var/lib/cdsed"
        )


def filesystem_kind(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds `path`, from the text of /proc/self/mountinfo (proc(5))."""
    best, kind = "", "unknown"
    for line in mountinfo.split("\n"):
        if " - " not in line:
            continue
        mount, _, rest = line.partition(" - ")
        point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), mount.split(" ")[4])
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind
