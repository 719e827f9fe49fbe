"""The head's side: what it knows of each holder, and the thread that answers them.

A *seat* is a holder as the head sees it. A session thread takes an idle one, gives it a lease, and orders tasks. The
state keeps the session before each answer, so a crash of the head changes nothing (`cdsed.store.leases.hold`).
"""

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from cdsed.clock import Clock
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.grant_rules import MARGIN_S, HeadReply, SeatState, hears_bye, hears_renew, hears_want
from cdsed.engine.known_machines import HeadNews, KnownMachines
from cdsed.engine.lasting_link import LastingLink
from cdsed.engine.orders import TaskOrder
from cdsed.engine.seat import LeaseEnd, Look, Seat
from cdsed.engine.waiting_requests import WaitingRequests
from cdsed.engine.wire import (
    Ask,
    Bye,
    Dead,
    DownMessage,
    GiveUp,
    Granted,
    Kill,
    Leave,
    Mark,
    MayAsk,
    PilotHere,
    Probed,
    Renew,
    Renewed,
    Result,
    Stop,
    Task,
    Want,
    decode,
    encode,
)
from cdsed.errors import MachineError
from cdsed.model.objects import Lease

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_ANSWER_WITHIN_S = 5.0
#: After so many renewals that tell of no work, a task or its result was lost.
_IDLE_RENEWALS = 2


class Seats:
    """All holders.

    Parameters
    ----------
    on_idle
        Called when a holder wants a session.
    machines
        What is known of the machines of all holders.
    """

    def __init__(
        self,
        link: LastingLink[Any],
        settings: EngineSettings,
        clock: Clock,
        on_idle: Callable[[], None],
        machines: KnownMachines,
    ) -> None:
        self._link = link
        self._settings = settings
        self._clock = clock
        self._on_idle = on_idle
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}
        self._requests = WaitingRequests()
        self.machines = machines

    def run(self, stop: threading.Event, leaving: threading.Event) -> None:
        """Answer holders until `stop` is set and no seat is taken; when the process is `leaving`, its threads look."""
        look_s = 0.0
        while not stop.is_set() or any(seat.taken for seat in list(self._seats.values())):
            now_s = self._clock.boot_s()
            if now_s >= look_s:
                look_s = now_s + _LOOK_EVERY_S
                self._forget_silent(now_s)
                self.machines.look(self._seats.values(), now_s)
                for seat in self._seats.values() if leaving.is_set() else ():
                    seat.answers.put(Look.LOOK)
            self.hear(*self._link.receive(0 if self._requests else _LOOK_EVERY_S / 2))

    def news(self) -> HeadNews:
        """Return what is known of the machines."""
        return self.machines.news(list(self._seats.values()), self._clock.boot_s())

    def end(self) -> None:
        """Let all pilots end."""
        for line in self.machines.end():
            _log.info("%s", line)
        for pilot in list(self.machines.nodes):
            self._send(pilot, Leave(pilot, "the daemon ends"))
        self._link.close()

    def take(self) -> Seat | None:
        """Take an idle holder, on the machine, and its worker, where the fewest are at work; None if all are."""
        now_s = self._clock.boot_s()
        with self._lock:
            busy: Counter[str] = Counter()
            for seat in self._seats.values():
                busy.update({seat.node: seat.taken, seat.pilot: seat.taken})
            idle = [seat for seat in self._seats.values() if self._is_idle(seat, now_s)]
            best = min(idle, key=lambda each: (busy[each.node], busy[each.pilot]), default=None)
            if best is not None:
                best.taken = True
            return best

    def _is_idle(self, seat: Seat, now_s: float) -> bool:
        rested = seat.is_idle and now_s >= seat.rests_until_s
        return rested and self.can_hear(seat) and self.machines.may_grant(seat, now_s)

    def can_hear(self, seat: Seat) -> bool:
        """Tell whether messages to and from a holder are still carried."""
        return seat.carrier is not None and seat.carrier is self._link.current

    def taken(self) -> Counter[str]:
        """Return how many holders of each pilot have been taken."""
        with self._lock:
            return Counter(seat.pilot for seat in self._seats.values() if seat.taken)

    def grant(self, seat: Seat, lease: Lease, bytes_per_s: int | None, keep: Callable[[], bool]) -> bool:
        """Give a lease to a holder; return whether the lease is still valid.

        `keep` is called before each answer that lets the connection be open for longer. It keeps the session in the
        state for as long, and returns whether the lease is valid.
        """
        with seat.lock:
            seat.begin(lease, bytes_per_s, keep)
            return self._grant(seat)

    def order(self, seat: Seat, order: TaskOrder, requests: int) -> int:
        """Order a task, with the right to so many requests; return its number. `Seat.answers` gets what comes of it."""
        with seat.lock:
            seat.number += 1
            seat.idle_renewals = 0
            seat.ordered = Task(seat.nonce, seat.fence, seat.number, requests, order)
            self._send(seat.pilot, seat.ordered)
            return seat.number

    def may_ask(self, seat: Seat, ask: int, *, wait: bool) -> None:
        """Allow a further request of the task, or let the holder close its connection until it is allowed."""
        self._send(seat.pilot, MayAsk(seat.nonce, seat.fence, seat.number, ask, wait))

    def stop(self, seat: Seat) -> None:
        """Stop the task that was ordered last."""
        self._send(seat.pilot, Stop(seat.nonce, seat.fence, seat.number))

    def lost_in_s(self, seat: Seat) -> float:
        """Return after how many seconds the time of the lease is over, if nothing more is heard."""
        return seat.open_until_s - self._clock.boot_s()

    def is_lost(self, seat: Seat) -> bool:
        """Tell whether nothing more can come of the lease: its connection is closed, or its time is over."""
        return seat.dead or seat.closed.is_set() or self.lost_in_s(seat) < 0

    def end_lease(self, seat: Seat) -> LeaseEnd:
        """End the lease of a holder; return how. An answer is waited for only while one can come."""
        if seat.granted and not self.is_lost(seat) and self.can_hear(seat):
            self.ask_to_give_up(seat)
            seat.closed.wait(_ANSWER_WITHIN_S)
        if seat.granted and not seat.closed.is_set():
            _log.warning("holder %s on %s does not answer", seat.nonce, seat.node)
            if self.can_hear(seat):
                seat.killed = True
                self._send(seat.pilot, Kill(seat.nonce))
                seat.closed.wait(_ANSWER_WITHIN_S)
        return self.forget_lease(seat)

    def ask_to_give_up(self, seat: Seat) -> None:
        """Let a holder close its connection, and say so."""
        seat.asked = True
        self._send(seat.pilot, GiveUp(seat.nonce, seat.fence))

    def forget_lease(self, seat: Seat) -> LeaseEnd:
        """Renew the grant of a holder no more; return how its lease ended."""
        with seat.lock:
            end = seat.end
            self.machines.count(seat, closed=end is not LeaseEnd.OPEN)
            seat.forget()
        return end

    def hear(self, *lines: str) -> None:
        """Take messages of pilots and holders, then answer some requests: what came of a task waits for none."""
        for line in lines:
            try:
                message = decode(line)
            except MachineError as error:
                _log.warning("%s", error)
                continue
            (self._requests.add if isinstance(message, Want | Renew) else self._take)(message)
        for request in self._requests.some():
            self._take(request)

    def _take(self, message: object) -> None:
        now_s = self._clock.boot_s()
        match message:
            case PilotHere() | Probed() as word:
                self._hear_pilot(word, now_s)
            case Want(nonce=nonce, seq=seq, ended=ended):
                seat = self._seat(nonce)
                with seat.lock:
                    was_offered = seat.offered and self._is_idle(seat, now_s)
                    seat.state, reply = hears_want(seat.state, seq, ended, now_s)
                    self._follow(seat, reply, seat.state.fence)
                    seat.offered = self._is_idle(seat, now_s)
                if seat.offered and not was_offered:  # each call wakes all threads without a session
                    self._on_idle()
            case Renew(nonce=nonce, seq=seq, fence=fence, number=number, busy=busy):
                seat = self._seat(nonce)
                with seat.lock:
                    seat.state, reply = hears_renew(seat.state, seq, fence, now_s)
                    self._follow(seat, reply, fence)
                    if reply is HeadReply.RENEW:
                        self._look_for_loss(seat, number, busy=busy)
            case Bye(nonce=nonce, fence=fence):
                seat = self._seat(nonce)
                with seat.lock:
                    seat.state, reply = hears_bye(seat.state, fence)
                    self._follow(seat, reply, fence)
            case Dead(nonce=nonce, status=status):
                self._bury(nonce, status)
            case Ask(nonce=nonce) | Mark(nonce=nonce) | Result(nonce=nonce):
                known = self._seats.get(nonce)
                if known is not None:
                    self._answered(known, message)

    def _follow(self, seat: Seat, reply: HeadReply, fence: int) -> None:
        match reply:
            case HeadReply.GRANT:
                if self._grant(seat) and seat.ordered is not None:
                    self._send(seat.pilot, seat.ordered)  # the holder refused it, because it had no grant
            case HeadReply.RENEW:
                if self._keep(seat):
                    grant_s = self._settings.grant_s
                    self._send(seat.pilot, Renewed(seat.nonce, seat.state.seq, fence, grant_s, seat.bytes_per_s))
                else:
                    self._send(seat.pilot, GiveUp(seat.nonce, fence))
            case HeadReply.END:
                self._send(seat.pilot, GiveUp(seat.nonce, fence))
            case HeadReply.CLOSED:
                seat.give_up(self._clock.boot_s())

    def _grant(self, seat: Seat) -> bool:
        lease = seat.lease
        if lease is None or not self.can_hear(seat) or not self._keep(seat):
            return False
        seat.granted = True
        at, grant_s = (seat.nonce, seat.state.seq, lease.fence), self._settings.grant_s
        self._send(seat.pilot, Granted(*at, lease.account, grant_s, seat.bytes_per_s))
        return True

    def _keep(self, seat: Seat) -> bool:
        """Keep the session in the state before an answer lets its connection be open for longer."""
        if seat.lease is None or seat.dead or not seat.keep():
            return False
        seat.open_until_s = self._clock.boot_s() + self._settings.grant_s + MARGIN_S
        return True

    def _answered(self, seat: Seat, answer: Ask | Mark | Result) -> None:
        with seat.lock:
            if seat.lease is None or seat.lease.fence != answer.fence or answer.number != seat.number:
                return  # of an earlier lease or task
            if isinstance(answer, Mark | Result):
                seat.sent = answer.sent
            if isinstance(answer, Result):
                seat.ordered = None
            seat.answers.put(answer)

    def _look_for_loss(self, seat: Seat, number: int, *, busy: bool) -> None:
        """Order a task again that did not arrive; wake the session thread if what came of it was lost."""
        seat.idle_renewals = 0 if busy else seat.idle_renewals + 1
        if seat.ordered is None or seat.idle_renewals < _IDLE_RENEWALS:
            return
        if number < seat.number:
            self._send(seat.pilot, seat.ordered)
        else:
            seat.answers.put(None)

    def _seat(self, nonce: str) -> Seat:
        with self._lock:
            seat = self._seats.get(nonce)
            if seat is None:
                node = self.machines.nodes.get(nonce.partition(".")[0], "unknown")
                seat = self._seats[nonce] = Seat(nonce, node, SeatState(heard_s=-math.inf), self._link.current)
            return seat

    def _hear_pilot(self, word: PilotHere | Probed, now_s: float) -> None:
        if isinstance(word, Probed):
            self.machines.hear_probed(word)
            return
        self._send(word.pilot, self.machines.hear(word, now_s))
        for seat in list(self._seats.values()):
            if seat.pilot == word.pilot:
                seat.node = word.node

    def _bury(self, nonce: str, status: int) -> None:
        self._requests.forget(nonce)
        with self._lock:
            seat = self._seats.pop(nonce, None)
        if seat is None:
            return
        with seat.lock:
            seat.dead = True
            if seat.lease is not None and status:
                _log.warning("holder %s on %s is dead (%d)", nonce, seat.node, status)
            seat.close()

    def _forget_silent(self, now_s: float) -> None:
        """Forget idle holders that are gone."""
        silent_s = 2 * self._settings.grant_s
        with self._lock:
            for nonce, seat in list(self._seats.items()):
                if not seat.taken and now_s - seat.state.heard_s > silent_s:
                    del self._seats[nonce]

    def _send(self, pilot: str, message: DownMessage) -> None:
        self._link.send(pilot, [encode(message)])
