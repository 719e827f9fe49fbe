"""The identity of a state, by which cdsed distinguishes states that download to the same place."""

import fcntl
import os
import re
import uuid
from pathlib import Path

from cdsed.errors import StateDiskError

FILE_NAME = "identity"

_FORM = re.compile(r"([0-9a-f]{32}) ([0-9]+)\n")


def state_id(state_dir: Path) -> str:
    """Return the identity of the state in a directory; the first call makes one.

    The file also has its own inode number. In a copy of the state directory that number is wrong, so the copy gets a
    new identity. A state that is moved within its file system keeps its identity.

    Raises
    ------
    StateDiskError
        The file cannot be read or written.
    """
    path = state_dir / FILE_NAME
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # several workers may start at once
            return _read(file) or _make(file)
        finally:
            os.close(file)
    except OSError as error:
        message = f"{path} cannot be read and written ({error.strerror}): make room on its disk, or repair it"
        raise StateDiskError(message) from error


def known_state_id(state_dir: Path) -> str:
    """Return the identity of the state in a directory without making one; '' if it is absent or cannot be read."""
    try:
        file = os.open(state_dir / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return _read(file) or ""
    finally:
        os.close(file)


def _read(file: int) -> str | None:
    found = _FORM.fullmatch(os.pread(file, 100, 0).decode("ascii", errors="replace"))
    return found[1] if found and int(found[2]) == os.fstat(file).st_ino else None


def _make(file: int) -> str:
    made = uuid.uuid4().hex
    os.ftruncate(file, 0)
    os.pwrite(file, f"{made} {os.fstat(file).st_ino}\n".encode(), 0)
    os.fsync(file)
    return made
