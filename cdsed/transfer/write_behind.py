"""Starting to write what was received to the disk while more arrives, so that the sync at the end finds little to do.

Otherwise the kernel begins only seconds later. ``sync_file_range`` promises nothing about what survives a power cut.
Only the sync does, so a failure here needs no handling.
"""

import ctypes
from collections.abc import Callable
from functools import cache

_SYNC_FILE_RANGE_WRITE = 2


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Return the system call of the C library; None where there is not one."""
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    found: Callable[[int, int, int, int], int] = call
    return found


def begin_writing(file: int, offset: int, size_bytes: int) -> None:
    """Begin to write a range of a file to its disk, without waiting for the end."""
    call = _sync_file_range()
    if call is not None:
        call(file, offset, size_bytes, _SYNC_FILE_RANGE_WRITE)
