"""The pre-spool: one private directory per product, in which it is put together."""

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from cdsed.model.transfer import ListedObject
from cdsed.transfer.translate import disk_error


def staged_sizes(staging: Path) -> dict[str, int]:
    """Return what lies in a staging directory: sizes in bytes by path below it; {} when it is not there."""
    sizes = {}
    for folder, _, names in os.walk(staging):
        for name in names:
            path = Path(folder, name)
            sizes[path.relative_to(staging).as_posix()] = path.lstat().st_size
    return sizes


def prepare(staging: Path, listed: Iterable[ListedObject], staged: Iterable[str], keep: Collection[str]) -> None:
    """Make a staging directory hold exactly the files of a product, each at its full size.

    Parameters
    ----------
    staged
        What lies there, by path.
    keep
        Files of which something has arrived; all others are made anew, as holes. A session that was overtaken may
        still be writing to what it has open: that must not be the file its successor writes to.

    Raises
    ------
    DiskError
        The disk is full, read-only, or gone.
    """
    wanted = {item.path: item.size_bytes for item in listed}
    try:
        make_lasting(staging.parent.parent)
        staging.parent.mkdir(mode=0o700, exist_ok=True)
        staging.mkdir(exist_ok=True)
        for path in set(staged) - wanted.keys():
            (staging / path).unlink()
        for path, size_bytes in wanted.items():
            if path in keep and not (staging / path).is_symlink():
                continue
            target = staging / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                os.ftruncate(file, size_bytes)
            finally:
                os.close(file)
    except OSError as error:
        raise disk_error(str(staging), error) from error


def discard(staging: Path) -> None:
    """Remove a staging directory; nothing happens when it is not there."""
    shutil.rmtree(staging, ignore_errors=True)


def quarantine(staging: Path) -> Path:
    """Set a staging directory aside, beside its fellows, for a person to look at; return where."""
    target = staging.parent / "quarantine" / staging.name
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        discard(target)
        staging.rename(target)
    except OSError as error:
        raise disk_error(str(staging), error) from error
    return target


def make_lasting(folder: Path) -> None:
    """Make a directory and those above it where they are missing, so that a power cut does not undo it."""
    if not folder.is_dir():
        make_lasting(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)


def sync_directory(folder: Path) -> None:
    """Have the kernel put the entries of a directory on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
