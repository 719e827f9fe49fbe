"""What comes of a task is that of no other task and of no other lease, in any order, however often and however late.

The head is the real one: `Seats`, and the `RemoteTransport` of a session thread. The holder is the test.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.orders import Answer, FetchTask, Sent
from cdsed.engine.seat import LeaseEnd, Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Ask, Bye, Granted, Mark, MayAsk, Renew, Result, Task, UpMessage, Want, decode, encode
from cdsed.model.objects import Digests, Lease, Piece
from cdsed.transfer.lease_broker import Claimant
from tests.support.seats import seats_over, transport_of

_NONCE = "pilot.1"
_MIB = 2**20


def _digests(task: Task) -> list[Digests]:
    assert isinstance(task.order, FetchTask)
    return [Digests(_name(task.fence, task.number, n)) for n in range(len(task.order.pieces))]


def _name(fence: int, number: int, piece: int) -> str:
    return f"lease {fence}, task {number}, piece {piece}"


def _code(fence: int, number: int, piece: int) -> int:
    """Return a number of bytes that says what they are of."""
    return (fence * 100 + number) * 100 + piece


@dataclass
class _Holder:
    """A link to one holder, which does each task at once. Its messages come late, again, and in another order.

    Attributes
    ----------
    said
        All that it has ever said about tasks.
    allowed
        The further requests that it may send.
    """

    dice: random.Random
    seats: Seats | None = None
    said: list[str] = field(default_factory=list)
    allowed: set[tuple[int, int, int]] = field(default_factory=set)

    def tend(self) -> None: ...

    def close(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        return ()

    def send(self, pilot: str, lines: Sequence[str]) -> None:  # noqa: ARG002
        for line in lines:
            match decode(line):
                case Task() as task:
                    self._do(task)
                case MayAsk(fence=fence, number=number, ask=ask):
                    self.allowed.add((fence, number, ask))
                case Granted():
                    self._say(*self._some_of_old())

    def _do(self, task: Task) -> None:
        at, digests = (task.nonce, task.fence, task.number), _digests(task)
        marks = [
            Mark(*at, n, (each,), _code(task.fence, task.number, n + 1), Sent()) for n, each in enumerate(digests[:-1])
        ]
        asks = [Ask(*at, 1)] * self.dice.randrange(2)  # it asks again only when it was answered
        answer = Answer(digests=tuple(digests))
        mine = [encode(each) for each in (*marks, *asks, Result(*at, answer, Sent()))]
        again = [line for line in mine if self.dice.random() < 0.3]
        unordered = [*mine, *again, *self._some_of_old()]
        self.dice.shuffle(unordered)
        self.said += mine
        self._say(*unordered)

    def _some_of_old(self) -> list[str]:
        return self.dice.sample(self.said, min(len(self.said), self.dice.randrange(6)))

    def _say(self, *lines: str) -> None:
        assert self.seats is not None
        for line in lines:
            self.seats.hear(line)

    def say(self, message: UpMessage) -> None:
        self._say(encode(message))


@dataclass
class _Progress:
    """Notes what is said to be safe on the disk."""

    of: list[int] = field(default_factory=list)

    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None:
        self.of.append(done_bytes)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_task_gets_only_what_came_of_it(seed: int) -> None:
    dice = random.Random(seed)
    holder = _Holder(dice)
    holder.seats = seats = seats_over(holder, SYSTEM_CLOCK, EngineSettings(grant_s=30, renew_every_s=10))
    for fence in (1, 2, 3):
        holder.say(Want(_NONCE, fence, fence - 1))
        seat = seats.take()
        assert seat is not None
        claimed: list[Claimant] = []
        assert seats.grant(seat, Lease("a", 1, "default", fence), None, lambda: True)
        transport = transport_of(seats, seat, claimed.append)
        ordered = 0
        for number in range(1, dice.randrange(2, 6)):
            pieces = [Piece(1, n, "k", "p", "e", 64 * _MIB, 0, 64 * _MIB, 0, 0) for n in range(dice.randrange(1, 5))]
            ordered += len(pieces)
            files = transport.batch("eodata", Path("/spool/.cdsed/X"), "X", lambda: None, pieces)
            for n, piece in enumerate(pieces):
                progress = _Progress()
                assert files.fetch(piece, progress) == Digests(_name(fence, number, n))
                assert set(progress.of) <= {_code(fence, number, n)}
        assert ordered + len(holder.allowed) <= len(claimed), "each request was claimed before it was allowed"
        holder.allowed.clear()
        holder.say(Bye(_NONCE, fence))
        assert seats.forget_lease(seat) is LeaseEnd.GAVE_UP


def _with_a_lease() -> tuple[_Holder, Seats, Seat, list[int]]:
    """Return a holder that has a lease, and a list to which each renewal is added."""
    holder, kept = _Holder(random.Random(1)), list[int]()
    holder.seats = seats = seats_over(holder, SYSTEM_CLOCK, EngineSettings(grant_s=30, renew_every_s=10))
    holder.say(Want(_NONCE, 1, 0))
    seat = seats.take()
    assert seat is not None
    seats.grant(seat, Lease("a", 1, "default", 1), None, lambda: bool(kept.append(1)) or True)
    return holder, seats, seat, kept


def test_what_comes_of_an_earlier_lease_is_no_answer_and_renews_nothing() -> None:
    holder, seats, seat, kept = _with_a_lease()
    holder.say(Bye(_NONCE, 1))
    seats.forget_lease(seat)
    holder.say(Want(_NONCE, 2, 1))
    assert seats.take() is seat
    seats.grant(seat, Lease("a", 1, "default", 2), None, lambda: bool(kept.append(2)) or True)
    for late in (Bye(_NONCE, 1), Renew(_NONCE, 3, 1, 0, busy=False), Result(_NONCE, 1, 1, Answer(), Sent())):
        holder.say(late)
    assert kept == [1, 2]
    assert seat.answers.empty()
    assert not seat.closed.is_set()


def test_a_head_that_fell_behind_answers_only_the_newest_request_of_a_holder() -> None:
    _, seats, seat, kept = _with_a_lease()
    late = [Renew(_NONCE, seq, 1, 0, busy=True) for seq in range(2, 50)]
    seats.hear(*(encode(each) for each in [*late, Bye(_NONCE, 1)]))
    assert len(kept) == 1, "its word that the connection is closed does not wait for the answers to requests"
    assert seat.state.seq == 49
    assert seat.closed.is_set()
