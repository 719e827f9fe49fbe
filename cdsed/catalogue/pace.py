"""A limit on how often the catalogue is asked, shared by all threads, and through a file by all processes."""

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from cdsed.clock import Clock
from cdsed.errors import Stopped

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Pace:
    """Evenly spaced turns: no burst after a pause, as the catalogue's firewall counts by the second.

    Parameters
    ----------
    per_s
        Turns per second.
    clock
        What time it is, and how to wait.
    file
        Holds the time of the next free turn for every process that is given the same file; None: this
        object alone. Its directory must exist.
    """

    def __init__(self, per_s: float, clock: Clock, file: Path | None = None) -> None:
        self._interval_s = 1 / per_s
        self._clock = clock
        self._file = file
        self._lock = threading.Lock()
        self._next_s = 0.0

    def wait_for_turn(self, stop: threading.Event) -> None:
        """Wait until it is our turn; raise `Stopped` as soon as `stop` is set."""
        now_s = self._clock.boot_s()
        turn_s = max(now_s, self._move(lambda next_s: max(now_s, next_s) + self._interval_s))
        if self._clock.wait(stop, turn_s - now_s):
            raise Stopped

    def rest(self, seconds: float) -> None:
        """Give out no turn for so long, as the service has asked; turns already given stay."""
        until_s = self._clock.boot_s() + seconds
        self._move(lambda next_s: max(next_s, until_s))

    def _move(self, to: Callable[[float], float]) -> float:
        """Move the next free turn; return where it was."""
        with self._lock:
            if self._file is None:
                was_s, self._next_s = self._next_s, to(self._next_s)
                return was_s
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                boot = _BOOT_ID.read_text(encoding="ascii").strip()
                was_s = _parse(os.pread(descriptor, 200, 0), boot)
                os.pwrite(descriptor, f"{boot} {to(was_s):20.6f}\n".encode(), 0)
            finally:
                os.close(descriptor)
            return was_s


def _parse(line: bytes, boot: str) -> float:
    """Read the next free turn; 0 when nobody has written one since the machine booted."""
    match line.decode("ascii", "replace").split():
        case [writer, seconds] if writer == boot:
            return float(seconds)
    return 0.0
