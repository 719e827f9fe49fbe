"""Aborting transfers that stall: a read time-out alone does not end a connection that trickles.

One thread per process watches the connections of its sessions. It aborts a connection whose rate over the window is
below the minimum. The time for which a limit of bandwidth holds a connection back does not count. When the process
must leave, it aborts all of them.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cdsed.transfer.connection import Connection
from cdsed.transfer.s3_errors import SILENT


@dataclass(slots=True)
class _Watched:
    connection: Connection
    since_s: float
    bytes_then: int
    held_then_s: float

    def begin(self, now_s: float) -> None:
        """Begin a window."""
        self.since_s, self.bytes_then = now_s, self.connection.bytes_received
        self.held_then_s = self.connection.held_s()

    def passed_s(self, now_s: float) -> float:
        """Return the seconds of the window in which bytes were due."""
        return now_s - self.since_s - (self.connection.held_s() - self.held_then_s)


class StallDetector:
    """Watches transfers; inside a `watch` block a connection must deliver bytes.

    Parameters
    ----------
    rate_min_bytes_per_s
        A connection with a lower mean rate over the window is aborted; 0: never.
    window_s
        Seconds over which the rate is taken.
    """

    def __init__(self, rate_min_bytes_per_s: int, window_s: float) -> None:
        self._rate_min = rate_min_bytes_per_s
        self._window_s = window_s
        self._watched: dict[int, _Watched] = {}
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, connection: Connection) -> Iterator[None]:
        """Hold a connection to the minimum rate for the duration of the block."""
        with self._lock:
            self._watched[id(connection)] = _Watched(
                *(connection, time.monotonic(), connection.bytes_received, connection.held_s())
            )
        try:
            yield
        finally:
            with self._lock:
                del self._watched[id(connection)]

    def check(self) -> None:
        """Abort transfers that were too slow over the last window; call it about once per second."""
        now_s = time.monotonic()
        with self._lock:
            for watched in self._watched.values():
                if watched.connection.waits:
                    watched.begin(now_s)
                passed_s = watched.passed_s(now_s)
                if passed_s < self._window_s:
                    continue
                brought = watched.connection.bytes_received - watched.bytes_then
                if brought < self._rate_min * passed_s:
                    advice = "" if brought else f"; {SILENT}"
                    watched.connection.abort(f"only {brought} bytes in {passed_s:.0f} s; connection cut{advice}")
                watched.begin(now_s)

    def abort_all(self) -> None:
        """Abort every transfer because the process must leave now."""
        with self._lock:
            for watched in self._watched.values():
                watched.connection.abort("stop")
