"""Time and waiting, in one place so that tests can put another clock there.

Durations and due times are seconds of CLOCK_BOOTTIME: it is the same for every process of the machine,
never jumps and goes on during suspend. Wall-clock time (UTC) is for people and for the catalogue.
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


SYSTEM_CLOCK = Clock()


def iso(utc_s: float) -> str:
    """Return an epoch second as ``2026-11-22T14:32:05Z``."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
