"""The directory of one private daemon: shared by the calls that need the same one, removed after the last of them."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cdsed.process.lock import is_running
from cdsed.store.state_id import known_state_id
from cdsed.transfer.ownerfile import FOLDER
from cdsed.transfer.publish import NEAR, REPLACED

_ROOMS = "rooms.json"
_FORGOTTEN_AFTER_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class PrivateRoot:
    """A directory for a private daemon, held for a call by a shared lock on it."""

    path: Path
    descriptor: int

    def note(self, spools: list[str], pre_spool: str | None) -> None:
        """Record where the daemon works outside of this directory, for `remove`."""
        (self.path / _ROOMS).write_text(json.dumps({"spools": spools, "pre_spool": pre_spool}), encoding="utf-8")

    def clean(self) -> None:
        """Remove what calls that were killed have left, such as copies of accounts; not while another call runs."""
        with suppress(BlockingIOError):
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_running(self.path / "state"):
                for left in self.path.glob("call-*"):
                    shutil.rmtree(left, ignore_errors=True)
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def remove(self) -> None:
        """Remove the daemon's state and staging, unless another call uses them.

        What cdsed found under a product's name and set aside in the staging stays.
        """
        with suppress(BlockingIOError):
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_running(self.path / "state"):
                return
            with suppress(OSError, ValueError):
                self._leave_rooms(**json.loads((self.path / _ROOMS).read_text(encoding="utf-8")))
            shutil.rmtree(self.path, ignore_errors=True)

    def _leave_rooms(self, spools: list[str], pre_spool: str | None) -> None:
        state_id = known_state_id(self.path / "state")
        for spool in spools if state_id else ():
            with suppress(OSError):
                Path(spool, NEAR, FOLDER, f"{state_id}.state").unlink()
        if pre_spool is not None and not Path(pre_spool, REPLACED).exists():
            shutil.rmtree(pre_spool, ignore_errors=True)


@contextmanager
def in_use(directory: Path) -> Iterator[PrivateRoot]:
    """Make a directory, and hold it for a call. If another call removes it meanwhile, it is made again."""
    while True:
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            root = PrivateRoot(directory, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            root.clean()
            if os.fstat(descriptor).st_nlink:
                yield root
                return
        finally:
            os.close(descriptor)


def sweep(base: Path) -> None:
    """Remove the directories of calls that were given up or killed, and not repeated for 30 days."""
    with os.scandir(base) as entries:
        for entry in entries:
            if len(entry.name) == 16 and entry.stat().st_mtime < time.time() - _FORGOTTEN_AFTER_S:
                with in_use(Path(entry)) as root:
                    root.remove()
