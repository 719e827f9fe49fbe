"""What came over the connections of each pilot's holders, and which grants were lost."""

import threading
from collections import Counter

from cdsed.engine.orders import Sent
from cdsed.engine.seat import Seat
from cdsed.model.machine_status import GrantLoss


class LeaseTally:
    """Counts the leases of holders that have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, str], Sent] = {}
        self._lost: Counter[tuple[str, GrantLoss]] = Counter()

    def add(self, seat: Seat, lost: GrantLoss | None) -> None:
        """Add what came in the lease of a holder that has ended, and why it was not closed in order."""
        with self._lock:
            known = self._sent.get((seat.node, seat.pilot), Sent())
            requests, size_bytes = (
                known.requests + seat.sent.requests,
                known.delivered_bytes + seat.sent.delivered_bytes,
            )
            self._sent[seat.node, seat.pilot] = Sent(requests, size_bytes)
            if lost is not None:
                self._lost[seat.node, lost] += 1

    def lines(self) -> list[str]:
        """Return a line for each pilot."""
        return [
            f"{node}, pilot {pilot}: {sent.delivered_bytes} bytes in {sent.requests} requests"
            for (node, pilot), sent in sorted(self._sent.items())
        ]

    def received(self) -> Counter[str]:
        """Return how many bytes have come from each machine."""
        with self._lock:
            received = Counter[str]()
            for (node, _), sent in self._sent.items():
                received[node] += sent.delivered_bytes
            return received

    def lost(self) -> dict[tuple[str, GrantLoss], int]:
        """Return how many grants were lost, by machine and reason."""
        with self._lock:
            return dict(self._lost)
