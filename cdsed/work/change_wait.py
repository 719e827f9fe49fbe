"""Wait until another process commits to the state, something else happens, or the worker must stop."""

import select
import time
from pathlib import Path
from typing import Protocol

from cdsed.process.worker_control import WorkerControl
from cdsed.store.commit_watch import CommitWatch
from cdsed.store.database import Database

_BETWEEN_S = 0.05
"""Commits may come by the hundred a second. So often a worker looks at most whether they are of another process."""

_BLIND_S = 0.2
"""How often to ask SQLite where the kernel reports no commits."""


class HasDescriptor(Protocol):
    """What can be waited for; its descriptor is -1 if it reports nothing."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when something has happened."""


class ChangeWait:
    """The waits of one worker: a change between two waits ends the next one at once.

    Parameters
    ----------
    db
        The worker's connection; its own commits do not count.
    control
        Says when to stop.
    state_dir
        The directory of the state.
    """

    def __init__(self, db: Database, control: WorkerControl, state_dir: Path) -> None:
        self._db = db
        self._control = control
        self._commits = CommitWatch(state_dir)
        self._seen = db.changes_seen()
        self._looked_s = 0.0

    def wait(self, seconds: float, also: HasDescriptor | None = None) -> bool:
        """Wait for a commit, `also` or the stop signal; return False after `seconds` without one."""
        until_s = time.monotonic() + seconds
        while not self._control.stop.is_set():
            now_s = time.monotonic()
            look_s = self._looked_s + _BETWEEN_S
            looks = now_s >= look_s
            if looks:
                self._looked_s = now_s
                self._commits.read()
                seen = self._db.changes_seen()
                if seen not in (None, self._seen):
                    break
                looks, look_s = seen is not None, now_s + _BETWEEN_S  # another thread has the connection: again soon
            if now_s >= until_s:
                self._looked_s = 0.0  # there are not many: the next wait may look at once
                return False
            # What is committed until the next look, by this process too, need not wake it.
            if self._wait((until_s if looks else min(until_s, look_s)) - now_s, also, commits=looks):
                break
        self._seen, self._looked_s = self._db.changes_seen() or self._seen, time.monotonic()
        return True

    def close(self) -> None:
        """End the watch for commits."""
        self._commits.close()

    def _wait(self, seconds: float, also: HasDescriptor | None, *, commits: bool) -> bool:
        """Wait for one of the descriptors; return whether `also` is readable."""
        watched = select.poll()
        watched.register(self._control, select.POLLIN)
        if also is not None and also.fileno() >= 0:
            watched.register(also, select.POLLIN)
        if commits and self._commits.fileno() >= 0:
            watched.register(self._commits, select.POLLIN)
        elif commits:
            seconds = min(seconds, _BLIND_S)
        readable = [fd for fd, _ in watched.poll(seconds * 1000)]
        return also is not None and also.fileno() in readable
