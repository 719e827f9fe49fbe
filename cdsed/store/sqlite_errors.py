"""What SQLite's errors mean for the state: locked, damaged, or a failing disk; never the fault of a product."""

from pathlib import Path

import apsw

from cdsed.errors import StateDamaged, StateDiskError, StateError

#: How long to wait for a lock of another process. It is below ``process.hung_after_s``; a thread that feeds a watchdog
#: must not wait for it.
BUSY_TIMEOUT_MS = 60_000

_BUSY = (apsw.BusyError, apsw.LockedError)
_DAMAGE = (apsw.CorruptError, apsw.NotADBError)
_DISK = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError)
SQLITE_ERRORS = (*_BUSY, *_DAMAGE, *_DISK, apsw.InterruptError)


def state_error(path: Path, error: apsw.Error) -> StateError:
    """Return the error of cdsed for an error of SQLite (one of `SQLITE_ERRORS`, or of opening) at `path`."""
    if isinstance(error, _BUSY):
        return StateError(f"the state {path} stayed locked for {BUSY_TIMEOUT_MS // 1000} s; see which process holds it")
    if isinstance(error, _DAMAGE):
        return StateDamaged(f"the state {path} is damaged ({error}); the next start of the daemon recovers it")
    if isinstance(error, _DISK):
        return StateDiskError(
            f"the state {path} cannot be read or written ({error}): make room on its disk, or repair it"
        )
    return StateError(f"the state {path} cannot be used: {error}")
