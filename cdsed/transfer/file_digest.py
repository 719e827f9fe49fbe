"""Digests of staged files: of a whole one, or of one that still arrives, as far as it is there."""

import hashlib
import os
import threading
from pathlib import Path

from cdsed.dir_handle import Stamp
from cdsed.errors import DiskError, Stopped
from cdsed.model.objects import Digests
from cdsed.transfer.staging import reading

# It stays in the cache of a core between reading and digesting.
_BLOCK_BYTES = 256 * 2**10


class FileDigest:
    """The digests of a file that follow its bytes while they arrive.

    Bytes that were digested are not read again, so call it only as far as the file will not be written again.

    Parameters
    ----------
    staging, path
        The directory of the product, and the file in it.
    algorithms
        Names for `hashlib`.
    """

    def __init__(self, staging: Path, path: str, algorithms: frozenset[str]) -> None:
        self.done_bytes = 0
        self._staging, self._path = staging, path
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        self._file: tuple[int, int] | None = None
        self._stamp: str | None = None

    def advance(self, until_bytes: int | None, stop: threading.Event) -> None:
        """Digest the file up to `until_bytes` from its beginning; None: up to its end.

        Raises
        ------
        DiskError
            The file cannot be read, is shorter, or is another one than before.
        Stopped
            The process must leave.
        """
        block = memoryview(bytearray(_BLOCK_BYTES))
        with reading(self._staging, self._path) as file:
            before = Stamp.of(os.fstat(file.fileno()))
            if self._file not in (None, (before.device, before.inode)):
                raise DiskError(f"{self._staging}/{self._path}: was replaced while it was digested", code="Lost")
            self._file = before.device, before.inode
            file.seek(self.done_bytes)
            end = before.size_bytes if until_bytes is None else until_bytes
            while missing_bytes := max(0, end - self.done_bytes):
                count = file.readinto(block[:missing_bytes])
                if not count:
                    raise DiskError(f"{self._staging}/{self._path}: ends at {self.done_bytes} bytes", code="Lost")
                for digest in self._hashes.values():
                    digest.update(block[:count])
                self.done_bytes += count
                if stop.is_set():
                    raise Stopped
            after = Stamp.of(os.fstat(file.fileno()))
        # The digest of a file that was written meanwhile cannot be used later.
        self._stamp = str(after) if after == before and after.size_bytes == self.done_bytes else None

    @property
    def digests(self) -> Digests:
        """What was digested until now, with the stamp of the file if that is all of it."""
        return Digests(**{name: digest.hexdigest() for name, digest in self._hashes.items()}, stamp=self._stamp)


def file_digests(staging: Path, path: str, algorithms: frozenset[str], stop: threading.Event) -> Digests:
    """Compute digests of a file of a staging directory in one reading; raises as `FileDigest.advance` does."""
    digest = FileDigest(staging, path, algorithms)
    digest.advance(None, stop)
    return digest.digests
