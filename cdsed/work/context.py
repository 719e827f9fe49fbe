"""What the threads of one download process share, put together once and split by use.

A function takes the part that it uses: the state, the disks, or the transfer. Only what needs all of them takes the
whole `WorkerContext`.
"""

import threading
from dataclasses import dataclass, field

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.local.presence import Presence
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store.database import Database
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.lease_broker import LeaseBroker
from cdsed.transfer.owners import Owners
from cdsed.transfer.stall_detector import StallDetector
from cdsed.work.outcome import Outcome
from cdsed.work.sharing import SharedAccounts


class WorkSignal:
    """Wakes idle threads when there may be something to do; it never says what, the database does."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._generation = 0

    @property
    def generation(self) -> int:
        """A number that grows with each piece of news."""
        return self._generation

    def notify(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self._generation += 1
            self._condition.notify_all()

    def wait_after(self, generation: int, seconds: float) -> None:
        """Wait for news later than `generation`, `seconds` at most."""
        with self._condition:
            self._condition.wait_for(lambda: self._generation != generation, seconds)


@dataclass(frozen=True, slots=True)
class StoreContext:
    """The state; `process` is the number of this process in it."""

    db: Database
    clock: Clock
    process: int


@dataclass(frozen=True, slots=True)
class DiskContext:
    """The disks that products are written to, and what the state knows of them."""

    db: Database
    clock: Clock
    settings: Settings
    presence: Presence
    owners: Owners
    outcome: Outcome
    watch: ThreadWatch = field(default_factory=ThreadWatch)


@dataclass(frozen=True, slots=True)
class TransferContext:
    """The object store, the sessions at it, and what cuts connections that are too slow."""

    endpoint: Endpoint
    stall_detector: StallDetector
    broker: LeaseBroker
    shared: SharedAccounts


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """All that one download process shares among its threads; they end when `stop` is set."""

    store: StoreContext
    disks: DiskContext
    transfer: TransferContext
    settings: Settings
    outcome: Outcome
    work_signal: WorkSignal
    stop: threading.Event
