"""Grant sessions whose connections holders have: first a holder, then the session as `cdsed.work.flock_broker` does."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cdsed.config.accounts import Account
from cdsed.engine.remote_transport import RemoteTransport
from cdsed.engine.seat import LeaseEnd, Seat
from cdsed.engine.seats import Seats
from cdsed.model.objects import Lease
from cdsed.store import bandwidth_limits
from cdsed.transfer.lease_broker import SessionTools
from cdsed.work.flock_broker import FlockBroker, FlockGrant

#: How many notes of positions all holders together send: each is a commit of the head.
_NOTES_PER_S = 25


@dataclass(frozen=True, slots=True)
class HolderGrant:
    """A session whose locks this process holds, and whose connection a holder has."""

    broker: "HolderBroker"
    held: FlockGrant
    seat: Seat

    @property
    def lease(self) -> Lease:
        """As `cdsed.transfer.lease_broker.Grant`."""
        return self.held.lease

    def transport(self, tools: SessionTools) -> RemoteTransport:
        """Return the holder's connection."""
        every_s = note_every_s(tools.checkpoint_every_s, _sessions(self.broker.local.accounts.values()))
        tools = replace(tools, checkpoint_every_s=every_s)
        return RemoteTransport(self.broker.seats, self.seat, tools, self.broker.state_id)

    def is_valid(self) -> bool:
        """As `cdsed.transfer.lease_broker.Grant`."""
        self.seat.bytes_per_s = self.broker.share(self.held)
        return self.broker.seats.machines.may_use(self.seat) and self.held.is_valid()

    def has_current_keys(self) -> bool:
        """As `cdsed.transfer.lease_broker.Grant`."""
        return self.held.has_current_keys()

    def may_take_more(self) -> bool:
        """Tell also whether its machine may have connections: it may be drained, or see other files by now."""
        return self.broker.seats.machines.may_use(self.seat) and self.held.has_current_keys()

    def save_resume_point(self, piece: int, done_bytes: int, booted_at: float) -> None:
        """As `cdsed.transfer.lease_broker.Grant`."""
        self.held.save_resume_point(piece, done_bytes, booted_at)

    def release(self, *, used: bool) -> None:
        """End the lease; if the connection is not known to be closed, the session rests as long as it may be open."""
        end = self.broker.seats.end_lease(self.seat)
        closed = end is not LeaseEnd.OPEN
        if closed:
            self.held.keep(0.0)
        self.held.release(used=used, closed=closed, lost=end is not LeaseEnd.GAVE_UP)


@dataclass(frozen=True, slots=True)
class HolderBroker:
    """Grants a session when there is a holder for it; see `cdsed.transfer.lease_broker.LeaseBroker`.

    `hold_s` is how long a session is kept without word of its holder.
    """

    local: FlockBroker
    seats: Seats
    state_id: str
    hold_s: float

    def grant(self) -> HolderGrant | None:
        """Grant the best free session of a group that has work, if a holder is idle."""
        seat = self.seats.take()
        if seat is None:
            return None
        held = self.local.grant()
        if held is None:
            seat.taken = False
            return None
        grant = HolderGrant(self, held, seat)
        if not self.seats.grant(seat, held.lease, self.share(held), lambda: held.keep(self.hold_s, seat.node)):
            grant.release(used=False)
            return None
        return grant

    def share(self, grant: FlockGrant) -> int | None:
        """Return the bandwidth of one connection, so that all together keep the limits of the settings."""
        account, store = grant.account, self.local.store
        accounts = self.local.accounts.values()
        sessions = {
            ("machine", ""): _sessions(accounts),
            ("group", account.group): _sessions(each for each in accounts if each.group == account.group),
            ("account", account.name): account.sessions,
        }
        limits = [
            limit.bytes_per_s // sessions[limit.kind, limit.name]
            for limit in bandwidth_limits.of_all(store.db)
            if (limit.kind, limit.name) in sessions
        ]
        if account.bandwidth_bytes_per_s:
            limits.append(account.bandwidth_bytes_per_s)
        return max(1, min(limits)) if limits else None


def note_every_s(least_s: float, sessions: int) -> float:
    """Return how often each of so many holders notes how far it is: at least `least_s` apart."""
    return max(least_s, sessions / _NOTES_PER_S)


def _sessions(accounts: Iterable[Account]) -> int:
    return sum(account.sessions for account in accounts)
