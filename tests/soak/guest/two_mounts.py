"""Runs in the guest, with its cdsed: what two mounts of one export, with caches of a minute, show of staged files.

``two_mounts.py HERE THERE CUT HEAL``: two mount points, and shell commands that cut the second one off and heal it.
Prints what it saw as one line of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdsed.dir_handle import Stamp
from cdsed.model.objects import ListedObject
from cdsed.transfer.publish import publish
from cdsed.transfer.staging import HeldStaging, prepare, refresh_attributes, staged_sizes, staged_stamps

_SIZE_BYTES = 20_000
_LATE_WITHIN_S = 120.0
_OLD, _NEW, _LATE = b"o", b"n", b"l"


def _listed(*paths: str) -> list[ListedObject]:
    return [ListedObject(path, path, _SIZE_BYTES, "etag") for path in paths]


def _fetch(staging: Path, path: str, content: bytes) -> Stamp:
    """Write a file as a holder does; return its stamp where it was written."""
    held = HeldStaging(staging, lambda: None)
    file = held.open(path)
    try:
        assert os.fstat(file).st_size == _SIZE_BYTES, f"{path} has {os.fstat(file).st_size} bytes"
        os.pwrite(file, content * _SIZE_BYTES, 0)
        os.fsync(file)
        return Stamp.of(os.fstat(file))
    finally:
        os.close(file)
        held.close()


class Mounts:
    """The same directory on two mounts."""

    def __init__(self, here: Path, there: Path, cut: str, heal: str) -> None:
        self._here, self._there, self._cut, self._heal = here, there, cut, heal
        self.saw: dict[str, Any] = {}

    def _both(self, name: str) -> tuple[Path, Path]:
        """Return a staging directory, here and there."""
        for top in (self._here, self._there):
            (top / ".cdsed").mkdir(mode=0o700, exist_ok=True)
        return self._here / ".cdsed" / name, self._there / ".cdsed" / name

    def stamps(self) -> None:
        """What is written there is seen here after an open, and not before."""
        here, there = self._both("stamps.SAFE")
        self.saw["absent there"] = not (there / "a").exists()
        prepare(here, _listed("a"))
        staged_stamps(here)
        written = _fetch(there, "a", _OLD)
        late = staged_stamps(here)["a"]
        refresh_attributes(here)
        fresh = staged_stamps(here)["a"]
        self.saw["stale before an open"] = late.mtime_ns != written.mtime_ns
        self.saw["right after an open"] = (fresh.mtime_ns, fresh.size_bytes) == (written.mtime_ns, written.size_bytes)
        self.saw["same inode"] = fresh.inode == written.inode
        self.saw["same device"] = fresh.device == written.device

    def made_again(self) -> None:
        """A file that is made again is written as the new one there, though the old one is still known."""
        here, there = self._both("again.SAFE")
        prepare(here, _listed("a", "b"))
        _fetch(there, "a", _OLD)
        _fetch(there, "b", _OLD)
        for round_ in range(3):
            prepare(here, _listed("a", "b"), staged_sizes(here), keep={"b"} if round_ else ())
            _fetch(there, "a", _NEW)
            _fetch(there, "b", _NEW)
            self.saw[f"made again, round {round_}"] = self._content(here, "a") == _NEW * _SIZE_BYTES

    def late(self, *, again: bool) -> None:
        """What a killed process wrote arrives after another one has fetched, and published, the same object."""
        name = "made again" if again else "kept"
        here, there = self._both(f"{name}.SAFE")
        prepare(here, _listed("a"))
        child = self._dirty(there)
        begun_s = time.monotonic()
        if again:
            prepare(here, _listed("a"), staged_sizes(here))
        _fetch(here, "a", _NEW)
        self.saw[f"{name}: seconds until it is fetched again"] = round(time.monotonic() - begun_s, 1)
        sizes = {"a": _SIZE_BYTES}
        final = publish(here, self._here / "spool", sizes, single=None, stamps=staged_stamps(here)).path
        subprocess.run(self._heal, shell=True, check=True)
        os.waitpid(child, 0)
        synced = subprocess.run(["timeout", str(_LATE_WITHIN_S), "sync", "-f", str(self._there)], check=False)
        self.saw[f"{name}: sync of the late mount"] = synced.returncode
        content = (final / "a").read_bytes()
        self.saw[f"{name}: late bytes"] = [content.find(_LATE), content.count(_LATE)]
        self.saw[f"{name}: whole"] = content.count(_NEW) + content.count(_LATE) == _SIZE_BYTES

    def _dirty(self, there: Path) -> int:
        """Leave bytes of a killed process in the memory of the second mount, which is cut off; return its pid."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            held = HeldStaging(there, lambda: None)
            file = held.open("a")
            os.pwrite(file, _OLD * 5000, 0)
            os.fsync(file)
            subprocess.run(self._cut, shell=True, check=True)
            os.pwrite(file, _LATE * 1000, 5000)
            os.write(writer, b"w")
            os.fsync(file)
            os._exit(0)
        os.read(reader, 1)
        time.sleep(1)  # it is in the call by then
        os.kill(child, signal.SIGKILL)
        return child

    @staticmethod
    def _content(staging: Path, path: str) -> bytes:
        return (staging / path).read_bytes()


def main() -> None:
    """Try all, and say what was seen."""
    here, there, cut, heal = sys.argv[1:]
    mounts = Mounts(Path(here), Path(there), cut, heal)
    tried: list[Callable[[], None]] = [mounts.stamps, mounts.made_again]
    tried += [lambda: mounts.late(again=True), lambda: mounts.late(again=False)]
    for each in tried:
        each()
    print(json.dumps(mounts.saw))


if __name__ == "__main__":
    main()
