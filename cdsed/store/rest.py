"""Whether all is at rest: then only a commit brings work, and processes look less often."""

import json
import math
import os
import select
from contextlib import suppress
from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.product_state import TERMINAL, State
from cdsed.store.commit_watch import CommitWatch
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("rest")

#: How often a process looks at most while all is at rest: a commit, a file in the inbox and a signal wake it at once.
REST_S = 5.0
_AFTER_S = 0.001  # a wait may end a little early
_APART_S = 1.0  # between two waits for `RestWatch.until_s`

_UNFINISHED = json.dumps([state for state in State if state not in TERMINAL])


def at_rest(db: Database, clock: Clock) -> bool:
    """Tell whether no product is unfinished, and no pause or back-off ends: only a change begins something."""
    return bool(db.value(_SQL.at_rest, unfinished=_UNFINISHED, now_s=clock.boot_s()))


class RestWatch:
    """Whether all is at rest and was so when this process last looked at all: it need not look again yet.

    One thread looks and waits; close it after use.

    Parameters
    ----------
    db
        The connection of the process; its own commits do not count.
    state_dir
        The directory of the state.

    Attributes
    ----------
    until_s
        When something begins without a change of the state, in seconds since boot.
    """

    def __init__(self, db: Database, clock: Clock, state_dir: Path) -> None:
        self._db = db
        self._clock = clock
        self.until_s = math.inf
        self._commits = CommitWatch(state_dir, files=True)
        self._disturbed_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._rests = self._disturbed = False
        self._seen: int | None = None
        self._look_s = 0.0

    def holds(self) -> bool:
        """Tell whether nothing has to be looked at now; at the latest after `REST_S` it returns False, once."""
        disturbed, self._disturbed = self._disturbed, False
        now_s, seen = self._clock.boot_s(), self._db.changes_seen()
        if self._rests and not disturbed and seen is not None and seen == self._seen and now_s < self._look_s:
            return True
        self._rests = False
        self._look_s, self._seen = now_s + REST_S, seen
        self._rests = at_rest(self._db, self._clock)
        return False

    def wait(self) -> bool:
        """Wait until `holds` may return False, or `until_s`; return False at once if all was not at rest.

        It returns False, too, if the kernel does not report commits: then the caller has to look again and again.
        """
        if not self._rests or self._commits.fileno() < 0:
            return False
        watched = select.poll()
        watched.register(self._commits, select.POLLIN)
        watched.register(self._disturbed_fd, select.POLLIN)
        now_s = self._clock.boot_s()
        seconds = min(self._look_s - now_s, max(_APART_S, self.until_s - now_s)) + _AFTER_S
        watched.poll(max(0.0, seconds) * 1000)
        self._commits.read()  # before the next look: what comes after it ends the next wait
        with suppress(BlockingIOError):
            os.eventfd_read(self._disturbed_fd)
        return True

    def disturb(self) -> None:
        """Let `holds` return False next, and end a wait: something happened outside of the state.

        Another thread may call it.
        """
        self._disturbed = True
        os.eventfd_write(self._disturbed_fd, 1)

    def close(self) -> None:
        """End the watch."""
        self._commits.close()
        os.close(self._disturbed_fd)
