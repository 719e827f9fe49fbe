"""Time and waiting, in one place so that tests can replace the clock.

Durations and due times are seconds of CLOCK_BOOTTIME: it is the same for every process of the machine,
never jumps and continues during suspend. Wall-clock time (UTC) is for people and for the catalogue.

A boot is identified by the UTC time at which CLOCK_BOOTTIME was 0. The kernel's own boot_id would be simpler, but the
sandbox of a service may hide it (``ProcSubset=pid``), and all processes that share a file must get the same result. If
the wall clock is set by more than `_SAME_BOOT_S`, that looks like a reboot. Use it only where this costs little, such
as one more login.
"""

import threading
import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock."""

    def boot_s(self) -> float:
        """Return seconds since the machine booted, suspend included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def utc_s(self) -> float:
        """Return seconds since the epoch, UTC; may jump."""
        return time.time()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `stop` is set or `seconds` have passed; return whether it was set."""
        return stop.wait(max(0.0, seconds))

    def booted_at(self) -> float:
        """Return the UTC time of the last boot; it drifts with the wall clock, see `same_boot`."""
        return self.utc_s() - self.boot_s()


SYSTEM_CLOCK = Clock()

_SAME_BOOT_S = 30.0


def same_boot(booted_at: float, other: float) -> bool:
    """Tell whether two boot times (`Clock.booted_at`) are of the same boot."""
    return abs(booted_at - other) <= _SAME_BOOT_S


def iso(utc_s: float) -> str:
    """Return an epoch second as ``2026-11-22T14:32:05Z``."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
