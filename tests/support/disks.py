"""Real file systems for tests: small ones that can be filled, made read-only, taken away and put back."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")


class Disk:
    """A file system on a mount point of its own; what was written outlasts `take_away`, as a real disk's would.

    Parameters
    ----------
    size
        In the words of mount(8), e.g. ``12000k``.
    """

    def __init__(self, folder: Path, *, size: str = "64m") -> None:
        self.place = folder / "mounted"
        self._store = folder / "store"
        for directory in (self.place, self._store):
            directory.mkdir(parents=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self._store)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        self.put_back()

    def put_back(self) -> None:
        """Mount it."""
        subprocess.run(["mount", "--bind", str(self._store), str(self.place)], check=True)

    def take_away(self) -> None:
        """Take it from its mount point, as when it was never mounted; nothing must be open on it."""
        subprocess.run(["umount", str(self.place)], check=True)

    def make_read_only(self, *, yes: bool = True) -> None:
        """Let nobody write to it, or everybody again."""
        subprocess.run(["mount", "-o", f"remount,bind,{'ro' if yes else 'rw'}", str(self.place)], check=True)

    def close(self) -> None:
        """Remove it for good."""
        for place in (self.place, self._store):
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Give a disk of 64 MB."""
    made = Disk(tmp_path / "disk")
    yield made
    made.close()
