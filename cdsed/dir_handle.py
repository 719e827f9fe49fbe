"""Directories that are held open: a path below one is walked step by step, never through a symbolic link.

Every system call looks a path up again. A user who may write in one of its directories can put a link in the place of
a name between two calls. Here each directory on the way is opened below the one before (``openat`` with
``O_NOFOLLOW``), and the operation is done below the last one. rsync 3.5.0 walks its paths in the same way.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from cdsed.frozen import frozen

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NAME_BYTES_MAX = 255  # NAME_MAX of Linux
# A named pipe opened without O_NONBLOCK waits indefinitely for its other end.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@frozen
class Stamp:
    """Identity and time of the last write of a file; it changes with every write.

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
        """Return the stamp of a file from its stat(2) result."""
        size_bytes = entry.st_size if stat.S_ISREG(entry.st_mode) else -1
        return cls(entry.st_dev, entry.st_ino, size_bytes, entry.st_mtime_ns, entry.st_ctime_ns)

    def __str__(self) -> str:
        return f"{self.device}.{self.inode}.{self.size_bytes}.{self.mtime_ns}.{self.ctime_ns}"


def has_no_inodes(path: Path) -> bool:
    """Tell whether a disk has free bytes but no free inode; False where the file system does not say."""
    with suppress(OSError):
        place = next(above for above in (path, *path.parents) if above.exists())
        status = os.statvfs(place)
        return status.f_files > 0 and status.f_favail == 0 and status.f_bavail > 0
    return False


def name_bytes_max(path: Path) -> int:
    """Return how long a name may be in a directory, or in the nearest parent that exists; raises OSError."""
    found = os.statvfs(next(above for above in (path, *path.parents) if above.exists())).f_namemax
    return found or _NAME_BYTES_MAX  # some FUSE file systems do not say


def mkdir_durable(directory: Path) -> None:
    """Make a directory and its missing parents, and sync each parent.

    Without that sync a power cut can remove the directory, with everything that was acknowledged below it.
    """
    if not directory.is_dir():
        mkdir_durable(directory.parent)
        directory.mkdir(exist_ok=True)
        sync(directory.parent)


def sync(path: Path) -> None:
    """Write a file, or the names in a directory, to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(file: int, content: bytes) -> None:
    """Write to an open file until nothing is left: a disk may take less at once, as when it is almost full."""
    while content:
        content = content[os.write(file, content) :]


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that replaces `path` when the block ends without an error: complete, and on the disk."""
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
        sync(path.parent)
    finally:
        hidden.unlink(missing_ok=True)


class DirHandle:
    """An open directory; use it in ``with``. Paths below it are relative, with ``/`` between plain names.

    Every method raises the OSError of the system call, and `NotADirectoryError` where a link or another non-directory
    is on the way.

    Parameters
    ----------
    descriptor
        Of the directory; closed at the end of ``with``.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open a directory by a path from a trusted source, such as the settings: links in it are followed."""
        return cls(os.open(path, _DIRECTORY))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def child(self, name: str, *, make: bool = False) -> "DirHandle":
        """Open a directory in this one; with `make`, an absent one is made with the mode of the umask."""
        return DirHandle(_step(self.descriptor, name, mode=0o777 if make else None))

    def private(self, name: str, *, make: bool = False) -> "DirHandle":
        """Open a directory in this one in which no other user can write; it is made with mode 0700.

        Raises
        ------
        PermissionError
            It is not a directory, belongs to another user, or other users may write in it and may have left files.
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

    @contextmanager
    def descend(self, path: str, *, make: bool = False) -> Iterator["DirHandle"]:
        """Open a directory below this one, or this one where `path` is empty.

        Parameters
        ----------
        make
            Make absent directories, with the mode of the umask. Each is synced before anything appears in it.
        """
        here, opened = self, []
        try:
            for name in path.split("/") if path else ():
                inner = here.child(name, make=make)
                opened.append(inner)
                if make:
                    here.sync()  # also if another process has made it, which may not have synced it yet
                here = inner
            yield here
        finally:
            for handle in opened:
                os.close(handle.descriptor)

    def prune(self, path: str) -> None:
        """Remove a directory below this one, and those above it, as far as they are empty."""
        while path:
            above, _, name = path.rpartition("/")
            try:
                with self.descend(above) as parent:
                    os.rmdir(name, dir_fd=parent.descriptor)
                    parent.sync()
            except OSError:
                return
            path = above

    def open(self, path: str, flags: int, *, make: bool = False) -> int:
        """Open a plain file and return its descriptor.

        Parameters
        ----------
        flags
            As for `os.open`; a file that ``O_CREAT`` makes has the mode of the umask.
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
        """Return the size of a plain file in bytes; -1 for anything else at this path."""
        with self._parent(path) as (parent, name):
            return Stamp.of(os.stat(name, dir_fd=parent, follow_symlinks=False)).size_bytes

    def sizes(self) -> dict[str, int]:
        """Return the size by path of everything below that is not a directory: plain files in bytes, others as -1."""
        return {path: stamp.size_bytes for path, stamp in self.stamps().items()}

    def stamps(self) -> dict[str, Stamp]:
        """Return the stamp by path of everything below that is not a directory."""
        found = {}
        for place, folders, names, descriptor in os.fwalk(".", dir_fd=self.descriptor):
            # A link to a directory is among the folders, but `fwalk` does not enter it.
            for name in (*names, *folders):
                entry = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if not stat.S_ISDIR(entry.st_mode):
                    found[f"{place}/{name}".removeprefix("./")] = Stamp.of(entry)
        return found

    def names(self) -> list[str]:
        """Return the names of what is in this directory, sorted."""
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208 - Path takes no descriptor

    def exists(self, path: str) -> bool:
        """Tell whether anything is at this path, even a link."""
        try:
            with self._parent(path) as (parent, name):
                os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def remove(self, path: str) -> None:
        """Remove what is at this path, if anything: a directory with its content, or a link itself."""
        with suppress(FileNotFoundError), self._parent(path) as (parent, name):
            try:
                os.unlink(name, dir_fd=parent)
            except IsADirectoryError:
                shutil.rmtree(name, dir_fd=parent)

    def remove_empty(self, name: str) -> bool:
        """Remove an empty directory in this one; return whether there was one."""
        with suppress(OSError):
            os.rmdir(_plain(name), dir_fd=self.descriptor)
            return True
        return False

    def remove_other(self, name: str) -> None:
        """Remove what has this name if it is not a directory: a file, a link, a pipe."""
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(_plain(name), dir_fd=self.descriptor)

    def rename(self, name: str, target: "DirHandle", target_name: str) -> None:
        """Move `name` from this directory to another directory or name."""
        os.rename(name, target_name, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def sync(self) -> None:
        """Write the names in this directory to the disk (fsync)."""
        os.fsync(self.descriptor)

    def sync_all(self) -> None:
        """Sync every directory below, then this one."""
        for _, _, _, descriptor in os.fwalk(".", topdown=False, onerror=_raise, dir_fd=self.descriptor):
            os.fsync(descriptor)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the descriptor of the directory that holds the last name of a path, and that name."""
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
    """Open a directory in an open one; an absent one is made if `mode` is given."""
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
            else "not a directory"
        )
        raise NotADirectoryError(errno.ENOTDIR, f"{name!r} is {what}; remove it") from None


def _plain(name: str) -> str:
    """Check that a name stays in its directory: the last line of defence, after the checks of the input."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, f"{name!r} is not a name of a file")
    return name


def _raise(error: OSError) -> None:
    raise error
