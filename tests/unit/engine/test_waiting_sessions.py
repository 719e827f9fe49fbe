"""The thread of a session that waits for its holder sleeps until something comes, its time is over, or it must leave.

Four hundred of them that look around every second would cost more than their messages.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest

from cdsed.clock import Clock
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.carried_errors import carried
from cdsed.engine.orders import Answer, Sent
from cdsed.engine.remote_transport import RemoteTransport
from cdsed.engine.seat import Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Result, Stop, Want, decode, encode
from cdsed.errors import Stopped
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Lease
from tests.support.seats import seats_over, transport_of

_GRANT_S = 60.0
_LOOKS_AFTER_S = 9.0  # or a little later, without a reason
_LEFT_S = 0.3


class _FastClock(Clock):
    """The machine's clock, ahead by as much as the test says."""

    ahead_s = 0.0

    def boot_s(self) -> float:
        return super().boot_s() + self.ahead_s


_PLACE = S3Location("eodata", "Sentinel-1/X.SAFE")


@dataclass
class _SlowHolder:
    """A link to a holder that works on its task until it is stopped."""

    seats: Seats | None = None
    sent: list[object] = field(default_factory=list)

    def tend(self) -> None: ...

    def close(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:
        time.sleep(min(timeout_s, 0.05))
        return ()

    def send(self, pilot: str, lines: Sequence[str]) -> None:  # noqa: ARG002
        for message in map(decode, lines):
            self.sent.append(message)
            if isinstance(message, Stop):
                failed = Answer(failure=carried(Stopped()), failed=True)
                result = Result(message.nonce, message.fence, message.number, failed, Sent())
                cast("Seats", self.seats).hear(encode(result))


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@contextmanager
def _answered(seats: Seats, leaving: threading.Event) -> Iterator[None]:
    """Answer holders as the head does."""
    ended = threading.Event()
    thread = threading.Thread(target=seats.run, args=(ended, leaving))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _transport(link: _SlowHolder, clock: Clock, stop: threading.Event) -> tuple[RemoteTransport, Seat]:
    link.seats = seats = seats_over(link, clock, EngineSettings(grant_s=_GRANT_S))
    seats.hear(encode(Want("p.1", 1, 0)))
    seat = seats.take()
    assert seat is not None
    assert seats.grant(seat, Lease("a", 1, "default", 1), None, lambda: True)
    return transport_of(seats, seat, lambda _: None, stop), seat


def test_it_stops_its_holder_when_the_process_must_leave(stop: threading.Event) -> None:
    link = _SlowHolder()
    transport, seat = _transport(link, Clock(), stop)
    with _answered(cast("Seats", link.seats), stop):
        leave = threading.Timer(0.3, stop.set)
        leave.start()
        begun_s = time.monotonic()
        with pytest.raises(Stopped):
            transport.key_works(_PLACE)
        assert time.monotonic() - begun_s < _LOOKS_AFTER_S, "it was woken"
        assert any(isinstance(message, Stop) for message in link.sent)
        seat.taken = False


def test_it_ends_when_its_time_is_over_without_a_word(stop: threading.Event) -> None:
    clock = _FastClock()
    transport, seat = _transport(_SlowHolder(), clock, stop)
    clock.ahead_s = seat.open_until_s - clock.boot_s() - _LEFT_S
    begun_s = time.monotonic()
    with pytest.raises(Stopped, match="does not answer"):
        transport.key_works(_PLACE)
    assert time.monotonic() - begun_s >= _LEFT_S
