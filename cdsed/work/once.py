"""When `cdsed run --once` ends: nothing is left to do, or nothing moves any more."""

import logging
from collections.abc import Collection

from cdsed.clock import Clock
from cdsed.config.settings import InboxSettings
from cdsed.errors import ExitCode
from cdsed.inbox.directory import taken
from cdsed.inbox.scan import InboxScan
from cdsed.store import listings, snapshot
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


class OnceEnd:
    """Notices the end of a daemon that runs once.

    Parameters
    ----------
    db
        A connection that only reads.
    groups
        The names of the account groups.
    idle_timeout_s
        The daemon ends as unfinished after this time without progress.
    """

    def __init__(
        self, db: Database, clock: Clock, inbox: InboxSettings, groups: Collection[str], idle_timeout_s: float
    ) -> None:
        self._db = db
        self._clock = clock
        self._inbox = inbox.path
        self._scan = InboxScan(inbox.path, groups, 0.0, clock, inbox.ignored_names)
        self._idle_timeout_s = idle_timeout_s
        self._started_at = clock.utc_s()
        self._moved = -1
        self._moved_s = self._looked_s = clock.boot_s()

    def code(self) -> ExitCode | None:
        """Return the exit code when nothing is left to do or moves; else None."""
        if self._drained():
            whole = not listings.unsatisfied(self._db, self._started_at) and not self._scan.unexpected()
            return ExitCode.OK if whole else ExitCode.UNFINISHED
        now_s, moved = self._clock.boot_s(), snapshot.movement(self._db)
        slept, self._looked_s = now_s - self._looked_s > self._idle_timeout_s, now_s  # with the whole machine
        if moved != self._moved or slept:
            self._moved, self._moved_s = moved, now_s
        elif now_s - self._moved_s > self._idle_timeout_s:
            _log.error("nothing has moved for %.0f s: giving up; `cdsed status` says why", self._idle_timeout_s)
            return ExitCode.UNFINISHED
        return None

    def _drained(self) -> bool:
        try:
            waiting = self._scan.complete() or self._scan.pending() or taken(self._inbox)
        except OSError:
            return False  # the intake worker reports the error of the inbox
        return not waiting and not listings.unreported(self._db)
