"""Reads the state for the page: read-only, each read in milliseconds, and the status at most once a second."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.alarm import Alarm, alarms
from cdsed.process.lock import is_running
from cdsed.store.database import Database, join_state, open_read_only
from cdsed.view.read import read_status
from cdsed.view.status_view import StatusView

_FRESH_FOR_S = 1.0


class StateReader:
    """Gives the status and the database of one state directory to the threads of the server.

    Parameters
    ----------
    state_dir
        The directory; it need not exist.
    clock
        How old a status is.
    """

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self.clock = clock
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._status: StatusView | None = None
        self._read_s = 0.0

    def status(self) -> StatusView:
        """Return the status; it is at most a second old.

        Raises
        ------
        StateError
            The state cannot be read.
        OSError
            You may not read the directory.
        """
        with self._lock:  # many viewers cost one read
            if self._status is None or self.clock.boot_s() - self._read_s > _FRESH_FOR_S:
                self._status = None
                self._status = read_status(self._state_dir)
                self._read_s = self.clock.boot_s()
            return self._status

    def alarms(self) -> tuple[Alarm, ...]:
        """Return what needs a person; errors as `status`."""
        return alarms(self.status().report)

    @contextmanager
    def database(self) -> Iterator[Database | None]:
        """Open the state for reading inside the block; None without a state. Errors as `status`."""
        db = open_read_only(self._state_dir, daemon_runs=is_running(self._state_dir))
        if db is None:
            yield None
            return
        with closing(db):
            yield db

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """Open the state for one change inside the block; afterwards the status is read again. Errors as `status`."""
        with closing(join_state(self._state_dir)) as db:
            yield db
        with self._lock:
            self._status = None
