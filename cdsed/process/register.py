"""Which sessions of an account are in use on this machine, by any daemon of this user.

The state of a daemon counts only its own sessions. So each session is also locked in a directory that all daemons of
this user on this machine share. Together they hold at most the sessions that an account has.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.process.lock import KernelLock, is_free

#: The environment variable of another directory: for tests, and for daemons that must not share sessions.
VARIABLE = "CDSED_REGISTER_DIR"
#: The directory of systemd units (``RuntimeDirectory=cdsed``). All units share it; each has a private /tmp.
_OF_UNITS = Path("/run/cdsed")

_KEPT = re.compile(rb"\0([0-9]{16}\.[0-9]{3})\n")
_KEPT_MAX_S = 2 * 86_400.0
_SAID = re.compile(r"([0-9]+) (/[^\0\n]*)\n")


def register_dir(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that daemons of this user share on this machine; None if it is not safe.

    A missing directory is made.
    """
    named = environ.get(VARIABLE)
    if not named and _is_private(_OF_UNITS):
        return _OF_UNITS
    path = Path(named or f"/tmp/cdsed-{os.geteuid()}")  # noqa: S108 - its owner and mode are checked
    with suppress(OSError):
        path.mkdir(mode=0o700, exist_ok=True)
    return path if _is_private(path) else None


def _is_private(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & others


class Register:
    """The locks of one daemon's sessions in the directory that it shares with others.

    Parameters
    ----------
    directory
        The result of `register_dir`; None: nothing is shared.
    pid, state_dir
        Of this daemon, for the messages of other daemons.
    """

    def __init__(self, directory: Path | None, pid: int, state_dir: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._directory = directory
        self._pid = pid
        self._state_dir = state_dir
        self._clock = clock

    def take(self, mark: str, slot: int) -> KernelLock | None:
        """Lock a session of the account with this mark.

        Returns
        -------
        KernelLock
            None if another daemon on this machine has the session, or a connection of one that has died may still be
            open on another machine. Where nothing is shared, a lock that is not held.
        """
        lock = KernelLock(self._path(mark, slot))
        if self._directory is None:
            return lock
        try:
            if not lock.acquire():
                return None
            if self._is_kept(lock.path):
                lock.release()
                return None
            self.keep(lock, 0.0)
        except OSError:  # the directory was removed, or its disk is full: the lock in the state directory still counts
            lock.release()
        return lock

    def keep(self, lock: KernelLock, seconds: float) -> None:
        """Let no process take a session for so long from now on, even if this process dies; raises OSError."""
        if lock.held:
            until_s = self._clock.boot_s() + seconds if seconds else 0.0
            lock.note(f"{self._pid} {self._state_dir}\n\0{until_s:020.3f}\n".encode())

    def _is_kept(self, path: Path) -> bool:
        """Tell whether the last holder wanted a session to be kept; a time from before the last boot is too large."""
        kept = _KEPT.search(path.read_bytes())
        return kept is not None and 0 < float(kept[1]) - self._clock.boot_s() <= _KEPT_MAX_S

    def others(self, mark: str, slots: Iterable[int]) -> str:
        """Return which other daemons use sessions of an account now, in words; '' if there are none."""
        found = {owner for slot in slots if (owner := self._other(self._path(mark, slot)))}
        return "; ".join(sorted(found))

    def _other(self, path: Path) -> str:
        with suppress(OSError):
            said = _SAID.match(path.read_text(encoding="utf-8", errors="replace").partition("\0")[0])
            if said and said[2] != str(self._state_dir) and not is_free(path):
                return f"pid {said[1]}, state {said[2]}"
        return ""

    def _path(self, mark: str, slot: int) -> Path:
        return (self._directory or Path("/nonexistent")) / f"account.{mark}.{slot}.lock"
