"""Syncing many small files, or the directories of a product, by one call where the file system is known to do that.

``syncfs`` syncs all of a file system, with the names in its directories. ext4 does that durably, and XFS with an
``fdatasync`` of any file after it. From Linux 5.8 on it reports what could not be written since the descriptor was
opened. Elsewhere each file is synced for itself, and also for a while after a call was slow, because other programs
write much to the same disk.
"""

import ctypes
import os
import re
import time
from collections.abc import Callable, Sequence
from functools import cache

from cdsed.dir_handle import DirHandle

_EXT, _XFS = 0xEF53, 0x58465342  # `f_type` of statfs(2)
_REPORTS_FROM = (5, 8)
#: A call for fewer files or directories does not pay.
_LEAST = 3
_SLOW_S, _REST_S = 0.5, 60.0
_STATFS_BYTES = 512


class DiskSync:
    """Syncs files and directories, at once where that is durable and fast.

    Parameters
    ----------
    now_s
        Returns a time in seconds that only grows.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._rests_until_s: dict[int, float] = {}

    def files(self, descriptors: Sequence[int]) -> None:
        """Sync the bytes of files that are open since before they were written; raises OSError."""
        devices = {os.fstat(descriptor).st_dev for descriptor in descriptors}
        if len(devices) == 1 and self._at_once(descriptors[0], devices.pop(), len(descriptors)):
            if _file_system(descriptors[0]) == _XFS:
                os.fdatasync(descriptors[0])  # XFS lets the disk keep bytes in its cache if its own log is clean
            return
        for descriptor in descriptors:
            os.fdatasync(descriptor)

    def directories(self, top: DirHandle, count: int) -> None:
        """Sync an open directory and those below it, `count` in all; raises OSError."""
        if not self._at_once(top.descriptor, os.fstat(top.descriptor).st_dev, count):
            top.sync_all()

    def _at_once(self, descriptor: int, device: int, count: int) -> bool:
        begun_s = self._now_s()
        if count < _LEAST or begun_s < self._rests_until_s.get(device, 0.0) or not syncs_all(descriptor):
            return False
        done = _system_call("syncfs", descriptor)  # if it fails, each file says whether that is its own failure
        ended_s = self._now_s()
        if ended_s - begun_s > _SLOW_S:
            self._rests_until_s[device] = ended_s + _REST_S
        return done


def syncs_all(descriptor: int) -> bool:
    """Tell whether ``syncfs`` is durable, and reports errors, on the file system of an open file or directory."""
    return kernel_reports(os.uname().release) and _file_system(descriptor) in (_EXT, _XFS)


def _file_system(descriptor: int) -> int | None:
    status = ctypes.create_string_buffer(_STATFS_BYTES)
    return ctypes.c_long.from_buffer(status).value if _system_call("fstatfs", descriptor, status) else None


def kernel_reports(release: str) -> bool:
    """Tell whether the kernel of this release says that a ``syncfs`` failed."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= _REPORTS_FROM


def _system_call(name: str, *arguments: object) -> bool:
    """Make a system call by the C library; return whether there is one and it succeeded."""
    call = getattr(_c_library(), name, None)
    return call is not None and call(*arguments) == 0


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


#: That of this process, which knows the slow disks.
DISK_SYNC = DiskSync()
