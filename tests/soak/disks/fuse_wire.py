"""The wire format of FUSE, as far as a disk of tests needs it: ``include/uapi/linux/fuse.h``, version 7.31."""

import os
import struct
from enum import IntEnum

MAJOR, MINOR = 7, 31
WRITE_BYTES_MAX = 2**20
_MAX_PAGES, _BIG_WRITES, _ATOMIC_TRUNC = 1 << 22, 1 << 5, 1 << 3
#: Reads and writes reach the server one by one, and a short write is seen as one.
DIRECT_IO = 1

IN_HEADER = struct.Struct("<IIQQIIII")
OUT_HEADER = struct.Struct("<IiQ")
SETATTR = struct.Struct("<IIQQQQQQIIIIIIII")
READ_OR_WRITE = struct.Struct("<QQIIQII")
FALLOCATE = struct.Struct("<QQQII")
_ATTRIBUTES = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<4Q2I")
_VALID = struct.Struct("<QII")
_DIRENT = struct.Struct("<QQII")
_STATFS = struct.Struct("<5Q4I24x")
UNIQUE = struct.Struct("<Q")
_WRITTEN = struct.Struct("<II")
_INIT = struct.Struct("<IIIIHHIIHHI28x")


class Op(IntEnum):
    """Requests of the kernel."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    BATCH_FORGET = 42
    FALLOCATE = 43
    RENAME2 = 45
    SYNCFS = 50


#: They are not answered.
SILENT = {Op.FORGET, Op.BATCH_FORGET, Op.INTERRUPT}


def names_in(data: bytes) -> list[str]:
    """Return names that end with a zero each."""
    return [os.fsdecode(name) for name in data.split(b"\0")[:-1]]


def attributes(status: os.stat_result) -> bytes:
    """Return a ``fuse_attr``."""
    times_ns = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    seconds, rest = zip(*(divmod(each, 10**9) for each in times_ns), strict=True)
    return _ATTRIBUTES.pack(
        *(status.st_ino, status.st_size, status.st_blocks, *seconds, *rest),
        *(status.st_mode, status.st_nlink, status.st_uid, status.st_gid, status.st_rdev, status.st_blksize, 0),
    )


def attributes_for(status: os.stat_result, valid_s: int) -> bytes:
    """Return a ``fuse_attr_out``; the kernel believes it for so long."""
    return _VALID.pack(valid_s, 0, 0) + attributes(status)


def entry(node: int, status: os.stat_result, valid_s: int) -> bytes:
    """Return a ``fuse_entry_out``."""
    return _ENTRY.pack(node, 0, valid_s, valid_s, 0, 0) + attributes(status)


def node_of(entry: bytes) -> int:
    """Return the node of a ``fuse_entry_out``."""
    node: int = UNIQUE.unpack_from(entry)[0]
    return node


def written(size_bytes: int) -> bytes:
    """Return a ``fuse_write_out``."""
    return _WRITTEN.pack(size_bytes, 0)


def absent(valid_s: int) -> bytes:
    """Return a ``fuse_entry_out`` of a name that is not there."""
    return _ENTRY.pack(0, 0, valid_s, 0, 0, 0) + bytes(_ATTRIBUTES.size)


def opened(handle: int, *, direct: bool) -> bytes:
    """Return a ``fuse_open_out``."""
    return struct.pack("<QII", handle, DIRECT_IO if direct else 0, 0)


def directory_entry(inode: int, offset: int, kind: int, name: str) -> bytes:
    """Return a ``fuse_dirent``, padded; `kind` is the file type of its mode."""
    raw = os.fsencode(name)
    head = _DIRENT.pack(inode, offset, len(raw), kind >> 12)
    return head + raw + bytes(-(len(head) + len(raw)) % 8)


def statfs(status: os.statvfs_result, name_bytes_max: int) -> bytes:
    """Return a ``fuse_kstatfs``."""
    counts = (status.f_blocks, status.f_bfree, status.f_bavail, status.f_files, status.f_ffree)
    return _STATFS.pack(*counts, status.f_bsize, name_bytes_max, status.f_frsize, 0)


def init(readahead: int) -> bytes:
    """Return a ``fuse_init_out``."""
    flags = _MAX_PAGES | _BIG_WRITES | _ATOMIC_TRUNC
    pages = WRITE_BYTES_MAX // 4096
    return _INIT.pack(MAJOR, MINOR, readahead, flags, 16, 12, WRITE_BYTES_MAX, 1, pages, 0, 0)
