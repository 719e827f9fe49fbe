"""What a place can hold: free space, and how long a name may be."""

import errno
import os
from pathlib import Path

from cdsed.dir_handle import has_no_inodes, name_bytes_max


def free_bytes(path: Path) -> int:
    """Return how many bytes an ordinary user may still write where `path` is or would be.

    Raises
    ------
    OSError
        The disk does not respond; ``ENOSPC``: it has no inode left for a file.
    """
    if has_no_inodes(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    status = os.statvfs(_existing(path))
    return status.f_bavail * status.f_frsize


def name_and_free_bytes(pre_spool: Path, destination: Path) -> tuple[int, int]:
    """Return how long a name may be in both, in bytes, and `free_bytes` of the first; raises OSError as that does."""
    return min(map(name_bytes_max, (pre_spool, destination))), free_bytes(pre_spool)


def _existing(path: Path) -> Path:
    """Return the nearest parent that exists, or the path itself."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
