"""Whether all is at rest: then only a commit brings work, and processes look less often."""

import json

from cdsed.clock import Clock
from cdsed.model.product_state import TERMINAL, State
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("rest")

#: How often a process looks at most while all is at rest: a commit, a file in the inbox and a signal wake it at once.
REST_S = 5.0

_UNFINISHED = json.dumps([state for state in State if state not in TERMINAL])


def at_rest(db: Database, clock: Clock) -> bool:
    """Tell whether no product is unfinished, and no pause or back-off ends: only a change begins something."""
    return bool(db.value(_SQL.at_rest, unfinished=_UNFINISHED, now_s=clock.boot_s()))


class RestWatch:
    """Whether all is at rest and was so when this process last looked at all: it need not look again yet.

    Parameters
    ----------
    db
        The connection of the process; its own commits do not count.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._rests = self._disturbed = False
        self._seen: int | None = None
        self._look_s = 0.0

    def holds(self) -> bool:
        """Tell whether nothing has to be looked at now; at the latest after `REST_S` it returns False, once."""
        disturbed, self._disturbed = self._disturbed, False
        now_s, seen = self._clock.boot_s(), self._db.changes_seen()
        if self._rests and not disturbed and seen is not None and seen == self._seen and now_s < self._look_s:
            return True
        self._look_s, self._seen = now_s + REST_S, seen
        self._rests = at_rest(self._db, self._clock)
        return False

    def disturb(self) -> None:
        """Let `holds` return False next: something happened outside of the state. Another thread may call it."""
        self._disturbed = True
