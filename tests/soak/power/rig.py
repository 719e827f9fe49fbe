"""File systems on disks with volatile caches, and the power switch of all of them.

It needs a mount namespace of its own, so that whatever happens nothing stays mounted: see `tests.soak.power.alone`.
"""

import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.disk_control import DiskControl
from tests.support.volatile_image import Loss, Survival

_IMAGE_BYTES = 1536 * 2**20
_WITHIN_S = 15.0
_ONE = "driver=nbd,node-name=disk,server.type=unix,server.path="
_SYNC_FILE_RANGE = ctypes.CDLL(None).sync_file_range
_WRITE_AND_WAIT = 7


@dataclass(frozen=True)
class Kind:
    """A kind of file system: how it is made, and how it is mounted."""

    name: str
    file_system: str
    make: tuple[str, ...]
    options: str


KINDS = (
    Kind("ext4 ordered", "ext4", ("mkfs.ext4", "-q", "-F", "-E", "nodiscard"), "data=ordered"),
    Kind("ext4 writeback", "ext4", ("mkfs.ext4", "-q", "-F", "-E", "nodiscard"), "data=writeback"),
    Kind("xfs", "xfs", ("mkfs.xfs", "-q", "-f", "-K"), "nodiscard"),
    Kind("btrfs", "btrfs", ("mkfs.btrfs", "-q", "-f", "-K"), "nodiscard"),
)


class NotMountable(Exception):
    """A file system does not mount again after a cut: no program on it can do anything about that."""


class Mounted:
    """One disk with its file system at a place."""

    def __init__(self, kind: Kind, folder: Path, place: Path) -> None:
        self.kind = kind
        self.place = place
        self.image, self.address, self._device = folder / "platter", folder / "socket", folder / "device"
        folder.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run(*kind.make, str(self.image))
        self._device.touch()
        self._storage: subprocess.Popen[bytes] | None = None

    def plug_in(self) -> None:
        """Make a file of the disk, and mount it. After a cut its journal is replayed by that."""
        self._storage = subprocess.Popen(
            [
                "qemu-storage-daemon",
                *("--blockdev", f"{_ONE}{self.address}"),
                *("--export", f"type=fuse,id=file,node-name=disk,mountpoint={self._device},writable=on"),
            ],
            stdin=subprocess.DEVNULL,
        )
        until_s = time.monotonic() + _WITHIN_S
        # A former mount of the same file system ends a moment after the last process that used it.
        while self._device.stat().st_size == 0 or _failed("mount", *self._mount()):
            if time.monotonic() > until_s or self._storage.poll() is not None:
                done = subprocess.run(["mount", *self._mount()], capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise NotMountable(f"{self.kind.name}: {done.stderr.strip().splitlines()[0]}")
                return
            time.sleep(0.1)

    def pull_out(self) -> None:
        """Kill what makes a file of the disk, so that a process that waits for the disk gets an error."""
        assert self._storage is not None
        self._storage.kill()
        self._storage.wait()

    def unmount(self) -> None:
        """Unmount it, as soon as no program uses it."""
        until_s = time.monotonic() + _WITHIN_S
        for place in (self.place, self._device):
            while _is_mounted(place) and _failed("umount", str(place)):
                if time.monotonic() > until_s:
                    _run("umount", str(place))
                time.sleep(0.02)

    def _mount(self) -> Sequence[str]:
        return "-t", self.kind.file_system, "-o", f"loop,{self.kind.options}", str(self._device), str(self.place)


class Rig:
    """All disks of one computer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.disks: list[Mounted] = []
        self._control = DiskControl()

    def add(self, kind: Kind, place: Path, *, honest: bool = True) -> None:
        """Add a disk with an empty file system, mounted at a place."""
        place.mkdir(parents=True, exist_ok=True)
        disk = Mounted(kind, self._folder / f"disk-{len(self.disks)}", place)
        self._control.ask(do="serve", image=str(disk.image), socket=str(disk.address), honest=honest)
        disk.plug_in()
        self.disks.append(disk)

    def turn_off(self) -> None:
        """Let no disk answer any more. Then kill the programs, before they can learn of it, and call `settle`."""
        self._control.ask(do="off")

    def settle(self, survival: Survival, seed: int) -> list[Loss]:
        """Take the dead disks away, decide what they have kept, and mount them again."""
        for disk in self.disks:
            disk.pull_out()
        for disk in reversed(self.disks):
            disk.unmount()
        lost = [Loss(**each) for each in self._control.ask(do="settle", survival=survival, seed=seed)]
        for disk in self.disks:
            disk.plug_in()
        return lost

    def close(self) -> None:
        """Take all away, whatever state it is in."""
        for disk in reversed(self.disks):
            with contextlib.suppress(AssertionError):
                disk.pull_out()
            with contextlib.suppress(AssertionError):
                disk.unmount()
            disk.image.unlink()
        self._control.close()


def write_back(top: Path) -> None:
    """Let the kernel write what is dirty below, without a flush, as it may at any time: caches have much to lose."""
    for folder, _, names in os.walk(top):  # not rglob, which fails when a directory is renamed meanwhile
        for name in names:
            with contextlib.suppress(OSError), Path(folder, name).open("rb") as file:
                _SYNC_FILE_RANGE(file.fileno(), ctypes.c_int64(0), ctypes.c_int64(0), _WRITE_AND_WAIT)


def _is_mounted(place: Path) -> bool:
    return f" {place} " in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def _failed(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
