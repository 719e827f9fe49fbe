"""How long sessions are of no use because their connection may be open elsewhere, as the state says."""

import time

from tests.support.daemon import Installation
from tests.support.watch_thread import WatchThread

# The head has no lease of it, and it must not be granted yet.
_LOST = "SELECT account, slot, rest_until_s FROM session WHERE process IS NULL AND hold_s > 0"


class LostSessions(WatchThread):
    """Looks all the time.

    Attributes
    ----------
    times
        How many sessions were lost.
    longest_s
        How long one was, at most.
    """

    def __init__(self, lab: Installation) -> None:
        super().__init__(every_s=0.5)
        self._lab = lab
        self._since_s: dict[tuple[str, int], float] = {}
        self.times = 0
        self.longest_s = 0.0

    def look(self) -> int:
        """Note those that are lost now; return how many."""
        rows = self._lab.query(_LOST)
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        lost = {(row["account"], row["slot"]) for row in rows if row["rest_until_s"] > now_s}
        for session in self._since_s.keys() - lost:
            self.longest_s = max(self.longest_s, now_s - self._since_s.pop(session))
        for session in lost - self._since_s.keys():
            self._since_s[session] = now_s
            self.times += 1
        return len(lost)
