"""How a process waits for the write lock of the state."""

import random
import time

#: SQLite's own busy handler sleeps up to 100 ms between two tries, and another process gets the lock meanwhile. Writes
#: of the state take about a millisecond, so it is tried again after about that time.
_SOON_S, _LATER_S = 0.001, 0.02
_SOON_FOR_S = 2.0


class Patience:
    """A busy handler that waits for at most `timeout_s`; SQLite calls it as long as another process has the lock."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._since_s = time.monotonic()

    def __call__(self, _calls: int) -> bool:
        """Wait a moment; return whether to try again."""
        waited_s = time.monotonic() - self._since_s
        if waited_s >= self._timeout_s:
            return False
        pause_s = _SOON_S if waited_s < _SOON_FOR_S else _LATER_S
        time.sleep(pause_s * random.uniform(0.5, 1.5))  # processes that wait must not try in step
        return True
