"""No order of messages, however late, lost or repeated, lets two connections of a session be open at once.

The head is the real one (`Seats`). Holders follow the same rules as the real ones, each by a clock of its own.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdsed.clock import Clock
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.grant_rules import HolderState, asks, ends, hold_s, is_granted, is_renewed
from cdsed.engine.seat import LeaseEnd, Seat
from cdsed.engine.wire import Bye, Dead, GiveUp, Granted, Renew, Renewed, UpMessage, Want, decode, encode
from cdsed.model.objects import Lease
from tests.support.seats import seats_over

_SETTINGS = EngineSettings(grant_s=30, renew_every_s=10, lost_rest_s=0)
_SPEEDS = (0.997, 1.0, 1.003)  # of the clocks of three machines


class _Hands(Clock):
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def boot_s(self) -> float:
        return self.now_s


@dataclass
class _Session:
    """The row of one session in the state."""

    fence: int = 0
    leased: bool = False
    rest_until_s: float = 0.0


@dataclass
class _Network:
    """A link on which the test decides what arrives, when, and how often."""

    down: list[str] = field(default_factory=list)
    up: list[str] = field(default_factory=list)

    def tend(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        return ()

    def send(self, pilot: str, lines: Sequence[str]) -> None:  # noqa: ARG002
        self.down += lines

    def close(self) -> None: ...


class _ModelHolder:
    """A holder that uses its connection for as long as it may."""

    def __init__(self, nonce: str, speed: float, network: _Network) -> None:
        self.nonce = nonce
        self.speed = speed
        self.network = network
        self.state = HolderState()
        self.alive = True

    def now_s(self, real_s: float) -> float:
        return 50.0 + real_s * self.speed

    @property
    def is_open(self) -> bool:
        return self.alive and bool(self.state.fence)

    def let_the_kernel_look(self, real_s: float) -> None:
        if self.state.fence and self.now_s(real_s) >= self.state.dies_at_s:
            self.die()

    def die(self) -> None:
        self.alive, self.state = False, HolderState()
        self.say(Dead(self.nonce, -9))

    def give_up(self) -> None:
        fence, self.state = self.state.fence, ends(self.state, self.state.fence)
        self.say(Bye(self.nonce, fence))

    def say(self, message: UpMessage) -> None:
        self.network.up.append(encode(message))

    def ask(self, real_s: float) -> None:
        self.state = state = asks(self.state, self.now_s(real_s))
        held = Renew(self.nonce, state.seq, state.fence, 0, busy=True)
        self.say(held if state.fence else Want(self.nonce, state.seq, state.ended))

    def hear(self, line: str, real_s: float) -> None:
        match decode(line):
            case Granted(seq=seq, fence=fence, grant_s=grant_s):
                self.state = is_granted(self.state, seq, fence, grant_s, self.now_s(real_s))
            case Renewed(seq=seq, fence=fence, grant_s=grant_s):
                self.state = is_renewed(self.state, seq, fence, grant_s)
            case GiveUp(fence=fence):
                self.state = ends(self.state, fence)
                self.say(Bye(self.nonce, fence))


class _World:
    """One session, three holders, and a head that ends leases and is killed, for some minutes."""

    def __init__(self, seed: int, trouble: float) -> None:
        self.random = random.Random(seed)
        self.trouble = trouble
        self.clock = _Hands()
        self.begun_s = self.clock.now_s
        self.session = _Session()
        self.network = _Network()
        self.holders = [_ModelHolder(f"pilot.{n}", speed, self.network) for n, speed in enumerate(_SPEEDS)]
        self.opened = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._begin_head()
        self._later(0.0, self._let_the_head_act)
        for n in range(len(self.holders)):
            self._later(self.random.uniform(0, 10), partial(self._let_a_holder_act, n))

    def run(self, seconds: float) -> None:
        while self.clock.now_s < self.begun_s + seconds:
            self.clock.now_s, _, event = heappop(self._events)
            for holder in self.holders:
                holder.let_the_kernel_look(self.clock.now_s)
            self._check()
            event()
            self._post()
            self._check()

    def _check(self) -> None:
        opened = [holder for holder in self.holders if holder.is_open]
        assert len(opened) <= 1
        for holder in opened:
            assert self.session.fence == holder.state.fence
            assert self.session.leased or self.clock.now_s < self.session.rest_until_s
            self.opened = max(self.opened, holder.state.fence)

    def _later(self, seconds: float, event: Callable[[], None]) -> None:
        heappush(self._events, (self.clock.now_s + seconds, self.random.getrandbits(64), event))

    def _post(self) -> None:
        """Let each new message arrive once, more often or never; soon or late."""
        for lines, arrives in ((self.network.up, self.seats.hear), (self.network.down, self._deliver)):
            for line in lines:
                for _ in range(self._rarely([0, 2], 1)):
                    self._later(
                        self._rarely([8.0, 27.0, 36.0, 70.0], 1.0) * self.random.random(), partial(arrives, line)
                    )
            lines.clear()

    def _rarely(self, unusual: list[Any], usual: Any) -> Any:
        return self.random.choice(unusual) if self.random.random() < self.trouble else usual

    def _deliver(self, line: str) -> None:
        for holder in self.holders:
            if getattr(decode(line), "nonce", "") == holder.nonce:
                holder.hear(line, self.clock.now_s)

    def _let_a_holder_act(self, n: int) -> None:
        holder = self.holders[n]
        if not holder.alive:
            holder = self.holders[n] = _ModelHolder(f"{holder.nonce}x", holder.speed, self.network)
        holder.ask(self.clock.now_s)
        if holder.is_open and self._rarely([True], False):
            self._rarely([holder.die], holder.give_up)()
        self._later(
            self._rarely([11.0, 25.0, 29.0, 60.0], 10.0), partial(self._let_a_holder_act, n)
        )  # it may be stopped

    def _begin_head(self) -> None:
        self.seats = seats_over(self.network, self.clock, _SETTINGS)
        self.seat: Seat | None = None

    def _keep(self, lease: Lease) -> bool:
        session = self.session
        if not session.leased or session.fence != lease.fence:
            return False
        session.rest_until_s = self.clock.now_s + hold_s(_SETTINGS.grant_s, _SETTINGS.lost_rest_s)
        return True

    def _let_the_head_act(self) -> None:
        self._later(0.5, self._let_the_head_act)
        session = self.session
        if self.random.random() < self.trouble / 20:
            session.leased = False  # it was killed: the sweep frees its row, which keeps its time
            self._begin_head()
        if session.leased or self.clock.now_s < session.rest_until_s:
            return
        seat = self.seats.take()
        if seat is not None:
            session.fence, session.leased, self.seat = session.fence + 1, True, seat
            lease = Lease("a", 1, "default", session.fence)
            self.seats.grant(seat, lease, None, partial(self._keep, lease))
            self._later(self._rarely([0.2, 20.0, 90.0], 5.0), partial(self._end, session.fence, seat))

    def _end(self, fence: int, seat: Seat) -> None:
        if self.seat is seat and self.session.fence == fence:
            self.seats.ask_to_give_up(seat)
            self._later(self._rarely([0.2, 1.0], 5.0), partial(self._release, fence, seat))

    def _release(self, fence: int, seat: Seat) -> None:
        if self.seat is seat and self.session.fence == fence:
            end = self.seats.forget_lease(seat)
            self.seat, self.session.leased = None, False
            if end is not LeaseEnd.OPEN:
                self.session.rest_until_s = self.clock.now_s


@given(seed=st.integers(0, 2**32), trouble=st.sampled_from([0.0, 0.05, 0.2, 0.5]))
@settings(max_examples=400)
def test_a_session_never_has_two_connections(seed: int, trouble: float) -> None:
    _World(seed, trouble).run(600)


@pytest.mark.parametrize("trouble", [0.0, 0.2])
def test_it_is_granted_again_and_again(trouble: float) -> None:
    world = _World(7, trouble)
    world.run(600)
    assert world.opened >= 10


def test_an_answer_that_is_too_late_opens_nothing() -> None:
    asked = asks(HolderState(), 100.0)
    assert is_granted(asked, 1, 7, 30.0, 128.9).fence == 7
    assert is_granted(asked, 1, 7, 30.0, 129.0) == asked


def test_the_time_of_an_answer_counts_from_its_own_request_and_shortens_none() -> None:
    twice = asks(asks(HolderState(), 100.0), 110.0)
    assert is_granted(twice, 1, 7, 30.0, 111.0).dies_at_s == 129.0
    assert is_granted(twice, 3, 7, 30.0, 111.0) == twice
    granted = is_granted(twice, 2, 7, 30.0, 111.0)
    assert granted.dies_at_s == 139.0
    renewing = asks(asks(granted, 120.0), 130.0)
    assert is_renewed(renewing, 3, 7, 30.0).dies_at_s == 149.0
    renewed = is_renewed(renewing, 4, 7, 30.0)
    assert renewed.dies_at_s == 159.0
    assert is_renewed(renewed, 3, 7, 30.0) == renewed
    assert is_renewed(renewing, 5, 7, 30.0) == renewing
    assert is_renewed(renewing, 4, 8, 30.0) == renewing


def test_a_holder_whose_answers_are_later_than_its_next_requests_gets_a_session_all_the_same() -> None:
    state = HolderState()
    for now_s in range(100, 110):
        state = asks(state, float(now_s))
    assert is_granted(state, 5, 7, 30.0, 109.5).dies_at_s == 133.0


def test_a_lease_that_was_given_up_is_never_taken_again() -> None:
    ended = ends(asks(HolderState(), 100.0), 7)
    assert is_granted(ended, 1, 7, 30.0, 101.0) == ended
    assert is_granted(ended, 1, 8, 30.0, 101.0).fence == 8
    assert ends(replace(ended, fence=9), 8).fence == 9
