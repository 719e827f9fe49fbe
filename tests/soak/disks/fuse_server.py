"""A disk that fails as the test says: ``python -m tests.soak.disks.fuse_server STORE PLACE CACHED``.

It shows the directory STORE at PLACE. Faults come as lines of JSON on standard input, each answered by a line: a list
replaces the faults. At the end of standard input it unmounts PLACE and leaves.
CACHED is 1 for a page cache, which databases need, or 0. See `tests.soak.disks.fuse_disk`.
"""

import ctypes
import errno
import json
import os
import resource
import stat
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.soak.disks import fuse_wire as wire
from tests.soak.disks.fuse_wire import Op

_ROOT = 1
_MODE, _UID, _GID, _SIZE, _ATIME, _MTIME, _ATIME_NOW, _MTIME_NOW = 1, 2, 4, 8, 16, 32, 128, 256
_CHANGES = {
    *(Op.SETATTR, Op.SYMLINK, Op.MKDIR, Op.UNLINK, Op.RMDIR, Op.RENAME, Op.RENAME2, Op.LINK, Op.WRITE, Op.CREATE),
    *(Op.FALLOCATE, Op.FSYNC, Op.FSYNCDIR),  # as an ext4 whose journal was given up
}
_libc = ctypes.CDLL(None, use_errno=True)


class Faults:
    """What goes wrong: a list of faults, as `tests.soak.disks.fuse_disk.Fault` describes them."""

    def __init__(self) -> None:
        self._faults: list[dict[str, Any]] = []
        self._hits: Counter[str] = Counter()
        self.read_only = False
        self.name_bytes_max = 255
        self.valid_s = 0
        self.stale: set[int] = set()

    def order(self, command: dict[str, Any]) -> dict[str, int]:
        """Take a command; return how often each fault has happened."""
        self._faults = command.get("faults", self._faults)
        self.read_only = command.get("read_only", self.read_only)
        self.name_bytes_max = command.get("name_bytes_max", self.name_bytes_max)
        self.valid_s = command.get("valid_s", self.valid_s)
        return dict(self._hits)

    def find(self, op: Op, path: str) -> dict[str, Any]:
        """Return the fault that happens at this request; {} if it works."""
        kind = {Op.RENAME2: "rename", Op.FSYNCDIR: "fsync"}.get(op, op.name.lower())
        for fault in self._faults:
            if kind not in fault["ops"] or not fnmatchcase(path, fault["path"]) or fault.get("times") == 0:
                continue
            if "times" in fault:
                fault["times"] -= 1
            self._hits[fault["name"]] += 1
            return fault
        return {}


class Server:
    """Answers the kernel. Nodes are open descriptors of what they are, so that renames need no attention."""

    def __init__(self, store: Path, device: int, faults: Faults, *, direct: bool) -> None:
        self._store, self._device, self._faults, self._direct = store, device, faults, direct
        self._nodes = {_ROOT: os.open(store, os.O_PATH)}
        self._lists: dict[int, list[bytes]] = {}

    def serve(self) -> None:
        """Answer until it is unmounted."""
        while True:
            try:
                request = os.read(self._device, wire.WRITE_BYTES_MAX + 65536)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return
            self._take(request)

    def _take(self, request: bytes) -> None:
        _, number, unique, node, uid, gid, _, _ = wire.IN_HEADER.unpack_from(request)
        failed, answer = self._outcome(number, node, request[wire.IN_HEADER.size :], (uid, gid))
        if number not in wire.SILENT:
            self._reply(unique, failed, answer)

    def _reply(self, unique: int, failed: int, answer: bytes) -> None:
        head = wire.OUT_HEADER.pack(wire.OUT_HEADER.size + len(answer), -failed, unique)
        try:
            os.write(self._device, head + answer)
        except OSError as error:
            if error.errno != errno.ENOENT:  # the caller was killed
                raise

    def _outcome(self, number: int, node: int, body: bytes, owner: tuple[int, int]) -> tuple[int, bytes]:
        if number not in Op.__members__.values():
            return errno.ENOSYS, b""
        op = Op(number)
        if node in self._faults.stale and op not in wire.SILENT:
            return errno.ESTALE, b""
        try:
            return self._done(op, node, body, owner)
        except OSError as error:
            return error.errno or errno.EIO, b""

    def _done(self, op: Op, node: int, body: bytes, owner: tuple[int, int]) -> tuple[int, bytes]:
        """Do what is asked, unless a fault prevents it; return the errno and the answer."""
        faults, names = self._faults, self._names(op, body)
        if any(len(os.fsencode(name)) > faults.name_bytes_max for name in names):
            return errno.ENAMETOOLONG, b""
        if faults.read_only and self._changes(op, body):
            return errno.EROFS, b""
        below = struct.unpack_from("<Q", body)[0] if op in (Op.RENAME, Op.RENAME2) else node
        fault = faults.find(op, self._path(below, names)) if below else {}
        failed = getattr(errno, fault.get("error", ""), 0)
        faults.read_only |= fault.get("then_read_only", False)
        if fault.get("lies"):
            return 0, wire.written(wire.READ_OR_WRITE.unpack_from(body)[2])
        if "short" in fault:
            body = self._shortened(body, fault["short"])
        if failed and not fault.get("after"):
            return failed, b""
        answer = getattr(self, f"_{op.name.lower()}")(node, body, owner)
        return (failed, b"") if failed else (0, answer)

    @staticmethod
    def _names(op: Op, body: bytes) -> list[str]:
        skipped = {
            **dict.fromkeys((Op.LOOKUP, Op.UNLINK, Op.RMDIR, Op.SYMLINK), 0),
            **dict.fromkeys((Op.MKDIR, Op.RENAME, Op.LINK), 8),
            **dict.fromkeys((Op.RENAME2, Op.CREATE), 16),
        }
        return wire.names_in(body[skipped[op] :]) if op in skipped else []

    @staticmethod
    def _changes(op: Op, body: bytes) -> bool:
        if op is Op.OPEN:
            return bool(struct.unpack_from("<I", body)[0] & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC))
        return op in _CHANGES

    @staticmethod
    def _shortened(body: bytes, share: float) -> bytes:
        handle, offset, size, *rest = wire.READ_OR_WRITE.unpack_from(body)
        size = max(1, int(size * share))
        start = wire.READ_OR_WRITE.size
        return wire.READ_OR_WRITE.pack(handle, offset, size, *rest) + body[start : start + size]

    def _path(self, node: int, names: list[str]) -> str:
        """Return the path below the store; of a rename the new name."""
        top = str(Path(f"/proc/self/fd/{self._nodes[node]}").readlink()).removeprefix(str(self._store)).lstrip("/")
        return "/".join(filter(None, (top, *names[-1:])))

    def _entry(self, parent: int, name: str) -> bytes:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._nodes[parent])
        status = os.fstat(descriptor)
        if status.st_ino in self._nodes:
            os.close(descriptor)
        else:
            self._nodes[status.st_ino] = descriptor
        self._faults.stale.discard(status.st_ino)
        return wire.entry(status.st_ino, status, self._faults.valid_s)

    def _open_again(self, node: int, flags: int) -> int:
        known = flags & (os.O_ACCMODE | os.O_TRUNC | os.O_APPEND)
        return os.open(f"/proc/self/fd/{self._nodes[node]}", known)

    def _init(self, _node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        return wire.init(struct.unpack_from("<I", body, 8)[0])

    def _lookup(self, node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        [name] = wire.names_in(body)
        try:
            return self._entry(node, name)
        except FileNotFoundError:
            if self._faults.valid_s:
                return wire.absent(self._faults.valid_s)
            raise

    def _forget(self, *_: object) -> bytes:
        return b""  # a test is short

    _batch_forget = _interrupt = _forget

    def _getattr(self, node: int, _body: bytes, _owner: tuple[int, int]) -> bytes:
        return wire.attributes_for(os.fstat(self._nodes[node]), self._faults.valid_s)

    def _setattr(self, node: int, body: bytes, owner: tuple[int, int]) -> bytes:
        valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = wire.SETATTR.unpack_from(
            body
        )
        place = f"/proc/self/fd/{self._nodes[node]}"
        if valid & _MODE:
            Path(place).chmod(stat.S_IMODE(mode))
        if valid & (_UID | _GID):
            os.chown(place, uid if valid & _UID else -1, gid if valid & _GID else -1)
        if valid & _SIZE:
            os.truncate(place, size)
        if valid & (_ATIME | _MTIME):
            now = os.fstat(self._nodes[node])
            at_ns = atime * 10**9 + atime_ns if valid & _ATIME else now.st_atime_ns
            changed_ns = mtime * 10**9 + mtime_ns if valid & _MTIME else now.st_mtime_ns
            at_ns = time.time_ns() if valid & _ATIME_NOW else at_ns
            os.utime(place, ns=(at_ns, time.time_ns() if valid & _MTIME_NOW else changed_ns))
        return self._getattr(node, body, owner)

    def _readlink(self, node: int, _body: bytes, _owner: tuple[int, int]) -> bytes:
        return os.fsencode(os.readlink("", dir_fd=self._nodes[node]))

    def _symlink(self, node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        name, target = wire.names_in(body)
        os.symlink(target, name, dir_fd=self._nodes[node])
        return self._entry(node, name)

    def _link(self, node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        [name] = wire.names_in(body[8:])
        source = f"/proc/self/fd/{self._nodes[struct.unpack_from('<Q', body)[0]]}"
        os.link(source, name, dst_dir_fd=self._nodes[node], follow_symlinks=True)
        return self._entry(node, name)

    def _mkdir(self, node: int, body: bytes, owner: tuple[int, int]) -> bytes:
        [name] = wire.names_in(body[8:])
        os.mkdir(name, struct.unpack_from("<I", body)[0], dir_fd=self._nodes[node])
        os.chown(name, *owner, dir_fd=self._nodes[node])
        return self._entry(node, name)

    def _unlink(self, node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        os.unlink(*wire.names_in(body), dir_fd=self._nodes[node])
        return b""

    def _rmdir(self, node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        os.rmdir(*wire.names_in(body), dir_fd=self._nodes[node])
        return b""

    def _rename(self, node: int, body: bytes, _owner: tuple[int, int], *, skipped: int = 8) -> bytes:
        old, new = wire.names_in(body[skipped:])
        target = self._nodes[struct.unpack_from("<Q", body)[0]]
        os.rename(old, new, src_dir_fd=self._nodes[node], dst_dir_fd=target)
        return b""

    def _rename2(self, node: int, body: bytes, owner: tuple[int, int]) -> bytes:
        if struct.unpack_from("<I", body, 8)[0]:
            raise OSError(errno.EINVAL, "no flags")
        return self._rename(node, body, owner, skipped=16)

    def _create(self, node: int, body: bytes, owner: tuple[int, int]) -> bytes:
        flags, mode = struct.unpack_from("<II", body)
        [name] = wire.names_in(body[16:])
        known = (flags & ~os.O_APPEND) | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(name, known, mode & 0o7777, dir_fd=self._nodes[node])
        os.fchown(handle, *owner)
        return self._entry(node, name) + wire.opened(handle, direct=self._direct)

    def _open(self, node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        handle = self._open_again(node, struct.unpack_from("<I", body)[0])
        return wire.opened(handle, direct=self._direct)

    def _read(self, _node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        handle, offset, size, *_ = wire.READ_OR_WRITE.unpack_from(body)
        return os.pread(handle, size, offset)

    def _write(self, _node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        handle, offset, size, *_ = wire.READ_OR_WRITE.unpack_from(body)
        start = wire.READ_OR_WRITE.size
        return wire.written(os.pwrite(handle, body[start : start + size], offset))

    def _statfs(self, *_: object) -> bytes:
        return wire.statfs(os.statvfs(self._store), self._faults.name_bytes_max)

    def _release(self, _node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def _fsync(self, *_: object) -> bytes:
        return b""

    _flush = _fsyncdir = _syncfs = _fsync

    def _fallocate(self, _node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        handle, offset, length, mode, _ = wire.FALLOCATE.unpack_from(body)
        if mode:
            raise OSError(errno.EOPNOTSUPP, "no modes")
        os.posix_fallocate(handle, offset, length)
        return b""

    def _opendir(self, node: int, _body: bytes, _owner: tuple[int, int]) -> bytes:
        handle = self._open_again(node, os.O_RDONLY)
        self._lists[handle] = []
        return wire.opened(handle, direct=False)

    def _readdir(self, _node: int, body: bytes, _owner: tuple[int, int]) -> bytes:
        handle, offset, size, *_ = wire.READ_OR_WRITE.unpack_from(body)
        if offset == 0:
            with os.scandir(handle) as found:
                entries = [(item.name, item.inode(), item.stat(follow_symlinks=False).st_mode) for item in found]
            dots = [(".", 1, stat.S_IFDIR), ("..", 1, stat.S_IFDIR)]
            self._lists[handle] = [
                wire.directory_entry(inode, number, stat.S_IFMT(mode), name)
                for number, (name, inode, mode) in enumerate([*dots, *entries], start=1)
            ]
        answer = b""
        for each in self._lists[handle][offset:]:
            if len(answer) + len(each) > size:
                break
            answer += each
        return answer

    def _releasedir(self, node: int, body: bytes, owner: tuple[int, int]) -> bytes:
        self._lists.pop(struct.unpack_from("<Q", body)[0], None)
        return self._release(node, body, owner)

    def make_stale(self) -> None:
        """Know none of the nodes that were given out, as a file server after an unlucky restart."""
        self._faults.stale = set(self._nodes) - {_ROOT}


def mounted(place: Path) -> int:
    """Mount at a place what this process is to serve; return the descriptor of its requests."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if _libc.mount(b"failing-disk", os.fsencode(place), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"{place} cannot be mounted: {os.strerror(ctypes.get_errno())}")
    return device


def serve(server: Server, place: Path, obey: Callable[[dict[str, Any]], dict[str, int]]) -> None:
    """Serve a disk, and obey the commands on standard input, until that ends."""
    os.umask(0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    threading.Thread(target=server.serve, daemon=True).start()
    print("{}", flush=True)
    try:
        for line in sys.stdin:
            print(json.dumps(obey(json.loads(line))), flush=True)
    finally:
        _libc.umount2(os.fsencode(place), 2)  # MNT_DETACH


def main() -> None:
    """Serve until standard input ends."""
    store, place, cached = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "1"
    faults = Faults()
    server = Server(store, mounted(place), faults, direct=not cached)

    def obey(command: dict[str, Any]) -> dict[str, int]:
        if command.pop("stale", False):
            server.make_stale()
        return faults.order(command)

    serve(server, place, obey)


if __name__ == "__main__":
    main()
