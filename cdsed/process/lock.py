"""Locks that the kernel releases when their holder dies: neither a clock nor a pid decides which process runs.

Lock files stay when a lock is released: after an unlink two processes could lock two files of the same name.
"""

import fcntl
import os
import struct
from pathlib import Path
from typing import Self

from cdsed.errors import AlreadyRunning
from cdsed.frozen import frozen

#: The file in the state directory on which the daemon holds a `DaemonLock`.
LOCK_NAME = "daemon.lock"

# struct flock of <fcntl.h>: l_type, l_whence, l_start, l_len (0: the whole file), l_pid (0 for F_OFD_*).
_FLOCK = struct.Struct("hhqqi4x")


class KernelLock:
    """An exclusive ``flock`` on a file. It is free milliseconds after its holder died; a suspended holder keeps it.

    As a context manager it raises `BlockingIOError` when another process holds it.
    """

    _mode = 0o600

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        self._noted: bytes | None = None  # as far as this holder knows

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self) -> bool:
        """Take the lock without waiting, and make the file if it is missing; return whether it is ours now."""
        assert self._fd is None, f"{self.path} is locked already, by this very object"
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self._mode)
        try:
            self._lock(fd)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        if os.fstat(fd).st_nlink == 0:  # removed between our open and our lock: a lock on it protects nothing
            os.close(fd)
            return False
        self._fd, self._noted = fd, None
        return True

    def release(self) -> None:
        """Release the lock; nothing happens when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def note(self, data: bytes) -> None:
        """Write a few bytes into the file of a held lock; the daemon reads them after this process has died."""
        assert self._fd is not None, f"{self.path} is not held"
        if data != self._noted:
            os.pwrite(self._fd, data, 0)
            self._noted = data

    def _lock(self, fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __enter__(self) -> Self:
        if not self.acquire():
            raise BlockingIOError(f"{self.path} is locked by another process")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class DaemonLock(KernelLock):
    """The lock of the one daemon of a state directory, with its pid in the file; see `holder`.

    It is an open file description lock (``F_OFD_SETLK``). Unlike ``flock`` it can be tested without being taken, so
    that a test never keeps a daemon from starting. As a context manager it raises `AlreadyRunning`, which names the
    other daemon.
    """

    _mode = 0o644

    def release(self) -> None:
        """Release the lock and empty the file; a daemon that died has left its pid there."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
        super().release()

    def _lock(self, fd: int) -> None:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)

    def __enter__(self) -> Self:
        if not self.acquire():
            pid = holder(self.path).pid or "not known yet"
            raise AlreadyRunning(
                f"another daemon (pid {pid}) holds {self.path}: stop that one, or give this one its own state directory"
            )
        return self


@frozen
class Holder:
    """The present or last holder of a `DaemonLock`.

    Attributes
    ----------
    running
        Whether the lock is held now.
    pid
        The pid of the holder, or of the last one if it died without releasing the lock. None when the lock was never
        held, the last holder left in order, or the present holder has only just started.
    """

    running: bool
    pid: int | None

    @property
    def died(self) -> bool:
        """Whether the last holder ended without releasing the lock."""
        return not self.running and self.pid is not None


def holder(path: Path) -> Holder:
    """Tell whether a daemon holds `path`, without taking a lock; the right to read the file is enough.

    Raises
    ------
    OSError
        The file exists, and this user may not read it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Holder(running=False, pid=None)
    try:
        wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, wanted))
        pid = os.pread(fd, 20, 0)
    finally:
        os.close(fd)
    return Holder(running=found[0] != fcntl.F_UNLCK, pid=int(pid) if pid.strip().isdigit() else None)


def _locked_inodes() -> set[int]:
    """Return the inode numbers of the files with an exclusive ``flock``, from /proc/locks (proc(5)).

    Device numbers are left out: on btrfs and overlayfs the list has others than stat(2). A file on another device with
    the same inode number can only make a free lock look held.
    """
    inodes = set()
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        match line.split():
            case [_, "FLOCK", _, "WRITE", _, file, *_]:  # the line of a waiting process has "->" before it
                inodes.add(int(file.rpartition(":")[2]))
    return inodes


def is_free(path: Path) -> bool:
    """Tell whether no running process holds the `KernelLock` of a file, without making or changing the file.

    For a user who may not open the file, such as a member of the service's group, the result comes from the kernel's
    list of all locks. Only the owner may open the files, because a user who can open one can lock it, and so keep a
    session from the daemon.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except PermissionError:
        return path.lstat().st_ino not in _locked_inodes()
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def is_running(state_dir: Path) -> bool:
    """Tell whether a daemon runs with this state."""
    return holder(state_dir / LOCK_NAME).running
