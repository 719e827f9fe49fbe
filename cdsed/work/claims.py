"""The requests a session may send: each is claimed from the account's quota of requests a minute before it is sent."""

import threading
from collections.abc import Callable

from cdsed.errors import Stopped
from cdsed.model.objects import Lease
from cdsed.store import leases, quota_usage
from cdsed.transfer.lease_broker import Claimant
from cdsed.work.context import StoreContext

_LOOK_EVERY_S = 0.5


class RequestClaims:
    """The requests that one lease has claimed and not sent yet; a `Connection` calls `claim` before every request.

    The state never counts less than was sent: a claim stays in it until `Traffic` has counted the request.

    Attributes
    ----------
    finish
        Enters the requests sent so far in the quota usage of the account. They leave the minute only after that.
    waits
        How often it waited until the account might send a request.
    """

    def __init__(self, store: StoreContext, lease: Lease, stop: threading.Event) -> None:
        self._store = store
        self._stop = stop
        self._lease = lease
        self._left = 0
        self.finish: Callable[[], None] = lambda: None
        self.waits = 0

    def granted(self, requests: int) -> None:
        """Take over what was claimed together with the work; the rest of an earlier claim is given up."""
        self._left = requests

    def claim(self, connection: Claimant) -> None:
        """Take one request; wait, with the connection closed, while the account has used up its quota of the minute.

        Work in progress continues when the next request is free. If it were released instead, a product that needs
        more requests than are free at one time would never be planned.

        Raises
        ------
        Stopped, LeaseLost
            The process must stop (Stopped), or another worker holds the session now (LeaseLost).
        """
        if self._left > 0:
            self._left -= 1
            return
        store = self._store
        # The claim in the state grows by one. It still includes what was sent and not counted yet.
        while not leases.claim_one_more(store.db, store.clock, self._lease):
            if not connection.waits:
                connection.close()
                connection.waits = True
                self.waits += 1
                self.finish()
            if store.clock.wait(self._stop, min(_LOOK_EVERY_S, quota_usage.second_ends_in_s(store.clock))):
                connection.waits = False
                raise Stopped
        connection.waits = False
