"""Locks that end with their holder: the kernel is the judge of who lives, no clock and no pid comparison.

Lock files stay when a lock is given back: unlinking one lets two processes lock two files of the same name.
"""

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cdsed.errors import AlreadyRunning

#: The file, in the state directory, that the daemon holds a `DaemonLock` on.
LOCK_NAME = "daemon.lock"

# struct flock of <fcntl.h>: l_type, l_whence, l_start, l_len (0: the whole file), l_pid (0 for F_OFD_*).
_FLOCK = struct.Struct("hhqqi4x")


class KernelLock:
    """An exclusive ``flock`` on a file, free milliseconds after its holder died, kept by a stopped one.

    As a context manager it raises `BlockingIOError` when somebody else holds it.
    """

    _mode = 0o600

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting, making the file if need be; return whether it is ours now."""
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
        if os.fstat(fd).st_nlink == 0:  # tidied away between our opening and our locking it: it says nothing
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def note(self, data: bytes) -> None:
        """Leave a few bytes in the file of a held lock, for whoever looks after this process has died."""
        assert self._fd is not None, f"{self.path} is not held"
        os.pwrite(self._fd, data, 0)

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

    It is an open file description lock (``F_OFD_SETLK``): unlike ``flock`` it can be asked about without
    taking it, so that asking can never be what keeps a daemon from starting. As a context manager it raises
    `AlreadyRunning`, naming the other daemon.
    """

    _mode = 0o644

    def release(self) -> None:
        """Give the lock back and empty the file, which tells an orderly end from a death."""
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
                f"another daemon (pid {pid}) holds {self.path}: stop that one, "
                "or give this one a state directory of its own"
            )
        return self


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds, or held, a `DaemonLock`.

    Attributes
    ----------
    running
        Whether the lock is held at this moment.
    pid
        Of the holder, or of the last one if it died without giving the lock back; None when nobody ever held
        it, the last one left in order, or the present one has only just begun.
    """

    running: bool
    pid: int | None

    @property
    def died(self) -> bool:
        """Whether the last holder ended without giving the lock back."""
        return not self.running and self.pid is not None


def holder(path: Path) -> Holder:
    """Tell whether a daemon holds `path`, without taking any lock; reading the file is all it needs.

    Raises
    ------
    OSError
        The file exists and may not be read.
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
    """Return the numbers of the files on which anybody holds an exclusive ``flock``, from /proc/locks (proc(5)).

    Their devices are left out: on btrfs and overlayfs the list has others than stat(2). A file elsewhere of the same
    number can only make a lock look held.
    """
    inodes = set()
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        match line.split():
            case [_, "FLOCK", _, "WRITE", _, file, *_]:  # one that waits has "->" before it
                inodes.add(int(file.rpartition(":")[2]))
    return inodes


def is_free(path: Path) -> bool:
    """Ask the kernel whether no living process holds the `KernelLock` of a file, without making or changing it.

    A user who may not open the file, such as a member of the service's group, gets the answer from the kernel's list
    of all locks. The files are for their owner only, because whoever can open one can lock it, and so keep a session
    from the daemon.
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
