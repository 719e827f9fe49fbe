"""A limit on how often something is done, shared by all threads that hold it."""

import threading

from cdsed.clock import Clock
from cdsed.errors import Stopped


class Pace:
    """Evenly spaced turns: no burst after a pause, as the catalogue's firewall counts by the second.

    Parameters
    ----------
    per_s
        Turns per second.
    clock
        What time it is, and how to wait.
    """

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._interval_s = 1 / per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._next_s = 0.0

    def wait_for_turn(self, stop: threading.Event) -> None:
        """Wait until it is our turn; raise `Stopped` as soon as `stop` is set."""
        with self._lock:
            now_s = self._clock.boot_s()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._interval_s
        if self._clock.wait(stop, turn_s - now_s):
            raise Stopped
