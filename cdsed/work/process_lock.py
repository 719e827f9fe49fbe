"""The file that a worker process holds locked as long as it lives."""

import errno
import os
import time
from contextlib import suppress

from cdsed.config.settings import Settings
from cdsed.errors import StateDiskError
from cdsed.process.lock import KernelLock
from cdsed.store import processes


def lock_of_this_process(settings: Settings) -> KernelLock:
    """Return the new lock of this process, held.

    Raises
    ------
    StateDiskError
        Its file cannot be written.
    """
    lock = KernelLock(settings.sessions_dir / f"process.{os.getpid()}.{time.time_ns()}.lock")
    try:
        settings.sessions_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not lock.acquire():
            raise BlockingIOError(errno.EAGAIN, "another process has just removed it")
        lock.note(processes.AT_WORK)  # takes the space of the later notes, which a full disk could refuse
    except OSError as error:
        lock.release()
        with suppress(OSError):
            lock.path.unlink()
        message = f"{lock.path} cannot be written ({error.strerror}): make room on its disk, or repair it"
        raise StateDiskError(message) from error
    return lock
