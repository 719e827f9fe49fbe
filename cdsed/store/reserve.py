"""Space that is reserved for the state on its disk: on a full disk SQLite cannot even delete."""

import logging
import os
from pathlib import Path

from cdsed.dir_handle import sync
from cdsed.store.shortage import RESERVE_NAME, SIZE_BYTES

_TO_START_BYTES = 2**20

_log = logging.getLogger(__name__)


class Reserve:
    """A file of zeros that is deleted when the disk of the state is full, so that work in flight can be noted."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / RESERVE_NAME

    def make(self) -> bool:
        """Reserve the space, if the same amount stays free; return whether it is reserved and the disk is writable."""
        try:
            whole = self._is_whole()
            if not whole and self._free_bytes() < 2 * SIZE_BYTES:
                return False
            # The file is opened for writing even if it is complete: that fails on a disk that has become read-only.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                if not whole:
                    os.posix_fallocate(descriptor, 0, SIZE_BYTES)
                    os.pwrite(descriptor, b"\0", 0)  # a disk that fails may still promise room
            finally:
                os.close(descriptor)
            if not whole:
                sync(self._path)
        except OSError as error:
            _log.debug("no space is reserved in %s: %s", self._path.parent, error.strerror)
            return False
        return True

    def give_up(self) -> None:
        """Free the space; on a disk that has become read-only that fails, which is only logged."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.debug("the reserved space in %s stays: %s", self._path.parent, error.strerror)

    def give_up_if_needed(self) -> None:
        """Free the space if the disk has too little free space for a daemon to start."""
        if self._free_bytes() < _TO_START_BYTES:
            self.give_up()

    def _is_whole(self) -> bool:
        return self._path.exists() and self._path.stat().st_size == SIZE_BYTES

    def _free_bytes(self) -> int:
        status = os.statvfs(self._path.parent)
        return status.f_bavail * status.f_frsize
