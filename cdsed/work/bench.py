"""What the threads of one download process work with, put together once."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdsed.clock import Clock
from cdsed.config.accounts import Account
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import Keyring
from cdsed.local.presence import Presence
from cdsed.process.register import Register
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store.database import Database
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.owners import Owners
from cdsed.transfer.stall_detector import StallDetector
from cdsed.work.outcome import Outcome


class News:
    """Wakes idle threads when there may be something to do; it never says what, the database does."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._edition = 0

    @property
    def edition(self) -> int:
        """A number that grows with each piece of news."""
        return self._edition

    def tell(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self._edition += 1
            self._condition.notify_all()

    def wait_after(self, edition: int, seconds: float) -> None:
        """Wait for news later than `edition`, `seconds` at most."""
        with self._condition:
            self._condition.wait_for(lambda: self._edition != edition, seconds)


@dataclass(frozen=True, slots=True)
class Bench:
    """One process's shared things; `process` is its number in the database."""

    db: Database
    clock: Clock
    settings: Settings
    accounts: Mapping[str, Account]
    keyring: Keyring
    endpoint: Endpoint
    presence: Presence
    stall_detector: StallDetector
    outcome: Outcome
    owners: Owners
    register: Register
    process: int
    stop: threading.Event
    news: News
    watch: ThreadWatch = field(default_factory=ThreadWatch)
