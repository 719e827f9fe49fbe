"""Whether a holder has ended a lease itself: only then nothing that it wrote is left in the memory of its machine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.seat import LeaseEnd, Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Bye, Dead, Granted, Want, decode, encode
from cdsed.errors import MachineError
from cdsed.model.objects import Lease
from tests.support.seats import seats_over
from tests.support.state import SetClock


@dataclass
class _Silence:
    """A link over which nothing is heard; it may be lost, too."""

    lost: bool = False
    sent: list[object] = field(default_factory=list)

    def tend(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        return ()

    def send(self, pilot: str, lines: Sequence[str]) -> None:  # noqa: ARG002
        if self.lost:
            raise MachineError("the scheduler is gone", code="Engine")
        self.sent += map(decode, lines)

    def close(self) -> None: ...


@pytest.fixture
def link() -> _Silence:
    return _Silence()


@pytest.fixture
def seats(link: _Silence) -> Seats:
    return seats_over(link, SetClock(), EngineSettings())


def _want(seats: Seats, fence: int) -> Seat:
    seats.hear(encode(Want("p.1", fence, fence - 1)))
    seat = seats.take()
    assert seat is not None
    return seat


def _lose(link: _Silence, seats: Seats, seat: Seat) -> None:
    """Lose the carrier, which shows as soon as something is sent."""
    link.lost = True
    seats.stop(seat)


def _granted(seats: Seats, fence: int) -> Seat:
    seat = _want(seats, fence)
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


def test_a_holder_whose_carrier_is_gone_gets_no_session(seats, link):
    first = _granted(seats, 7)
    seats.hear(encode(Want("p.2", 1, 0)))
    _lose(link, seats, first)
    assert seats.take() is None


def test_a_session_is_not_kept_for_a_grant_that_no_carrier_was_there_for(seats, link):
    seats.hear(encode(Want("p.2", 1, 0)))
    first = _granted(seats, 7)
    second = seats.take()
    assert second is not None
    _lose(link, seats, first)
    kept = []
    assert not seats.grant(second, Lease("a", 2, "default", 8), None, lambda: bool(kept.append(8)) or True)
    assert kept == []
    assert seats.end_lease(second) is LeaseEnd.GAVE_UP


def test_a_session_whose_grant_may_have_been_carried_is_kept(seats, link):
    first = _granted(seats, 7)
    assert [each.fence for each in link.sent if isinstance(each, Granted)] == [7]
    _lose(link, seats, first)
    assert seats.end_lease(first) is LeaseEnd.OPEN


def test_without_a_carrier_no_answer_is_waited_for(seats, link):
    seat = _granted(seats, 7)
    _lose(link, seats, seat)
    assert _seconds(lambda: seats.end_lease(seat)) < 3


def test_a_lease_that_was_never_valid_costs_no_holder_and_no_time(seats, link):
    seat = _want(seats, 7)
    assert not seats.grant(seat, Lease("a", 1, "default", 7), None, lambda: False)
    assert _seconds(lambda: seats.end_lease(seat)) < 3
    assert link.sent == []
    assert seats.take() is seat


def _seconds(do: Callable[[], object]) -> float:
    begun_s = time.monotonic()
    do()
    return time.monotonic() - begun_s
