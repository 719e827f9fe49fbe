"""A holder as the head sees it."""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from cdsed.engine.grant_rules import SeatState
from cdsed.engine.link import Link
from cdsed.engine.orders import Sent
from cdsed.engine.wire import Ask, Mark, Result, Task
from cdsed.model.objects import Lease

_log = logging.getLogger(__name__)

#: A holder that gives so many leases back at once, for want of keys, rests for so long.
_REFUSALS_MAX, _RESTS_S = 3, 60.0


class Look(Enum):
    """Among the answers of a holder: a reason to look whether the process must leave."""

    LOOK = auto()


class LeaseEnd(Enum):
    """How the lease of a holder ended."""

    GAVE_UP = auto()  # the holder said so: nothing that it wrote is left in the memory of its machine
    DIED = auto()  # its connection is closed
    OPEN = auto()  # its connection may still be open


@dataclass(slots=True)
class Seat:
    """A holder as the head sees it.

    Attributes
    ----------
    carrier
        What brought its first word: no other one brings more of them, or reaches it.
    answers
        Of the holder, about the tasks of its lease.
    bytes_per_s
        From its next renewal on it reads no faster; None: without a limit.
    taken
        Whether the thread of a session has it; if that gets no session, it sets this back.
    open_until_s
        Until then its connection may be open if nothing more is heard, in seconds since boot.
    keep
        Keeps the session of its lease; see `cdsed.engine.seats.Seats.grant`.
    closed
        Set when the connection of its lease is closed: by the word of the holder, or because the holder is dead.
    granted
        Whether its lease may be known to the holder; if not, no connection was opened for it.
    gave_up
        Whether the holder said so: then nothing that it wrote is left in the memory of its machine.
    """

    nonce: str
    node: str
    state: SeatState
    carrier: Link | None = None
    lease: Lease | None = None
    keep: Callable[[], bool] = lambda: False
    bytes_per_s: int | None = None
    taken: bool = False
    dead: bool = False
    granted: bool = False
    gave_up: bool = False
    killed: bool = False  # because it did not answer
    asked: bool = False  # to end its lease
    refusals: int = 0  # leases in a row that it gave back at once
    rests_until_s: float = 0.0  # because of them, in seconds since boot
    offered: bool = False  # as idle, to the threads of sessions
    idle_renewals: int = 0
    number: int = 0
    ordered: Task | None = None  # of which nothing has come yet
    sent: Sent = field(default_factory=Sent)  # over the connection of its lease
    open_until_s: float = 0.0
    answers: "queue.SimpleQueue[Ask | Mark | Result | Look | None]" = field(default_factory=queue.SimpleQueue)
    closed: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def pilot(self) -> str:
        """The pilot that runs it."""
        return self.nonce.partition(".")[0]

    @property
    def is_idle(self) -> bool:
        """Whether it has no lease, and may be given one."""
        return not (self.taken or self.dead or self.killed or self.state.fence)

    @property
    def fence(self) -> int:
        """The fence of its lease, which it must have."""
        assert self.lease is not None, f"holder {self.nonce} has no lease"
        return self.lease.fence

    def begin(self, lease: Lease, bytes_per_s: int | None, keep: Callable[[], bool]) -> None:
        """Forget the lease before, and have this one."""
        self.lease, self.bytes_per_s, self.keep = lease, bytes_per_s, keep
        self.number, self.ordered, self.sent = 0, None, Sent()
        if not self.dead:
            self.closed.clear()
        self.gave_up = self.asked = self.granted = False
        while not self.answers.empty():
            self.answers.get()
        self.state = replace(self.state, fence=lease.fence)

    @property
    def end(self) -> LeaseEnd:
        """How its lease ends now."""
        if self.gave_up or not self.granted:
            return LeaseEnd.GAVE_UP
        return LeaseEnd.DIED if self.closed.is_set() else LeaseEnd.OPEN

    def forget(self) -> None:
        """Have no lease any more; without word that its connection is closed, it gets no other one."""
        self.dead |= self.end is LeaseEnd.OPEN
        self.state = replace(self.state, fence=0)
        self.lease, self.ordered, self.taken = None, None, False

    def give_up(self, now_s: float) -> None:
        """Take the word of the holder that it has ended its lease."""
        self.gave_up = True
        self.refusals = 0 if self.asked or self.sent.requests else self.refusals + 1
        if self.refusals >= _REFUSALS_MAX:
            _log.warning("a holder on %s gives sessions back at once: run `cdsed engine check`", self.node)
            self.rests_until_s = now_s + _RESTS_S
        self.close()

    def close(self) -> None:
        """Note that its connection is closed."""
        self.closed.set()
        self.answers.put(None)
