"""The requests a session may send: each one is claimed from its account's minute before it leaves."""

import threading
from collections.abc import Callable

from cdsed.errors import Stopped
from cdsed.model.objects import Lease
from cdsed.store import leases
from cdsed.transfer.connection import Connection
from cdsed.work.context import StoreContext

_LOOK_EVERY_S = 0.5


class RequestClaims:
    """What one lease has claimed and not sent yet; a `Connection` asks it before every request.

    It never counts less than was sent: a claim stands in the state until `Traffic` has counted the request.

    Attributes
    ----------
    settle
        Enters in the account's books what was sent so far: only from then on can it leave the minute again.
    """

    def __init__(self, store: StoreContext, lease: Lease, stop: threading.Event) -> None:
        self._store = store
        self._stop = stop
        self._lease = lease
        self._left = 0
        self.finish: Callable[[], None] = lambda: None

    def granted(self, requests: int) -> None:
        """Take over what was claimed together with the work; what was left of an earlier claim is given up."""
        self._left = requests

    def claim(self, connection: Connection) -> None:
        """Take one request; wait for it, with the connection closed, where the account has used up its minute.

        Work that is half done continues when the next request is free. If it were given back instead, a product that
        needs more requests than are free at a time would never be planned.

        Raises
        ------
        Stopped, LeaseLost
            The process must leave; another worker holds the session now.
        """
        if self._left > 0:
            self._left -= 1
            return
        store = self._store
        # What was sent and not counted yet is part of the claim in the state, which grows by one.
        while not leases.claim_one_more(store.db, store.clock, self._lease):
            if not connection.waits:
                connection.close()
                connection.waits = True
                self.finish()
            if store.clock.wait(self._stop, _LOOK_EVERY_S):
                connection.waits = False
                raise Stopped
        connection.waits = False
