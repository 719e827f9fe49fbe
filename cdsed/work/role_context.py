"""What a worker process gives to the work that it does."""

from typing import Protocol

from cdsed.clock import Clock
from cdsed.config.accounts import Accounts
from cdsed.config.settings import Settings
from cdsed.process.worker_control import WorkerControl
from cdsed.store.database import Database


class RoleContext(Protocol):
    """A worker process: `cdsed.work.worker.Worker`."""

    @property
    def db(self) -> Database:
        """The connection of this process to the state."""

    @property
    def clock(self) -> Clock:
        """What time it is."""

    @property
    def settings(self) -> Settings:
        """The settings of the daemon."""

    @property
    def accounts(self) -> Accounts:
        """The accounts of the daemon."""

    @property
    def control(self) -> WorkerControl:
        """When to stop."""

    def heartbeat(self) -> None:
        """Send a heartbeat to the supervisor."""
