"""The marker file in a directory of products, by which its disk is recognised after a reboot or a new mount.

If a disk is not mounted, its mount point is an empty directory on another disk. cdsed must not write there: files would
fill the wrong disk, and be hidden after the next mount.
"""

import logging
import os
import re
import uuid
from pathlib import Path

from cdsed.dir_handle import mkdir_durable, write_all
from cdsed.errors import DiskError
from cdsed.local.making import is_read_only, why_not_made
from cdsed.model.disk import DirectoryIdentity

_log = logging.getLogger(__name__)

#: Path below the directory, beside the staging.
MARKER = Path(".cdsed", "marker")

_MARKER_BYTES_MAX = 64
_PLAIN = re.compile(r"[0-9A-Za-z-]{1,64}")


def recognise(place: Path, known: DirectoryIdentity | None) -> DirectoryIdentity:
    """Check that a directory is the same as before, and return its identity.

    It is recognised by its marker, or, if the marker was removed, by its device and inode. A new directory is made and
    gets a marker.

    Parameters
    ----------
    known
        Its former identity; None if no product was ever written there.

    Raises
    ------
    DiskError
        It cannot be made here (``EROFS``, ``EACCES``), or it is another one than before (``NotMounted``).
    OSError
        The disk does not respond, or the marker cannot be written.
    """
    now = look(place)
    if known is None:
        if why := why_not_made(place):
            raise DiskError(why, code="EROFS" if is_read_only(place) else "EACCES")
        return mark(place)
    if now is None or known.is_lost(now):
        raise DiskError(_not_mounted(place, known, now), code="NotMounted")
    if not now.marker:
        _log.info("%s was emptied; its marker is written again", place)
        return mark(place, known.marker)
    return now


def look(place: Path) -> DirectoryIdentity | None:
    """Return the identity of a directory, None if it does not exist.

    Raises
    ------
    OSError
        The disk does not respond.
    """
    try:
        status = os.stat(place)  # noqa: PTH116 - before each batch of pieces
    except (FileNotFoundError, NotADirectoryError):
        return None
    return DirectoryIdentity(_read(f"{place}/{MARKER}"), status.st_dev, status.st_ino)


def mark(place: Path, marker: str | None = None) -> DirectoryIdentity:
    """Make a directory, and its marker if it has none; return its identity.

    Parameters
    ----------
    marker
        Content of a new marker; by default a new UUID.

    Raises
    ------
    OSError
        One of them cannot be written.
    """
    path = place / MARKER
    mkdir_durable(place)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    said = _read(path)
    if not said:
        said = marker or uuid.uuid4().hex
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            write_all(file, said.encode() + b"\n")
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


def _read(path: Path | str) -> str:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    try:
        said = os.read(file, _MARKER_BYTES_MAX + 1).decode("ascii", errors="replace").strip()
    finally:
        os.close(file)
    return said if _PLAIN.fullmatch(said) else ""
