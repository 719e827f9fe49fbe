"""The firewall before the catalogue: a limit on the requests per second of all clients together."""

import threading
from collections import deque

from cdsed.clock import Clock


class Waf:
    """Admits a number of requests in any second.

    Parameters
    ----------
    clock
        Measures the second.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._admitted_s: deque[float] = deque()

    def admits(self, requests_per_s: float | None) -> bool:
        """Return whether another request is within the rate, and count it if so; None admits any."""
        if requests_per_s is None:
            return True
        span_s, most = max(1.0, 1 / requests_per_s), max(1, int(requests_per_s))
        now_s = self._clock.boot_s()
        with self._lock:
            while self._admitted_s and self._admitted_s[0] <= now_s - span_s:
                self._admitted_s.popleft()
            if len(self._admitted_s) >= most:
                return False
            self._admitted_s.append(now_s)
            return True
