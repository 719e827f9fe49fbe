"""Disks that fail as a test tells them: a FUSE file system of our own over a directory, in a namespace of its own."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

_REPOSITORY = Path(__file__).parents[3]
_NEW_NAMESPACE, _RECURSIVE_PRIVATE = 0x20000, 0x44000
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """Return why no such disk can be had here; '' where it can."""
    if os.geteuid() != 0:
        return "only root mounts file systems"
    return "" if Path("/dev/fuse").exists() else "/dev/fuse is missing"


def enter_own_mount_namespace() -> None:
    """Let nothing that this process mounts be seen by others, or outlast it, however it ends."""
    for failed in (_libc.unshare(_NEW_NAMESPACE), _libc.mount(b"none", b"/", None, _RECURSIVE_PRIVATE, None)):
        if failed:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def fault(name: str, ops: Iterable[str], path: str = "*", **what: Any) -> dict[str, Any]:
    """Return a fault of a disk.

    Parameters
    ----------
    name
        Under which `FuseDisk.hits` counts it.
    ops
        Requests that fail, in small letters: read, write, fsync (also of directories), rename, create, mkdir, …
    path
        Of the file, below the disk: a pattern of fnmatch, in which ``*`` also means ``/``. Of a rename the new one.
    what
        ``error``: a name of errno. ``after``: it is done all the same. ``short``: the share of the bytes that a write
        writes. ``lies``: a write writes nothing, and says that it has. ``then_read_only``: from then on nothing can be
        written. ``times``: how often it happens.
    """
    return {"name": name, "ops": list(ops), "path": path, **what}


class FuseDisk:
    """A disk at a place; use it in ``with``. What was written stays in `store`, as on a real one.

    Parameters
    ----------
    store
        The directory that it shows. Two disks of one store are two mounts of one export.
    cached
        The kernel has a page cache for it, which SQLite needs. Then reads fail less often than you say.
    under
        A command that runs its server in another mount namespace: only that one has the disk.
    """

    server = "tests.soak.disks.fuse_server"

    def __init__(self, store: Path, place: Path, *, cached: bool = False, under: Iterable[str] = ()) -> None:
        self.store, self.place = store, place
        self._under, self._option = tuple(under), str(int(cached))
        for directory in (store, place):
            directory.mkdir(parents=True, exist_ok=True)
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        words = [*self._under, sys.executable, "-m", self.server, str(self.store), str(self.place), self._option]
        self._server = subprocess.Popen(
            words,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == {}, "the disk cannot be mounted"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._server.stdin is not None
        self._server.send_signal(signal.SIGCONT)
        self._server.stdin.close()
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        assert self._server.stdout is not None
        self._server.stdout.close()
        subprocess.run([*self._under, "umount", "--lazy", str(self.place)], capture_output=True, check=False)

    def fails(self, *faults: dict[str, Any]) -> None:
        """Have exactly these faults from now on."""
        self._ask(faults=list(faults))

    def works(self) -> None:
        """Have no fault any more, and be writable."""
        self._ask(faults=[], read_only=False)

    def hits(self, name: str) -> int:
        """Return how often the fault of this name has happened."""
        return int(self._ask().get(name, 0))

    def holds_names_of(self, size_bytes: int) -> None:
        """Hold no longer names than this."""
        self._ask(name_bytes_max=size_bytes)

    def shows_changes_after(self, valid_s: int) -> None:
        """Let the kernel believe for so long what it has seen, absent names included, as NFS does."""
        self._ask(valid_s=valid_s)

    def forget_handles(self) -> None:
        """Answer ESTALE about everything that is known by now, until it is looked up again."""
        self._ask(stale=True)

    def hang(self) -> None:
        """Answer nothing until `go_on`."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again, what was asked meanwhile first."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._server is not None
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(command) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._server is not None
        assert self._server.stdout is not None
        answer: dict[str, Any] = json.loads(self._server.stdout.readline() or "null")
        return answer
