"""A batch of pieces is one task: whatever is lost, late or said twice, each piece that counts was fetched, and once.

The head is the real one (`Seats` and `RemoteTransport`); a holder follows the same rules as the real one.
"""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.orders import Answer, CarriedError, FetchTask, Sent
from cdsed.engine.remote_transport import RemoteTransport
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Ask, Granted, Mark, MayAsk, Result, Stop, Task, UpMessage, Want, decode, encode
from cdsed.errors import ServiceError, Stopped, TransferError
from cdsed.model.objects import Digests, Lease, Piece
from cdsed.transfer.lease_broker import Claimant
from tests.support.seats import seats_over, transport_of

_PIECES = tuple(Piece(n, n, f"k{n}", f"p{n}", "e", 4, 0, 4, 0, 0) for n in range(1, 9))


@dataclass
class _Net:
    """A link with one holder behind it, which answers at once; marks may be lost, late or doubled."""

    dice: random.Random
    trouble: float
    fails_at: int  # the number of the piece that breaks; 0: none
    asks: int
    seats: Seats = field(init=False)
    sent: int = 0  # requests
    fetched: list[int] = field(default_factory=list)
    _task: Task | None = None
    _asked: int = 0
    _late: list[UpMessage] = field(default_factory=list)

    def tend(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        return ()

    def close(self) -> None: ...

    def send(self, pilot: str, lines: Sequence[str]) -> None:  # noqa: ARG002
        for line in lines:
            for _ in range(2 if self.dice.random() < self.trouble else 1):
                self._hear(decode(line))

    def _hear(self, message: object) -> None:
        match message:
            case Task(number=number) as task if self._task is None or number > self._task.number:
                self._task, self._asked = task, 0
                self._work_on()
            case MayAsk(ask=ask, wait=False) if ask == self._asked + 1 <= self.asks:
                self._asked = ask
                self.sent += 1
                self._work_on()
            case Stop() | Granted() | MayAsk() | Task():
                return

    def _work_on(self) -> None:
        """Ask for what the task needs besides its own requests, then fetch."""
        task = self._task
        assert task is not None
        if self._asked < self.asks:
            self._say(Ask(*_of(task), self._asked + 1), again=True)
            return
        assert isinstance(task.order, FetchTask)
        arrived: list[Digests] = []
        marked = 0
        answer: Answer | None = None
        for piece in task.order.pieces:
            self.sent += 1
            if piece.id == self.fails_at:
                failure = CarriedError("ServiceError", "it broke", "503")
                answer = Answer(digests=tuple(arrived), failure=failure, failed=True)
                break
            self.fetched.append(piece.id)
            arrived.append(Digests(f"md5 of {piece.id}"))
            if self.dice.random() < 0.5:
                mark = Mark(*_of(task), marked, tuple(arrived[marked:]), 0, Sent(self.sent, 0))
                marked = len(arrived)
                if self.dice.random() >= self.trouble:
                    self._say(mark, again=True)
                else:
                    self._late.append(mark)
        self._say(Result(*_of(task), answer or Answer(digests=tuple(arrived)), Sent(self.sent, 0)), again=True)
        for mark in self._late:
            self._say(mark)
        self._late.clear()

    def _say(self, message: UpMessage, *, again: bool = False) -> None:
        self.seats.hear(encode(message))
        if again and self.dice.random() < self.trouble:
            self.seats.hear(encode(message))


def _of(task: Task) -> tuple[str, int, int]:
    return task.nonce, task.fence, task.number


class _Progress:
    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None: ...


@dataclass
class _Claims:
    """The requests that the head has claimed; after `left` it refuses."""

    left: int
    claimed: int = 0

    def claim(self, connection: Claimant) -> None:  # noqa: ARG002
        if not self.left:
            raise Stopped
        self.left -= 1
        self.claimed += 1


def _transport(net: _Net, claims: _Claims) -> RemoteTransport:
    net.seats = seats_over(net, SYSTEM_CLOCK, EngineSettings())
    net.seats.hear(encode(Want("pilot.1", 1, 0)))
    seat = net.seats.take()
    assert seat is not None
    assert net.seats.grant(seat, Lease("a", 1, "default", 7), None, lambda: True)
    return transport_of(net.seats, seat, claims.claim)


@given(
    seed=st.integers(0, 2**32),
    trouble=st.sampled_from([0.0, 0.3, 0.9]),
    fails_at=st.integers(0, len(_PIECES)),
    asks=st.integers(0, 2),
)
@settings(max_examples=200, deadline=None)
def test_what_is_said_of_pieces_is_what_was_fetched_and_each_request_is_claimed(
    seed: int, trouble: float, fails_at: int, asks: int
) -> None:
    net, claims = _Net(random.Random(seed), trouble, fails_at, asks), _Claims(100)
    transport = _transport(net, claims)
    files = transport.batch("eodata", Path("/spool/X"), "X", lambda: None, _PIECES)
    arrived = []
    error: TransferError | None = None
    for piece in _PIECES:
        try:
            digests = files.fetch(piece, _Progress())
        except TransferError as failed:
            error = failed
            break
        assert digests == Digests(f"md5 of {piece.id}")
        arrived.append(piece.id)
    files.stop()
    files.close()
    assert arrived == [piece.id for piece in _PIECES if not fails_at or piece.id < fails_at]
    assert net.fetched == arrived
    assert isinstance(error, ServiceError) == bool(fails_at)
    assert net.sent <= claims.claimed


def test_a_batch_whose_requests_are_not_free_is_not_sent():
    net, claims = _Net(random.Random(1), 0.0, 0, 0), _Claims(len(_PIECES) - 1)
    transport = _transport(net, claims)
    files = transport.batch("eodata", Path("/spool/X"), "X", lambda: None, _PIECES)
    with suppress(Stopped):
        files.fetch(_PIECES[0], _Progress())
    assert (net.sent, net.fetched) == (0, [])


def test_an_answer_that_is_said_twice_allows_no_second_request():
    net, claims = _Net(random.Random(2), 1.0, 0, 2), _Claims(100)
    transport = _transport(net, claims)
    files = transport.batch("eodata", Path("/spool/X"), "X", lambda: None, _PIECES)
    for piece in _PIECES:
        files.fetch(piece, _Progress())
    assert net.sent == claims.claimed == len(_PIECES) + 2
