"""NBD servers of volatile images, in one process: ``python -m tests.soak.power.disk_server``.

It takes commands as lines of JSON, and answers each with a line. All disks lose their power at one instant: from then
on no request is answered, so that no program sees an error that a power cut would not have shown.
"""

import json
import random
import socket
import struct
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.support.volatile_image import VolatileImage

_MAGIC, _OPTION_MAGIC, _OPTION_REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_REQUEST, _REPLY = struct.Struct(">IHHQQI"), struct.Struct(">IIQ")
_FIXED_NEWSTYLE_WITHOUT_ZEROES = 3
_GO, _INFO, _ABORT = 7, 6, 2
_ACK, _INFO_REPLY, _UNSUPPORTED = 1, 3, 2**31 + 1
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_FUA = 1
# Has flags, flush, FUA. Not several connections: the cache would still be one, but the tests need only one.
_FLAGS = 1 | 4 | 8
_INVALID = 22


class Power:
    """The power of all disks: with it requests are answered one at a time, without it never."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.on = True


class Disk:
    """One image behind a socket.

    Parameters
    ----------
    honest
        False: a flush is acknowledged, and does nothing.
    """

    def __init__(self, image: Path, address: Path, power: Power, *, honest: bool) -> None:
        self.image = VolatileImage(image)
        self._power = power
        self._honest = honest
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def hang_up(self) -> None:
        """Close what clients were left with."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rwb")
        try:
            if self._agree(stream):
                while self._answer(stream):
                    pass
        except (OSError, EOFError, ValueError):  # the client is gone
            return

    def _agree(self, stream: Any) -> bool:
        """Do the fixed newstyle handshake; tell whether requests follow."""
        stream.write(_MAGIC + _OPTION_MAGIC + struct.pack(">H", _FIXED_NEWSTYLE_WITHOUT_ZEROES))
        stream.flush()
        _exactly(stream, 4)
        while True:
            _, option, length = struct.unpack(">QII", _exactly(stream, 16))
            _exactly(stream, length)
            if option in (_GO, _INFO):
                export = struct.pack(">HQH", 0, self.image.size_bytes, _FLAGS)
                _reply(stream, option, _INFO_REPLY, export)
                _reply(stream, option, _INFO_REPLY, struct.pack(">HIII", 3, 512, 4096, 2**25))
            _reply(stream, option, _ACK if option in (_GO, _INFO, _ABORT) else _UNSUPPORTED)
            if option in (_GO, _ABORT):
                return option == _GO

    def _answer(self, stream: Any) -> bool:
        """Answer a request; tell whether there may be another one."""
        _, flags, kind, handle, offset, length = _REQUEST.unpack(_exactly(stream, _REQUEST.size))
        data = _exactly(stream, length) if kind == _WRITE else b""
        with self._power.lock:
            if not self._power.on or kind == _DISCONNECT:
                return False
            read = self._do(kind, offset, length, data, through=bool(flags & _FUA))
            stream.write(_REPLY.pack(0x67446698, _INVALID if read is None else 0, handle) + (read or b""))
            stream.flush()
        return True

    def _do(self, kind: int, offset: int, length: int, data: bytes, *, through: bool) -> bytes | None:
        if kind == _READ:
            return self.image.read(offset, length)
        if kind == _WRITE and through and self._honest:
            self.image.write_through(offset, data)
        elif kind == _WRITE:
            self.image.write(offset, data)
        elif kind == _FLUSH and self._honest:
            self.image.flush()
        elif kind != _FLUSH:
            return None
        return b""


def _exactly(stream: Any, length: int) -> bytes:
    data: bytes = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _reply(stream: Any, option: int, kind: int, data: bytes = b"") -> None:
    stream.write(struct.pack(">QIII", _OPTION_REPLY, option, kind, len(data)) + data)
    stream.flush()


def main() -> None:
    """Obey until stdin ends."""
    power, disks = Power(), {}
    for line in sys.stdin:
        command = json.loads(line)
        answer: Any = None
        match command.pop("do"):
            case "serve":
                disks[command["image"]] = Disk(
                    Path(command["image"]), Path(command["socket"]), power, honest=command["honest"]
                )
            case "off":
                with power.lock:
                    power.on = False
            case "settle":
                dice = random.Random(command["seed"])
                answer = [asdict(disk.image.cut(command["survival"], dice)) for disk in disks.values()]
                for disk in disks.values():
                    disk.hang_up()
                power.on = True
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
