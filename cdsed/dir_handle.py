"""Directories that are held open: what is below them is reached step by step, never through a symbolic link.

A path is looked up again by every system call, so whoever may write in one of its directories can put a link in the
place of a name between two calls. Here each directory on the way is opened below the one before (``openat`` with
``O_NOFOLLOW``), and what is done, is done below the last one. rsync 3.5.0 walks its paths alike.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A named pipe opened without O_NONBLOCK waits indefinitely for its other end.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which file it is, and when it was last written to; it changes with every writing.

    Attributes
    ----------
    size_bytes
        -1 for anything that is not a plain file.
    """

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, entry: os.stat_result) -> Self:
        """Return that of a file, as stat(2) has it."""
        size_bytes = entry.st_size if stat.S_ISREG(entry.st_mode) else -1
        return cls(entry.st_dev, entry.st_ino, size_bytes, entry.st_mtime_ns, entry.st_ctime_ns)

    def __str__(self) -> str:
        return f"{self.device}.{self.inode}.{self.size_bytes}.{self.mtime_ns}.{self.ctime_ns}"


def has_no_inodes(path: Path) -> bool:
    """Tell whether a disk has room for bytes, but for no further file; False where nothing says so."""
    with suppress(OSError):
        place = next(above for above in (path, *path.parents) if above.exists())
        status = os.statvfs(place)
        return status.f_files > 0 and status.f_favail == 0 and status.f_bavail > 0
    return False


def mkdir_durable(directory: Path) -> None:
    """Make a directory and those above it where they are missing, each entered in its parent for good.

    Without the parent's sync a power cut takes the directory back, with whatever was acknowledged below it.
    """
    if not directory.is_dir():
        mkdir_durable(directory.parent)
        directory.mkdir(exist_ok=True)
        sync(directory.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on the disk before anything relies on it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirHandle:
    """An open directory; use it in ``with``. Paths below it are relative, with ``/`` between plain names.

    Every method raises OSError as the system has it; `NotADirectoryError` where a link, or another thing that is no
    directory, stands on the way.

    Parameters
    ----------
    descriptor
        Of the directory; closed at the end of ``with``.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open a directory by a path that somebody trusted has given: here, links are followed."""
        return cls(os.open(path, _DIRECTORY))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def child(self, name: str, *, make: bool = False) -> "DirHandle":
        """Open a directory in this one; made, with the umask's mode, where it is absent and `make` says so."""
        return DirHandle(_step(self.descriptor, name, mode=0o777 if make else None))

    def private(self, name: str, *, make: bool = False) -> "DirHandle":
        """Open a directory in this one that nobody else can write in; it is made with mode 0700.

        Raises
        ------
        PermissionError
            It is not a directory, belongs to another user, or others may write in it: whatever is there may be theirs.
        """
        try:
            folder = DirHandle(_step(self.descriptor, name, mode=0o700 if make else None))
        except NotADirectoryError as error:
            raise PermissionError(errno.EPERM, error.strerror) from None
        found = os.fstat(folder.descriptor)
        if found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return folder
        os.close(folder.descriptor)
        why = f"belongs to user {found.st_uid}" if found.st_uid != os.geteuid() else "others may write in it"
        raise PermissionError(
            errno.EPERM, f"{name!r} must be cdsed's alone, but {why}; remove it, or chown and chmod 700 it"
        )

    def open(self, path: str, flags: int, *, make: bool = False) -> int:
        """Open a plain file and return its descriptor.

        Parameters
        ----------
        flags
            As `os.open` has them; what ``O_CREAT`` makes has the umask's mode.
        make
            Whether directories on the way are made.
        """
        with self._parent(path, make=make) as (parent, name):
            file = os.open(name, flags | _FILE, 0o666, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise FileExistsError(errno.EEXIST, f"{path!r} is not a plain file")
        return file

    def size(self, path: str) -> int:
        """Return the size of a plain file in bytes; -1 for anything else that stands there."""
        with self._parent(path) as (parent, name):
            return Stamp.of(os.stat(name, dir_fd=parent, follow_symlinks=False)).size_bytes

    def sizes(self) -> dict[str, int]:
        """Return, by path, everything below that is not a directory: plain files in bytes, anything else as -1."""
        return {path: stamp.size_bytes for path, stamp in self.stamps().items()}

    def stamps(self) -> dict[str, Stamp]:
        """Return, by path, everything below that is not a directory."""
        found = {}
        for place, folders, names, descriptor in os.fwalk(".", dir_fd=self.descriptor):
            # A link to a directory is among the folders, but not walked into.
            for name in (*names, *folders):
                entry = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not stat.S_ISDIR(entry.st_mode):
                    found[f"{place}/{name}".removeprefix("./")] = Stamp.of(entry)
        return found

    def names(self) -> list[str]:
        """Return the names of what is in this directory, sorted."""
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208 - Path takes no descriptor

    def exists(self, path: str) -> bool:
        """Tell whether anything stands there, be it a link."""
        try:
            with self._parent(path) as (parent, name):
                os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def remove(self, path: str) -> None:
        """Remove whatever stands there, if anything does: a directory with all it holds, a link itself."""
        with suppress(FileNotFoundError), self._parent(path) as (parent, name):
            try:
                os.unlink(name, dir_fd=parent)
            except IsADirectoryError:
                shutil.rmtree(name, dir_fd=parent)

    def remove_other(self, name: str) -> None:
        """Remove what stands there if it is not a directory: a file, a link, a pipe."""
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(_plain(name), dir_fd=self.descriptor)

    def rename(self, name: str, target: "DirHandle", target_name: str) -> None:
        """Move what is called `name` here, to another folder or name."""
        os.rename(name, target_name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def sync(self) -> None:
        """Have the kernel put the names in this directory on the disk."""
        os.fsync(self.descriptor)

    def sync_all(self) -> None:
        """Do so for every directory below, then for this one."""
        for _, _, _, descriptor in os.fwalk(".", topdown=False, onerror=_raise, dir_fd=self.descriptor):
            os.fsync(descriptor)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Give the directory a path ends in, and its last name."""
        *folders, name = path.split("/")
        here = self.descriptor
        try:
            for folder in folders:
                inner = _step(here, folder, mode=0o777 if make else None)
                if here != self.descriptor:
                    os.close(here)
                here = inner
            yield here, _plain(name)
        finally:
            if here != self.descriptor:
                os.close(here)


def _step(here: int, name: str, mode: int | None) -> int:
    """Open a directory in an open one; made with `mode` where it is absent."""
    try:
        return os.open(_plain(name), _DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
    except FileNotFoundError:
        if mode is None:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=here)
        return _step(here, name, None)
    except NotADirectoryError:
        what = (
            "a symbolic link"
            if stat.S_ISLNK(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode)
            else "no directory"
        )
        raise NotADirectoryError(errno.ENOTDIR, f"{name!r} is {what}; remove it") from None


def _plain(name: str) -> str:
    """Return a name that leads nowhere else; the last line of defence, names are checked where they come in."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, f"{name!r} is not a name of a file")
    return name


def _raise(error: OSError) -> None:
    raise error
