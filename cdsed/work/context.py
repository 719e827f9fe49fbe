"""The worker context: what the threads of one download process share, split by use.

A function takes the part that it uses: the state, the disks, or the transfer. A function that uses all of them takes
the whole `WorkerContext`.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.local.presence import Presence
from cdsed.model.disk import DirectoryIdentity
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store.database import Database
from cdsed.transfer.bandwidth import BandwidthBudget
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.lease_broker import LeaseBroker
from cdsed.transfer.other_product import Arrivals
from cdsed.transfer.owners import Owners
from cdsed.transfer.stall_detector import StallDetector
from cdsed.work.outcome import Outcome
from cdsed.work.session_speeds import SessionSpeeds
from cdsed.work.sharing import SharedAccounts

_REST_S = 60.0  # the process looks for itself whether the rest has ended


class WorkSignal:
    """Wakes idle threads when there may be work; they look in the database for what it is.

    Attributes
    ----------
    at_rest
        Whether all was at rest when the process looked last: idle threads wait for a signal alone.
    """

    def __init__(self) -> None:
        self.at_rest = False
        self._condition = threading.Condition()
        self._generation = 0

    @property
    def generation(self) -> int:
        """A number that grows with each call of `notify`."""
        return self._generation

    def notify(self) -> None:
        """Wake all threads that wait."""
        with self._condition:
            self._generation += 1
            self._condition.notify_all()

    def note_rest(self, *, at_rest: bool) -> None:
        """Note whether all is at rest, and wake all threads that wait if that has ended."""
        ended, self.at_rest = self.at_rest and not at_rest, at_rest
        if ended:
            self.notify()

    def wait_after(self, generation: int, seconds: float) -> None:
        """Wait until the generation differs from `generation`, for at most `seconds`."""
        with self._condition:
            self._condition.wait_for(lambda: self._generation != generation, seconds)

    def idle(self, generation: int, seconds: float) -> None:
        """Wait as `wait_after` does, but do not look again after `seconds` while all is at rest."""
        self.wait_after(generation, _REST_S if self.at_rest else seconds)


@dataclass(frozen=True, slots=True)
class StoreContext:
    """The state; `process` is the number of this process in it."""

    db: Database
    clock: Clock
    process: int


@dataclass(frozen=True, slots=True)
class DiskContext:
    """The disks that products are written to, and what decides about their failures.

    Attributes
    ----------
    recognised
        The identities of directories as this process has recognised them last.
    """

    db: Database
    clock: Clock
    settings: Settings
    presence: Presence
    owners: Owners
    outcome: Outcome
    watch: ThreadWatch = field(default_factory=ThreadWatch)
    recognised: dict[Path, DirectoryIdentity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransferContext:
    """The object store, its sessions, the detector that aborts slow ones, what arrived and how fast, the bandwidth."""

    endpoint: Endpoint
    stall_detector: StallDetector
    broker: LeaseBroker
    shared: SharedAccounts
    arrivals: Arrivals = field(default_factory=Arrivals)
    budget: BandwidthBudget = field(default_factory=BandwidthBudget)
    speeds: SessionSpeeds = field(default_factory=SessionSpeeds)


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
