"""Reading, writing and locking the files that note which state owns a place; see `cdsed.transfer.owners`."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK, same_boot
from cdsed.dir_handle import DirHandle
from cdsed.errors import OwnedElsewhere
from cdsed.frozen import frozen

FOLDER = "owners"

_TURN = "lock"
_TURN_WITHIN_S, _TURN_EVERY_S = 2.0, 0.01
BYTES_MAX = 8192
#: Errors of a file system that has no locks.
_UNLOCKABLE = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@frozen
class Owner:
    """A state, and the daemon that used it last."""

    state_id: str
    state_dir: str = "unknown"
    host: str = "unknown"
    booted_at: float = 0.0
    pid: int = 0

    def __str__(self) -> str:
        return f"host {self.host}, pid {self.pid}, state {self.state_dir}"

    def is_of_boot(self, other: "Owner") -> bool:
        """Tell whether both are of the same boot of one machine."""
        return self.host == other.host and same_boot(self.booted_at, other.booted_at)


def this_owner(state_id: str, state_dir: Path, pid: int) -> Owner:
    """Return the owner to which a process on this machine belongs; `pid` is the daemon's."""
    return Owner(state_id, str(state_dir), socket.gethostname(), SYSTEM_CLOCK.booted_at(), pid)


@contextmanager
def opened(room: Path, *, make: bool = False) -> Iterator[DirHandle]:
    """Open the directory of owners; the room itself must exist, otherwise its disk may not be mounted."""
    with (
        DirHandle.at(room.parent) as parent,
        parent.private(room.name) as inner,
        inner.private(FOLDER, make=make) as folder,
    ):
        yield folder


@contextmanager
def turn(folder: DirHandle, name: str) -> Iterator[None]:
    """Hold the lock under which owners in a room are changed; keep the block short."""
    file = folder.open(_TURN, os.O_RDWR | os.O_CREAT)
    try:
        until_s = time.monotonic() + _TURN_WITHIN_S
        while lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB) is False:
            if time.monotonic() > until_s:  # its holder may be stopped
                raise OwnedElsewhere(f"{name}: another cdsed is changing the owners of places in its directory")
            time.sleep(_TURN_EVERY_S)
        yield
    finally:
        os.close(file)


def lock(file: int, how: int) -> bool | None:
    """Lock a file; return False if another process has locked it, None if this file system has no locks."""
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNLOCKABLE:
            return None
        raise
    return True


def read(folder: DirHandle, entry: str) -> str | None:
    """Return the content of a small file; None where it is absent, '' where a power cut has emptied or zeroed it."""
    try:
        file = folder.open(entry, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.pread(file, BYTES_MAX, 0).decode("utf-8", errors="replace").strip().strip("\0")
    finally:
        os.close(file)


def parse(state_id: str, said: str) -> Owner:
    """Return the owner that a state has written about itself, as far as it can be read."""
    try:
        known = json.loads(said)
        return Owner(
            state_id, str(known["state_dir"]), str(known["host"]), float(known["booted_at"]), int(known["pid"])
        )
    except (ValueError, TypeError, KeyError):
        return Owner(state_id)


def is_same(folder: DirHandle, name: str, file: int) -> bool:
    """Tell whether a name still refers to an open file."""
    try:
        found = os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(file))
