"""A socket that receives entries as the journal of systemd does, by its native protocol."""

import array
import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self


class Journal:
    """A datagram socket and the entries that came; as a context it reads them in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[dict[str, str]] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._ended = False

    def __enter__(self) -> Self:
        self.socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Close the socket and remove its path."""
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def receive(self) -> dict[str, str]:
        """Return the next entry; one that was too long for a datagram comes as a file."""
        data, ancillary, _, _ = self.socket.recvmsg(2**20, socket.CMSG_SPACE(4))
        for _, _, passed in ancillary:
            [number] = array.array("i", passed)
            with os.fdopen(number, "rb") as file:
                file.seek(0)
                data = file.read()
        return dict(_fields(data))

    def _read(self) -> None:
        while True:
            try:
                self.entries.append(self.receive())
            except TimeoutError:
                if self._ended:
                    return

    def of(self, event: str) -> list[dict[str, str]]:
        """Return the entries of an event."""
        return [entry for entry in self.entries if entry.get("CDSED_EVENT") == event]


def _fields(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of an entry: ``NAME=value``, or the name, the length of the value and the value."""
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            data = rest
        else:
            [length] = struct.unpack("<Q", rest[:8])
            value, data = rest[8 : 8 + length], rest[8 + length + 1 :]
        yield name.decode("ascii"), value.decode("utf-8")


def this_stderr() -> str:
    """Return what ``$JOURNAL_STREAM`` has where stderr of this process is the journal."""
    stderr = os.fstat(2)
    return f"{stderr.st_dev}:{stderr.st_ino}"


@contextlib.contextmanager
def journal_at(path: Path) -> Iterator[Journal]:
    """Give a journal that nothing reads until the test does."""
    journal = Journal(path)
    try:
        yield journal
    finally:
        journal.close()
