"""Which file system a directory is on: SQLite's locks and shared memory do not work across hosts."""

import os
import re
from pathlib import Path

from cdsed.errors import StateDiskError, StateRefused

_ESCAPED = re.compile(r"\\([0-7]{3})")  # how mountinfo writes white space and backslashes

# https://sqlite.org/wal.html, section 1
_NETWORK_FILESYSTEMS = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb3",
        "smbfs",
    ]
)


def refuse_network_filesystem(directory: Path) -> None:
    """Check that a directory is on a file system on which SQLite's locks work.

    Raises
    ------
    StateRefused
        It is on a network file system.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    kind = filesystem_kind(directory.resolve(), mountinfo)
    if is_network(kind):
        raise StateRefused(
            f"state_dir {directory} is on {kind}, a network file system, where SQLite loses data; "
            "set state_dir to a local disk, e.g. /var/lib/cdsed"
        )


def is_network(kind: str) -> bool:
    """Tell whether a type of file system is one of the network, where SQLite loses data."""
    return kind in _NETWORK_FILESYSTEMS


def filesystem_kind(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds `path`, from the text of /proc/self/mountinfo (proc(5))."""
    best, kind = "", "unknown"
    for line in mountinfo.split("\n"):
        if " - " not in line:
            continue
        mount, _, rest = line.partition(" - ")
        point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), mount.split(" ")[4])
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind


def file_identity(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Return device and inode of a database and of its log; the first access creates the log."""

    def of(path: Path) -> tuple[int, int] | None:
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    return of(path), of(path.with_name(f"{path.name}-wal"))


def sync_data(path: Path) -> None:
    """Write the content of a file to its disk; StateDiskError if that fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StateDiskError(f"{path} cannot be synced: {error.strerror}") from error
