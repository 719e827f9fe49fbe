"""Whether a holder has ended a lease itself: only then nothing that it wrote is left in the memory of its machine."""

from collections.abc import Sequence

import pytest

from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.seat import LeaseEnd, Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Bye, Dead, Want, encode
from cdsed.model.objects import Lease
from tests.support.seats import seats_over
from tests.support.state import SetClock


class _Silence:
    """A link over which nothing is heard."""

    def tend(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        return ()

    def send(self, pilot: str, lines: Sequence[str]) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def seats() -> Seats:
    return seats_over(_Silence(), SetClock(), EngineSettings())


def _granted(seats: Seats, fence: int) -> Seat:
    seats.hear(encode(Want("p.1", fence, fence - 1)))
    seat = seats.take()
    assert seat is not None
    assert seats.grant(seat, Lease("a", 1, "default", fence), None, lambda: True)
    return seat


def test_its_word_ends_a_lease(seats):
    seat = _granted(seats, 7)
    seats.hear(encode(Bye("p.1", 7)))
    assert seats.end_lease(seat) is LeaseEnd.GAVE_UP


def test_its_death_is_another_end(seats):
    seat = _granted(seats, 7)
    seats.hear(encode(Dead("p.1", -9)))
    assert seats.end_lease(seat) is LeaseEnd.DIED


def test_a_death_after_its_word_changes_nothing(seats):
    seat = _granted(seats, 7)
    seats.hear(encode(Bye("p.1", 7)))
    seats.hear(encode(Dead("p.1", -9)))
    assert seat.gave_up


def test_its_word_about_a_lease_does_not_end_the_next(seats):
    seat = _granted(seats, 7)
    seats.hear(encode(Bye("p.1", 7)))
    seats.end_lease(seat)
    assert not _granted(seats, 8).gave_up


def test_a_holder_that_gives_leases_back_at_once_rests(seats):
    for fence in (7, 8, 9):
        seat = _granted(seats, fence)
        seats.hear(encode(Bye("p.1", fence)))
        assert seats.end_lease(seat) is LeaseEnd.GAVE_UP
    seats.hear(encode(Want("p.1", 10, 9)))
    assert seats.take() is None


def test_a_lease_that_ends_as_asked_is_no_refusal(seats):
    for fence in range(7, 20):
        seat = _granted(seats, fence)
        seats.ask_to_give_up(seat)
        seats.hear(encode(Bye("p.1", fence)))
        assert seats.end_lease(seat) is LeaseEnd.GAVE_UP
