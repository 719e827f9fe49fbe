"""Asking for a session: one thread at a time, and none again while the answer would be the same.

With hundreds of sessions in one process, most threads would otherwise ask the state all the time.
"""

import threading
import time

from cdsed.store import leases
from cdsed.transfer.lease_broker import Grant
from cdsed.work.context import WorkerContext

_IDLE_S = 1.0  # due times and cooldowns pass without a signal


class GrantTurns:
    """Grants sessions to the threads of a process."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._none_of = -1  # the generation of the work signal that found all sessions taken
        self._none_until_s = 0.0

    def grant(self, generation: int) -> Grant | None:
        """Grant a session, if there is one for the work; `generation` is that of the work signal before."""
        context = self._context
        with self._lock:
            if context.stop.is_set() or (generation <= self._none_of and time.monotonic() < self._none_until_s):
                return None
            grant = context.transfer.broker.grant()
            if grant is None:
                self._none_of, self._none_until_s = generation, time.monotonic() + self._more_in_s()
            return grant

    def idle_s(self) -> float:
        """Return the seconds until the answer may be another one without a signal."""
        left_s = self._none_until_s - time.monotonic()
        return left_s if left_s > 0 else self._more_in_s()

    def _more_in_s(self) -> float:
        return min(_IDLE_S, leases.more_in_s(self._context.store.db, self._context.store.clock))
