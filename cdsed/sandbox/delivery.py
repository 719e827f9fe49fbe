"""Sending a response at the rate of the account, with the error that a fault prescribes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.sandbox.connection import ClientConnection, Pacer, PeerGone
from cdsed.sandbox.faults import Fault
from cdsed.sandbox.http import Response

_JOINED_BYTES_MAX = 65_536


@dataclass(frozen=True)
class Delivery:
    """How one response is sent.

    Parameters
    ----------
    clock
        The sandbox's.
    pacer
        Limits the rate of the connection; None: no limit.
    fault
        One of `DELIVERY_FAULTS`, or None.
    sent
        Called with the size of every portion of the body, in bytes.
    """

    clock: Clock
    pacer: Pacer | None
    fault: Fault | None
    sent: Callable[[int], None]

    def send(self, connection: ClientConnection, response: Response) -> None:
        """Send head and body; raises PeerGone when the connection cannot be used afterwards."""
        fault = self.fault
        if fault is None:
            self._send_whole(connection, response)
            return
        if fault.after_bytes is None and fault.kind in {"reset", "stall"}:
            _fail(connection, fault.kind)
        good_bytes = fault.after_bytes or 0
        if fault.after_bytes is None and fault.kind == "short_body":
            good_bytes = response.length // 2
        connection.send(response.head())
        rest = self._send_part(connection, iter(response.body), good_bytes)
        if fault.kind == "trickle":
            pacer = Pacer(self.clock, fault.bytes_per_s)
            for piece in rest:
                self._send_piece(connection, piece, pacer)
        else:
            _fail(connection, fault.kind)

    def _send_whole(self, connection: ClientConnection, response: Response) -> None:
        if response.length <= _JOINED_BYTES_MAX and self.pacer is None:
            body = b"".join(response.body)
            self.sent(len(body))  # before sending, so that a client that has the response finds it counted
            connection.send(response.head() + body)
            return
        connection.send(response.head())
        for piece in response.body:
            self._send_piece(connection, piece, self.pacer)

    def _send_part(
        self, connection: ClientConnection, pieces: Iterator[memoryview], count_bytes: int
    ) -> Iterator[memoryview]:
        """Send the first `count_bytes`; return the rest."""
        for piece in pieces:
            good, bad = piece[:count_bytes], piece[count_bytes:]
            self._send_piece(connection, good, self.pacer)
            count_bytes -= len(good)
            if bad:
                return _chained(bad, pieces)
        return iter(())

    def _send_piece(self, connection: ClientConnection, piece: memoryview, pacer: Pacer | None) -> None:
        portion_bytes = len(piece) if pacer is None else pacer.portion_bytes
        position = 0
        while position < len(piece):
            portion = piece[position : position + portion_bytes]
            self.sent(len(portion))
            connection.send(portion)
            position += len(portion)
            if pacer is not None:
                pause_s = pacer.pause_s(len(portion))
                if pause_s > 0:
                    connection.wait(pause_s)


def _chained(first: memoryview, rest: Iterator[memoryview]) -> Iterator[memoryview]:
    yield first
    yield from rest


def _fail(connection: ClientConnection, kind: str) -> None:
    """End the connection as the fault prescribes."""
    if kind == "stall":
        connection.wait(None)
    if kind == "reset":
        connection.reset()
    raise PeerGone
