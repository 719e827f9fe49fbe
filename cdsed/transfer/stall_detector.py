"""Aborting transfers that stall: a read time-out alone never sees a connection that trickles.

One thread per process watches the connections of its sessions. A connection that brought less than the minimum
rate over the window is aborted; when the process must leave, all are.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cdsed.transfer.connection import Connection


@dataclass(slots=True)
class _Watched:
    connection: Connection
    since_s: float
    bytes_then: int


class StallDetector:
    """Watches transfers; `watch` is the time during which a connection must bring bytes.

    Parameters
    ----------
    rate_min_bytes_per_s
        Below this mean over the window a connection is aborted; 0: never.
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
            self._watched[id(connection)] = _Watched(connection, time.monotonic(), connection.bytes_received)
        try:
            yield
        finally:
            with self._lock:
                del self._watched[id(connection)]

    def check(self) -> None:
        """Abort what was too slow over the last window; call it about once per second."""
        now_s = time.monotonic()
        with self._lock:
            for watched in self._watched.values():
                if watched.connection.waits:
                    watched.since_s = now_s
                passed_s = now_s - watched.since_s
                if passed_s < self._window_s:
                    continue
                brought = watched.connection.bytes_received - watched.bytes_then
                if brought < self._rate_min * passed_s:
                    watched.connection.abort(f"only {brought} bytes in {passed_s:.0f} s; connection cut")
                watched.since_s, watched.bytes_then = now_s, watched.connection.bytes_received

    def abort_all(self) -> None:
        """Abort every transfer because the process must leave now."""
        with self._lock:
            for watched in self._watched.values():
                watched.connection.abort("stop")
