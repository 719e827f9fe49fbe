"""A mount of an export with caches of its own: ``python -m tests.soak.disks.late_server STORE PLACE VALID_S``.

What it has seen of files, names, and absent names, it believes for VALID_S seconds, unless a file or directory is
opened: *close-to-open*, as the Linux client of NFS. What is written stays in its memory until the file is synced or
closed. It writes whole pages, as clients of other file systems do: of a page of which a part was written, the rest is
what it was before. While it is cut off, requests wait that need the server. A process that waits can be killed, and
what it has written is left in memory.
"""

import errno
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.soak.disks import fuse_wire as wire
from tests.soak.disks.fuse_server import Faults, Server, mounted, serve
from tests.soak.disks.fuse_wire import Op

_PAGE_BYTES = 4096
#: They need no server.
_HERE = {Op.WRITE, Op.RELEASE, Op.RELEASEDIR, Op.FLUSH, Op.FORGET, Op.BATCH_FORGET, Op.INIT}
_Owner = tuple[int, int]


class LateServer(Server):
    """Answers the kernel; its commands come from another thread."""

    def __init__(self, store: Path, device: int, valid_s: float) -> None:
        super().__init__(store, device, Faults(), direct=True)
        self._valid_s = valid_s
        self._lock = threading.RLock()
        self._cut = False
        self._waiting: dict[int, bytes] = {}
        self._seen: dict[int, tuple[float, os.stat_result]] = {}
        self._known_names: dict[tuple[int, str], tuple[float, int, int]] = {}
        self._dirty: dict[int, dict[int, bytearray]] = {}
        self._written_late = 0

    def obey(self, command: dict[str, Any]) -> dict[str, int]:
        """Cut it off, heal it, or write back what is left in memory; return how many bytes are, and how many were."""
        with self._lock:
            if command.get("write_back"):
                for node in list(self._dirty):
                    self._written_late += self._write_back(node)
            self._cut = command.get("cut", self._cut)
            if not self._cut:
                waiting, self._waiting = self._waiting, {}
                for request in waiting.values():
                    super()._take(request)
            dirty = sum(map(len, self._dirty.values())) * _PAGE_BYTES
            return {"dirty": dirty, "waiting": len(self._waiting), "written_late": self._written_late}

    def _take(self, request: bytes) -> None:
        _, number, unique, node, *_ = wire.IN_HEADER.unpack_from(request)
        with self._lock:
            if number == Op.INTERRUPT:
                [interrupted] = wire.UNIQUE.unpack_from(request, wire.IN_HEADER.size)
                if self._waiting.pop(interrupted, None) is not None:
                    self._reply(interrupted, errno.EINTR, b"")
            elif self._cut and number not in _HERE and not self._is_known(number, node, request):
                self._waiting[unique] = request
            else:
                super()._take(request)

    def _is_known(self, number: int, node: int, request: bytes) -> bool:
        """Tell whether a request can be answered from what was seen."""
        if number == Op.GETATTR:
            return self._is_valid(node)
        if number != Op.LOOKUP or not self._is_valid(node):
            return False
        [name] = wire.names_in(request[wire.IN_HEADER.size :])
        return self._known(node, name) is not None

    def _is_valid(self, node: int) -> bool:
        return node in self._seen and time.monotonic() < self._seen[node][0]

    def _status(self, node: int, *, fresh: bool = False) -> os.stat_result:
        if fresh or not self._is_valid(node):
            self._seen[node] = time.monotonic() + self._valid_s, os.fstat(self._nodes[node])
        return self._seen[node][1]

    def _known(self, parent: int, name: str) -> int | None:
        """Return the node that this name had, 0: it was absent; None: the server must be asked."""
        until_s, change, node = self._known_names.get((parent, name), (0.0, 0, 0))
        known = time.monotonic() < until_s and change == self._status(parent).st_ctime_ns
        return node if known else None

    def _lookup(self, node: int, body: bytes, owner: _Owner) -> bytes:
        [name] = wire.names_in(body)
        known = self._known(node, name)
        if known is None:
            change = self._status(node, fresh=not self._is_valid(node)).st_ctime_ns
            try:
                answer = super()._lookup(node, body, owner)
                known = wire.node_of(answer)
            except FileNotFoundError:
                known = 0
            self._known_names[node, name] = time.monotonic() + self._valid_s, change, known
        if not known:
            raise FileNotFoundError(errno.ENOENT, "it is or was absent")
        return wire.entry(known, self._status(known), 0)

    def _getattr(self, node: int, _body: bytes, _owner: _Owner) -> bytes:
        self._write_back(node)
        return wire.attributes_for(self._status(node), 0)

    def _setattr(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._changed(node)
        return super()._setattr(node, body, owner)

    def _open(self, node: int, body: bytes, owner: _Owner) -> bytes:
        if not self._status(node, fresh=True).st_nlink:
            self._known_names = {key: known for key, known in self._known_names.items() if known[2] != node}
            raise OSError(errno.ESTALE, "its name is gone")
        return super()._open(node, body, owner)

    def _opendir(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._status(node, fresh=True)
        return super()._opendir(node, body, owner)

    def _changed(self, node: int) -> None:
        self._seen.pop(node, None)

    def _create(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._changed(node)
        return super()._create(node, body, owner)

    def _mkdir(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._changed(node)
        return super()._mkdir(node, body, owner)

    def _unlink(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._changed(node)
        return super()._unlink(node, body, owner)

    def _rmdir(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._changed(node)
        return super()._rmdir(node, body, owner)

    def _rename(self, node: int, body: bytes, owner: _Owner, *, skipped: int = 8) -> bytes:
        self._seen.clear()
        return super()._rename(node, body, owner, skipped=skipped)

    def _write(self, node: int, body: bytes, owner: _Owner) -> bytes:
        handle, offset, size, *_ = wire.READ_OR_WRITE.unpack_from(body)
        if offset + size > os.fstat(handle).st_size:  # only files that have their full size are written late
            self._write_back(node)
            self._changed(node)
            return super()._write(node, body, owner)
        data = memoryview(body)[wire.READ_OR_WRITE.size :][:size]
        pages = self._dirty.setdefault(node, {})
        written = 0
        while written < size:
            page, begin = divmod(offset + written, _PAGE_BYTES)
            part = data[written : written + _PAGE_BYTES - begin]
            if page not in pages:
                pages[page] = self._page(node, page)
            pages[page][begin : begin + len(part)] = part
            written += len(part)
        return wire.written(size)

    def _page(self, node: int, page: int) -> bytearray:
        file = os.open(f"/proc/self/fd/{self._nodes[node]}", os.O_RDONLY)
        try:
            return bytearray(os.pread(file, _PAGE_BYTES, page * _PAGE_BYTES).ljust(_PAGE_BYTES, b"\0"))
        finally:
            os.close(file)

    def _write_back(self, node: int) -> int:
        """Write what is in memory of a file, but not beyond its end; return how many bytes that were."""
        pages = self._dirty.pop(node, {})
        if not pages:
            return 0
        file = os.open(f"/proc/self/fd/{self._nodes[node]}", os.O_RDWR)
        try:
            end = os.fstat(file).st_size
            for page, content in pages.items():
                begin = page * _PAGE_BYTES
                os.pwrite(file, content[: max(0, end - begin)], begin)
        finally:
            os.close(file)
        self._status(node, fresh=True)
        return len(pages) * _PAGE_BYTES

    def _fsync(self, node: int = 0, *_: object) -> bytes:
        self._write_back(node)
        return b""

    def _flush(self, node: int, *_: object) -> bytes:
        if not self._cut:
            self._write_back(node)
        return b""

    def _fallocate(self, node: int, body: bytes, owner: _Owner) -> bytes:
        self._changed(node)
        return super()._fallocate(node, body, owner)


def main() -> None:
    """Serve until standard input ends."""
    store, place, valid_s = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    server = LateServer(store, mounted(place), valid_s)
    serve(server, place, server.obey)


if __name__ == "__main__":
    main()
