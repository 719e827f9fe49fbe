"""Count what goes over a connection in the quota usage of its account, while the transfer runs."""

from cdsed.model.objects import Lease
from cdsed.store import leases
from cdsed.transfer.transport import Counted
from cdsed.work.context import StoreContext


class Traffic:
    """Counts the requests and bytes of one connection of a lease; `count_every_s` is for `count_when_due`."""

    def __init__(self, store: StoreContext, lease: Lease, connection: Counted, count_every_s: float) -> None:
        self._store = store
        self._lease = lease
        self._connection = connection
        self._count_every_s = count_every_s
        self._requests = 0
        self._bytes = 0
        self._counted_s = store.clock.boot_s()

    def count(self) -> None:
        """Enter what has gone over the connection since the last call."""
        store, connection = self._store, self._connection
        requests, size_bytes = connection.requests - self._requests, connection.delivered_bytes - self._bytes
        self._counted_s = store.clock.boot_s()
        if requests or size_bytes:
            leases.count_traffic(
                store.db, store.clock, self._lease.account, requests=requests, size_bytes=size_bytes, lease=self._lease
            )
            self._requests += requests
            self._bytes += size_bytes

    def count_when_due(self) -> bool:
        """Call `count` once in `count_every_s`, and return whether it was due; call this after every buffer."""
        due = self._store.clock.boot_s() - self._counted_s >= self._count_every_s
        if due:
            self.count()
        return due
