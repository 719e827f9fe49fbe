"""The files of a product on disk, in a directory or in a zip, as `cdsed.model.wholeness` asks for them."""

import errno
import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO

from cdsed.model.single_file import UNREADABLE_ZIP

_BLOCK_BYTES = 2**20
_MEMBER_HEADER_BYTES = 30  # of a member of a zip, before its name
_PULSE_BYTES = 256 * 2**20

#: Called now and then while a digest is computed, which may take long. It may raise to end the work.
Pulse = Callable[[], object]


def no_pulse() -> None:
    """Do nothing: for commands, which send no heartbeats."""


def open_plain(path: Path | str) -> IO[bytes]:
    """Open a file for reading; OSError if it is, for example, a named pipe, which may never end.

    Links are followed: users may have made them in spools and archives, and the file is only read.
    """
    return os.fdopen(_opened(path)[0], "rb")


def read_plain(path: Path | str, bytes_max: int) -> bytes:
    """Return the first bytes of a file, otherwise as `open_plain`."""
    descriptor, size_bytes = _opened(path)
    try:
        content = os.read(descriptor, min(size_bytes, bytes_max))
        if len(content) == size_bytes:
            return content
        with os.fdopen(descriptor, "rb", closefd=False) as file:  # it is longer, or grows, or was read in part
            return content + file.read(bytes_max - len(content))
    finally:
        os.close(descriptor)


def _opened(path: Path | str) -> tuple[int, int]:
    """Return the descriptor and the size of a plain file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a plain file", str(path))
    return descriptor, found.st_size


class DirectoryFiles:
    """The files below a directory."""

    def __init__(self, top: Path, pulse: Pulse = no_pulse) -> None:
        self._top = str(top)
        self._pulse = pulse

    def paths(self) -> Iterator[str]:
        """Yield the path of each file below the product."""
        for folder, _, names in os.walk(self._top):
            yield from (Path(folder, name).relative_to(self._top).as_posix() for name in names)

    def size_bytes(self, path: str) -> int | None:
        """Return the size of a plain file; None if it does not exist."""
        try:
            found = os.stat(f"{self._top}/{path}")  # noqa: PTH116 - a path is made for each file of each product
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def digest(self, path: str, algorithm: str) -> str:
        """Return the digest of a file, hexadecimal in lower case; raises OSError if it cannot be read."""
        with self.open(path) as file:
            return _digest(file, algorithm, self._pulse)

    def read(self, path: str, bytes_max: int) -> bytes:
        """Return the first bytes of a file; raises OSError if it cannot be read."""
        return read_plain(f"{self._top}/{path}", bytes_max)

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file for reading."""
        with open_plain(f"{self._top}/{path}") as file:
            yield file


class ZipFiles:
    """The files below the topmost directory `top` of a zip."""

    def __init__(self, archive: zipfile.ZipFile, top: str, pulse: Pulse = no_pulse) -> None:
        self._archive = archive
        self._pulse = pulse
        self._next_at = dict(pairwise(sorted(item.header_offset for item in archive.infolist())))
        self._members = {
            item.filename.removeprefix(f"{top}/"): item
            for item in archive.infolist()
            if item.filename.startswith(f"{top}/") and not item.is_dir()
        }

    def paths(self) -> Iterator[str]:
        """Yield the path of each file below the product."""
        return iter(self._members)

    def size_bytes(self, path: str) -> int | None:
        """Return the size of a file when it is unpacked; None if it does not exist, or only its entry is left."""
        item = self._members.get(path)
        if item is None:
            return None
        try:
            self._archive.open(item).close()  # reads the member's own header
        except UNREADABLE_ZIP:
            return None
        return item.file_size if self._has_room(item) else None

    def _has_room(self, item: zipfile.ZipInfo) -> bool:
        """Tell whether all bytes of a member are there: a repaired zip may name one that was cut off."""
        begins_at = item.header_offset + _MEMBER_HEADER_BYTES + len(item.orig_filename)
        ends_at = self._next_at.get(item.header_offset, self._archive.start_dir)
        is_stored = item.compress_type == zipfile.ZIP_STORED
        return begins_at + item.compress_size <= ends_at and (not is_stored or item.compress_size == item.file_size)

    def digest(self, path: str, algorithm: str) -> str:
        """Return the digest of a file; empty for a member that is damaged."""
        try:
            with self.open(path) as file:
                return _digest(file, algorithm, self._pulse)
        except UNREADABLE_ZIP:
            return ""

    def read(self, path: str, bytes_max: int) -> bytes:
        """Return the first bytes of a file."""
        with self.open(path) as file:
            return file.read(bytes_max)

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file for reading."""
        with self._archive.open(self._members[path]) as file:
            yield file


def _digest(file: IO[bytes], algorithm: str, pulse: Pulse) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    read_bytes = 0
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
        read_bytes += len(block)
        if read_bytes % _PULSE_BYTES < len(block):
            pulse()
    pulse()
    return digest.hexdigest()
