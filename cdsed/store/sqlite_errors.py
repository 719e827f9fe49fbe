"""What SQLite's errors mean for the state: locked, damaged, or a disk in trouble; never a product's fault."""

from pathlib import Path

import apsw

from cdsed.errors import StateDamaged, StateDiskError, StateError

#: A foreign lock is waited for this long; below ``process.hung_after_s``, and no thread that feeds a watchdog waits so.
BUSY_TIMEOUT_MS = 60_000

_BUSY = (apsw.BusyError, apsw.LockedError)
_DAMAGE = (apsw.CorruptError, apsw.NotADBError)
_DISK = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.CantOpenError)
SQLITE_ERRORS = (*_BUSY, *_DAMAGE, *_DISK, apsw.InterruptError)


def state_error(path: Path, error: apsw.Error) -> StateError:
    """Return what an error of SQLite (one of `SQLITE_ERRORS`, or of opening) means for the state at `path`."""
    if isinstance(error, _BUSY):
        return StateError(f"the state {path} stayed locked for {BUSY_TIMEOUT_MS // 1000} s; see which process holds it")
    if isinstance(error, _DAMAGE):
        return StateDamaged(f"the state {path} is damaged ({error}); the next start of the daemon recovers it")
    if isinstance(error, _DISK):
        return StateDiskError(
            f"the state {path} cannot be read or written ({error}): make room on its disk, or mend it"
        )
    return StateError(f"the state {path} cannot be used: {error}")
