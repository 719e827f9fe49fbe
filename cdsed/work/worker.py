"""A worker process as the work in it sees it, and its entry in the state."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import field

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.accounts import Accounts
from cdsed.config.settings import Settings
from cdsed.errors import StateError
from cdsed.frozen import frozen
from cdsed.process.lock import KernelLock
from cdsed.process.memory import rss_bytes
from cdsed.process.worker_control import WorkerControl
from cdsed.store import processes
from cdsed.store.database import Database, join_state
from cdsed.store.rest import REST_S, at_rest
from cdsed.work.change_wait import ChangeWait
from cdsed.work.process_lock import lock_of_this_process

_log = logging.getLogger(__name__)


@frozen
class Worker:
    """One worker process: its database connection, its number there, and its control by the supervisor."""

    name: str
    db: Database
    clock: Clock
    settings: Settings
    accounts: Accounts
    process: int
    control: WorkerControl
    lock: KernelLock
    changes: ChangeWait
    outgrew: list[list[int]] = field(default_factory=list)  # the products it worked on when it reached its memory limit

    def mark_leaving(self) -> None:
        """Note that the worker leaves in order: if it is killed because that takes too long, no product is charged."""
        if not self.outgrew:
            with suppress(OSError):
                self.lock.note(processes.LEFT)

    def rest_s(self) -> float:
        """Return how long it may wait for a change, and between heartbeats, because all is at rest; 0 if it is not."""
        return min(REST_S, self.settings.process.hung_after_s / 4) if at_rest(self.db, self.clock) else 0.0

    def heartbeat(self) -> None:
        """Send a heartbeat; a worker above its memory limit leaves in order, and a new one follows it.

        The products it works on may be the reason. Its lock file says so, in case it dies before its orderly end.
        """
        self.control.heartbeat()
        rss_max_bytes = self.settings.process.rss_max_bytes
        if rss_max_bytes and not self.control.stop.is_set() and (used_bytes := rss_bytes()) > rss_max_bytes:
            _log.warning("%.0f MB of memory are in use: a new process takes over", used_bytes / 1e6)
            self.outgrew.append(processes.at_hand(self.db, self.process))
            with suppress(OSError):
                self.lock.note(processes.OUTGREW)
            self.control.stop.set()


@contextmanager
def registered(name: str, settings: Settings, accounts: Accounts, control: WorkerControl) -> Iterator[Worker]:
    """Enter this process in the database, with a lock that is held as long as the process lives."""
    clock = SYSTEM_CLOCK
    lock = lock_of_this_process(settings)
    try:
        db = join_state(settings.state_dir)
        try:
            process = processes.register(db, clock, name=name, lock=lock.path)
            try:
                changes = ChangeWait(db, control, settings.state_dir)
                yield Worker(name, db, clock, settings, accounts, process, control, lock, changes)
                processes.release(db, clock, process)
            except StateError:
                lock.note(processes.LEFT)
                raise
            except BaseException:
                processes.release(db, clock, process)
                raise
        finally:
            db.close()
        lock.path.unlink(missing_ok=True)
    finally:
        lock.release()
