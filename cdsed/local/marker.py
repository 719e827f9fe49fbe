"""The marker in a directory of products, by which a disk is known again after a reboot or a new mount.

A disk that is not mounted leaves an empty directory of the same name on the disk below. Nothing must be written
there: it would fill the wrong disk, and vanish beneath the mount when that comes back.
"""

import logging
import os
import re
import uuid
from pathlib import Path

from cdsed.dir_handle import mkdir_durable
from cdsed.errors import DiskError
from cdsed.local.making import is_read_only, why_not_made
from cdsed.model.disk import DirectoryIdentity

_log = logging.getLogger(__name__)

#: Below the directory, beside what is being put together.
MARKER = Path(".cdsed", "marker")

_MARKER_BYTES_MAX = 64
_PLAIN = re.compile(r"[0-9A-Za-z-]{1,64}")


def recognise(place: Path, known: DirectoryIdentity | None) -> DirectoryIdentity:
    """Make sure that a directory is the one it was, and return what it is now.

    It is known again by its marker, or, when its marker was removed, by the kernel's word that it is the same one. A
    new directory is made and marked.

    Parameters
    ----------
    known
        What it was; None when nothing was ever written there.

    Raises
    ------
    DiskError
        It cannot be made here (``EROFS``, ``EACCES``), or another one stands in its place (``NotMounted``).
    OSError
        The disk does not answer, or does not take the marker.
    """
    now = look(place)
    if known is None:
        if why := why_not_made(place):
            raise DiskError(why, code="EROFS" if is_read_only(place) else "EACCES")
        return mark(place)
    if now is None or known.is_lost(now):
        raise DiskError(_not_mounted(place, known, now), code="NotMounted")
    if not now.marker:
        _log.info("%s was cleared; its marker is put back", place)
        return mark(place, known.marker)
    return now


def look(place: Path) -> DirectoryIdentity | None:
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
    return DirectoryIdentity(_read(place / MARKER), status.st_dev, status.st_ino)


def mark(place: Path, marker: str | None = None) -> DirectoryIdentity:
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
    return DirectoryIdentity(said, status.st_dev, status.st_ino)


def _not_mounted(place: Path, known: DirectoryIdentity, now: DirectoryIdentity | None) -> str:
    path = place / MARKER
    what = "is not there" if now is None else "is not the directory it was" if now.marker else "lacks its marker"
    return (
        f"{place} {what}: mount its disk, and transfers continue; to use another disk from now on: "
        f"mkdir -p {path.parent} && echo {known.marker} > {path}"
    )


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
