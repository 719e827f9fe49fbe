"""Files that only their owner may read: read them, and replace them by one rename, so that they are always complete."""

import errno
import os
import stat
from pathlib import Path

from cdsed.dir_handle import sync


def read_private(path: Path, bytes_max: int, *, guarded: bool = False) -> bytes:
    """Return the beginning of a file, at most so many bytes.

    Raises
    ------
    OSError
        It cannot be read; or other users may read or write it, unless it is `guarded` by more than its mode.
    """
    # O_NONBLOCK: do not block on a FIFO. The open file is checked, because its path may be replaced meanwhile.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not guarded and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise PermissionError(errno.EACCES, f"other users may read or write it; run: chmod 600 {path}")
        return file.read(bytes_max)


def replace_private(path: Path, text: str) -> None:
    """Replace a file by one of mode 0600 with this text, on the disk when this returns; one writer at a time."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)  # left by a writer that was killed
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)
    sync(path.parent)
