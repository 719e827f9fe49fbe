"""A rate limit for requests to the catalogue, shared by all threads, and through a file by all processes."""

import fcntl
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

from cdsed.clock import Clock
from cdsed.errors import Stopped


class RateLimiter:
    """Evenly spaced slots, without a burst after a pause, because the catalogue's firewall counts by the second.

    Parameters
    ----------
    per_s
        Slots per second.
    clock
        What time it is, and how to wait.
    file
        Holds the next free slot for every process that uses the same file, with the time at which it was written;
        None: this object alone. Its directory must exist. The file does not record the boot. After a reboot its times
        are either in the future, and ignored, or the wait is not longer than it was when they were written.
    """

    def __init__(self, per_s: float, clock: Clock, file: Path | None = None) -> None:
        self._interval_s = 1 / per_s
        self._clock = clock
        self._file = file
        self._lock = threading.Lock()
        self._next_s = 0.0

    def wait_for_slot(self, stop: threading.Event) -> None:
        """Wait for the next free slot; raise `Stopped` as soon as `stop` is set."""
        now_s = self._clock.boot_s()
        slot_s = max(now_s, self._move(lambda next_s: max(now_s, next_s) + self._interval_s))
        if self._clock.wait(stop, slot_s - now_s):
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Give out no slot for this time, because the service asked for it; slots already given stay."""
        until_s = self._clock.boot_s() + seconds
        self._move(lambda next_s: max(next_s, until_s))

    def _move(self, to: Callable[[float], float]) -> float:
        """Move the next free slot; return where it was."""
        with self._lock:
            if self._file is None:
                was_s, self._next_s = self._next_s, to(self._next_s)
                return was_s
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                now_s = self._clock.boot_s()  # read under the lock: later than any time in the file
                was_s = _parse(os.pread(descriptor, 200, 0), now_s)
                os.pwrite(descriptor, f"{now_s:20.6f} {to(was_s):20.6f}\n".encode(), 0)
            finally:
                os.close(descriptor)
            return was_s


def _parse(line: bytes, now_s: float) -> float:
    """Read the next free slot; 0 when the file is empty, or was written before the machine booted."""
    try:
        written_s, next_s = map(float, line.decode("ascii", "replace").split())
    except ValueError:
        return 0.0
    return next_s if written_s <= now_s and math.isfinite(next_s) else 0.0
