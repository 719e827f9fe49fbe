"""Events of files, by inotify(7): a descriptor that is readable when something has happened."""

import ctypes
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CLOSE_WRITE = 0x00000008
CLOSE_NOWRITE = 0x00000010
MOVED_FROM = 0x00000040
MOVED_TO = 0x00000080
CREATE = 0x00000100
DELETE = 0x00000200
MOVE_SELF = 0x00000800
IS_DIR = 0x40000000
_OVERFLOW = 0x00004000

_HEADER = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, len
_BUFFER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileEvent:
    """What happened: in which watch, as bits, and to which name in its directory ('': to what is watched itself)."""

    watch: int
    mask: int
    name: str


class Inotify:
    """An inotify instance; close it after use.

    Raises
    ------
    OSError
        The limits of this user, which are small, are reached; or the kernel refuses for another reason.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, path: Path, mask: int) -> int:
        """Watch a file, or the names in a directory, for the events of `mask`; return the number of the watch."""
        return self._checked(self._libc.inotify_add_watch(self._fd, os.fsencode(path), ctypes.c_uint32(mask)))

    def read(self) -> list[FileEvent]:
        """Return the events since the last call, in their order; events may be missing if there were very many."""
        events: list[FileEvent] = []
        while True:
            try:
                data = os.read(self._fd, _BUFFER_BYTES)
            except BlockingIOError:
                return events
            at = 0
            while at < len(data):
                watch, mask, _, length = _HEADER.unpack_from(data, at)
                at += _HEADER.size
                name = data[at : at + length].split(b"\0", 1)[0]
                at += length
                events.append(FileEvent(watch, mask & ~_OVERFLOW, os.fsdecode(name)))

    def drain(self) -> bool:
        """Tell whether there was any event since the last call."""
        some = False
        with suppress(BlockingIOError):
            while os.read(self._fd, _BUFFER_BYTES):
                some = True
        return some

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def close(self) -> None:
        """End all watches."""
        os.close(self._fd)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
