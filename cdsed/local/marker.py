"""The marker in a directory of products, by which a disk is known again after a reboot or a new mount.

A disk that is not mounted leaves an empty directory of the same name on the disk below. Nothing must be written
there: it would fill the wrong disk, and vanish beneath the mount when that comes back.
"""

import os
import re
import uuid
from pathlib import Path

from cdsed.dir_handle import mkdir_durable
from cdsed.model.disk import Ground

#: Below the directory, beside what is being put together.
MARKER = Path(".cdsed", "marker")

_MARKER_BYTES_MAX = 64
_PLAIN = re.compile(r"[0-9A-Za-z-]{1,64}")


def look(place: Path) -> Ground | None:
    """Return what a directory is, None when it is not there.

    Raises
    ------
    OSError
        The disk does not answer.
    """
    try:
        status = place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Ground(_read(place / MARKER), status.st_dev, status.st_ino)


def mark(place: Path, marker: str | None = None) -> Ground:
    """Make a directory, and its marker if it has none; return what it is.

    Parameters
    ----------
    marker
        What the marker shall say; by default something that no other says.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    path = place / MARKER
    mkdir_durable(place)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    said = _read(path)
    if not said:
        said = marker or uuid.uuid4().hex
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, said.encode() + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
    status = place.stat()
    return Ground(said, status.st_dev, status.st_ino)


def _read(path: Path) -> str:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        said = os.read(file, _MARKER_BYTES_MAX + 1).decode("ascii", errors="replace").strip()
    finally:
        os.close(file)
    return said if _PLAIN.fullmatch(said) else ""
