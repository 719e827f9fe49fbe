"""Which calls bring bytes onto the platter, tried on each file system: ``python -m tests.soak.power.which_syncs``.

XFS ends `syncfs` with its log. If the log is clean, because the file had these blocks before and an fsync of another
program has taken the new time of the file with it, no flush is sent to the disk, and a power cut loses the bytes. An
fdatasync of any file afterwards flushes the disk. The module leaves with 0 if each call of `DURABLE` is durable.
"""

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.soak.power.alone import kinds
from tests.soak.power.rig import Kind, Rig

_OLD, _NEW = b"a" * 400_000, b"b" * 400_000


def _syncfs(descriptor: int) -> None:
    assert ctypes.CDLL(None).syncfs(descriptor) == 0


def _syncfs_and_fdatasync(descriptor: int) -> None:
    _syncfs(descriptor)
    os.fdatasync(descriptor)


#: What is durable on every file system, and what is not.
DURABLE: dict[str, Callable[[int], None]] = {
    "fsync": os.fsync,
    "fdatasync": os.fdatasync,
    "syncfs, then fdatasync": _syncfs_and_fdatasync,
}
_OTHERS: dict[str, Callable[[int], None]] = {"syncfs": _syncfs}


def main() -> int:
    """Try each call on a new file, and on one whose blocks are written again."""
    lost = 0
    for kind in kinds():
        for name, call in {**DURABLE, **_OTHERS}.items():
            for again in (False, True):
                durable = _try(kind, call, again=again)
                lost += not durable and name in DURABLE
                what = "blocks that are written again" if again else "a new file"
                print(f"{kind.name:<16}{name:<24}{what:<32}{'durable' if durable else 'LOST'}", flush=True)
    return 1 if lost else 0


def _try(kind: Kind, call: Callable[[int], None], *, again: bool) -> bool:
    """Write a file, let another one be synced, sync, cut the power; tell whether the bytes are there."""
    with tempfile.TemporaryDirectory(prefix="syncs-") as name:
        folder = Path(name)
        rig, place = Rig(folder / "disks"), folder / "mounted"
        try:
            rig.add(kind, place)
            path = place / "file"
            path.write_bytes(_OLD if again else b"")
            _sync_it(path)
            with path.open("r+b") as file:
                file.write(_NEW)
                file.flush()
                (place / "of another program").touch()
                _sync_it(place / "of another program")
                call(file.fileno())
                rig.turn_off()
            rig.settle("none", 1)
            return path.read_bytes() == _NEW
        finally:
            rig.close()


def _sync_it(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main())
