"""Real file systems for tests: small ones that can be filled, made read-only, taken away and put back."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems and gives files away")


def mount_refused(place: Path, size: str) -> str:
    """Mount a tmpfs of this size, in the words of mount(8); return why it cannot be, '' when it is."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    return mounted.stderr.strip() or "mount failed" if mounted.returncode else ""


def unmount(place: Path) -> None:
    """Unmount a file system for good, even while a process uses it. It may be unmounted already."""
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """Have a file system on a new directory; skip the test where none can be mounted."""
    place.mkdir(parents=True)
    if why := mount_refused(place, size):
        pytest.skip(f"no file system can be mounted here: {why}")
    try:
        yield place
    finally:
        unmount(place)


def fill(path: Path) -> None:
    """Write a file until nothing more, not even a block, goes onto its disk."""
    with path.open("ab", buffering=0) as file:
        for block in (2**20, 2**12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(block))


class Disk:
    """A file system on a mount point of its own; what was written outlasts `take_away`, as a real disk's would."""

    def __init__(self, store: Path, place: Path) -> None:
        self.place = place
        self._store = store
        self.put_back()

    def put_back(self) -> None:
        """Mount it."""
        subprocess.run(["mount", "--bind", str(self._store), str(self.place)], check=True)

    def take_away(self) -> None:
        """Take it from its mount point, as if it was never mounted. No file on it may be open."""
        subprocess.run(["umount", str(self.place)], check=True)

    def make_read_only(self, *, yes: bool = True) -> None:
        """Make it read-only, or writable again."""
        subprocess.run(["mount", "-o", f"remount,bind,{'ro' if yes else 'rw'}", str(self.place)], check=True)
