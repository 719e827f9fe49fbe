"""The version of SQLite, which comes with the wheels of apsw, and whether it may use WAL.

Versions up to 3.51.2 can corrupt a WAL database when two connections checkpoint at once
(https://sqlite.org/wal.html#walresetbug).
"""

import apsw

_WAL_SAFE_VERSION = (3, 51, 3)


def sqlite_version() -> str:
    """Return the version of the SQLite that comes with cdsed."""
    return apsw.sqlite_lib_version()


def wal_is_safe(sqlite_version: str) -> bool:
    """Tell whether this SQLite is free of the WAL-reset bug."""
    return tuple(int(part) for part in sqlite_version.split(".")[:3]) >= _WAL_SAFE_VERSION
