"""What each account may use just now: its sessions, its requests of the minute, its volume of 30 days.

Sessions follow the service by additive increase, multiplicative decrease: a refusal halves what was in use, undisturbed
deliveries give one back at a time. What is in flight counts as used, so that no number of processes together passes a
limit; see docs/decisions/0013-in-flight-counts-as-used.md.
"""

from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.model.quota import PENALTY_BYTES_PER_S, VOLUME_WINDOW_H, ThrottleReason
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("quota_usage")

#: Traffic is counted in steps of so many seconds since boot; ``traffic_step`` holds them.
STEP_S = 5
#: Complete steps that make a minute. With the step that runs they cover any 60 s: CDSE may count by a sliding window,
#: and two full minutes side by side would be twice the limit in it.
MINUTE_STEPS = 12

#: A probe through a breaker is waited for so long: one that takes longer hangs, or is stopped, and says nothing more.
PROBE_S = 600.0

# Nothing new is leased when only a thousandth of the volume is left, or two pieces: the last of what is handed out may
# use it, and so does what is not in the books, such as listings, headers, what came twice after a blip, and what a
# killed worker had received since it was last counted.
_RESERVE_SHARE, _RESERVE_LEAST_BYTES, _RESERVE_MOST_SHARE = 1000, 2 * 32 * 2**20, 10

# CDSE's minute and ours need not begin together, and a request may be counted there that never had an answer here.
_MARGIN_SHARE = 20

# CDSE counts volume hourly: a penalty does not end sooner.
_PENALTY_LOOK_S = 3600.0
# One connection at 1 MB/s, seen over 20 s; small objects are counted by the handful of 8 MiB, hence the wide margins.
_CRAWL_STEPS = 4
_CRAWL_S = _CRAWL_STEPS * STEP_S
_CRAWL_BYTES = (0.6 * PENALTY_BYTES_PER_S * _CRAWL_S, 1.4 * PENALTY_BYTES_PER_S * _CRAWL_S)
_CRAWL_STEP_MOST = 2.5 * PENALTY_BYTES_PER_S * STEP_S


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """One account's limits, and what is used of them; "claimed" is in flight.

    Attributes
    ----------
    sessions
        That the accounts file gives it.
    held
        Leased just now.
    probes
        Leased through its open breaker to see whether the trouble is over. What was leased before it opened is none:
        a thread stuck at a dead file server may hold that for days.
    requests
        Sent and counted in the last 60 to 65 s.
    breaker_until_s, breaker_code, breaker_reason
        Of its open breaker, the time in seconds since boot; None when it is closed.
    restraint, restrained_to, grows_s
        Why, to how many sessions, and until when (seconds since boot; None: until something is delivered).
    """

    name: str
    group: str
    has_keys: bool
    key_expires_at: float | None
    sessions: int
    held: int
    probes: int
    requests_per_minute: int
    requests: int
    claimed_requests: int
    volume_bytes: int
    used_bytes: int
    claimed_bytes: int
    breaker_until_s: float | None
    breaker_code: str | None
    breaker_reason: str | None
    throttle_reason: ThrottleReason | None
    session_limit: int | None
    grows_s: float | None

    @property
    def usable_sessions(self) -> int:
        """How many sessions it may hold now."""
        return self.sessions if self.session_limit is None else min(self.sessions, self.session_limit)

    @property
    def ceiling_bytes(self) -> int:
        """The volume at which leasing stops, a little below the limit: beyond that CDSE gives 1 MB/s."""
        least = min(_RESERVE_LEAST_BYTES, -(-self.volume_bytes // _RESERVE_MOST_SHARE))
        return self.volume_bytes - max(self.volume_bytes // _RESERVE_SHARE, least)

    @property
    def left_bytes(self) -> int:
        """What may still be used before leasing stops; below 1 it is spent."""
        return self.ceiling_bytes - self.used_bytes - self.claimed_bytes

    @property
    def handout_bytes(self) -> int:
        """What may be handed out to a session without passing the limit itself."""
        return self.volume_bytes - self.used_bytes - self.claimed_bytes

    @property
    def requests_left(self) -> int:
        """Requests that may still be claimed."""
        return self.requests_per_minute - self.requests - self.claimed_requests

    def leaves_room(self, resting: int) -> bool:
        """Tell whether nothing in our own books explains a refusal; `resting` sessions were closed just now."""
        margin = max(1, self.requests_per_minute // _MARGIN_SHARE)
        return (
            self.held + resting < self.sessions
            and self.requests + self.claimed_requests + margin < self.requests_per_minute
            and self.left_bytes >= 1
        )

    def key_has_expired(self, clock: Clock) -> bool:
        """Tell whether its key's time is known to be over."""
        return self.key_expires_at is not None and self.key_expires_at <= clock.utc_s()

    def may_lease(self, clock: Clock) -> bool:
        """Tell whether one more of its sessions may be leased; through an open breaker only a single one, as probe."""
        closed = self.breaker_until_s is None or (self.breaker_until_s <= clock.boot_s() and not self.probes)
        return (
            closed
            and self.has_keys
            and not self.key_has_expired(clock)
            and self.held < self.usable_sessions
            and self.requests_left >= 1
            and self.left_bytes >= 1
        )


def step_of(clock: Clock) -> int:
    """Return the number of the step that runs."""
    return int(clock.boot_s() // STEP_S)


def of_all(db: Database, clock: Clock, account: str | None = None) -> list[QuotaUsage]:
    """Return the allowance of every account of the accounts file, or of one, if it is there."""
    step = step_of(clock)
    rows = db.rows(
        _SQL.usages,
        account=account,
        hangs_since_s=clock.boot_s() - PROBE_S,
        oldest_hour=int(clock.utc_s() // 3600) - VOLUME_WINDOW_H,
        oldest_step=step - MINUTE_STEPS,
        step=step,
    )
    return [_usage(row) for row in rows]


def of(db: Database, clock: Clock, account: str) -> QuotaUsage | None:
    """Return the allowance of one account; None when it has left the accounts file."""
    found = of_all(db, clock, account)
    return found[0] if found else None


def throttled(
    db: Database, clock: Clock, account: str, fence: int, *, grow_after_s: float, crowded: bool = True
) -> QuotaUsage | None:
    """Halve what an account uses because the service refused one of its leases.

    A lease older than the last decrease was in flight then and says nothing new, unless it has gone on for so long
    that it could have grown again.

    Parameters
    ----------
    crowded
        Whether the refusal speaks of this account; False: the service as a whole asks for less.

    Returns
    -------
    Allowance or None
        What it was allowed before, when this was news.
    """
    with db.write():
        before, known = of(db, clock, account), db.row(_SQL.throttle, account=account)
        if before is None:
            return None
        penalised = (
            before.throttle_reason is ThrottleReason.PENALISED
        )  # down to one session already, until it is looked at again
        if known is not None and (penalised or _was_in_flight(known, clock, fence, grow_after_s)):
            db.rows(_SQL.disturb, account=account)
            return None
        resting = db.value(_SQL.resting, account=account, now_s=clock.boot_s())
        shared = crowded and before.leaves_room(resting)
        cause = ThrottleReason.SHARED if shared else ThrottleReason.THROTTLED
        in_use = min(before.held, before.usable_sessions)
        db.rows(_SQL.set_throttle, account=account, cause=cause, sessions=max(1, in_use // 2), now_s=clock.boot_s())
        return before


def delivered(db: Database, clock: Clock, account: str, fence: int, *, grow_after_s: float) -> QuotaUsage | None:
    """Let a restrained account grow by one session once deliveries have gone on undisturbed for `grow_after_s`.

    Returns
    -------
    Allowance or None
        What it is allowed now, when that has changed.
    """
    if (known := db.row(_SQL.throttle, account=account)) is None:
        return None
    with db.write():
        known, now = db.row(_SQL.throttle, account=account), of(db, clock, account)
        if known is None or now is None or _was_in_flight(known, clock, fence, grow_after_s):
            return None
        now_s, grows_s, cause = clock.boot_s(), known["grows_s"], ThrottleReason(known["cause"])
        if cause is not ThrottleReason.PENALISED and now.usable_sessions == 1 and _crawls(db, clock, account):
            _grow(db, account, ThrottleReason.PENALISED, 1, now_s + _PENALTY_LOOK_S)
        elif grows_s is None:
            _grow(db, account, cause, known["sessions"], now_s + grow_after_s)
            return None
        elif grows_s > now_s:
            return None
        elif known["sessions"] + 1 >= now.sessions:
            db.rows(_SQL.lift, account=account)
        else:
            after = ThrottleReason.THROTTLED if cause is ThrottleReason.PENALISED else cause
            _grow(db, account, after, known["sessions"] + 1, now_s + grow_after_s)
        return of(db, clock, account)


def _was_in_flight(known: Row, clock: Clock, fence: int, grow_after_s: float) -> bool:
    """Tell whether a lease is older than the last decrease, and that is not long ago."""
    return bool(fence <= known["fence"] and clock.boot_s() < known["since_s"] + grow_after_s)


def _grow(db: Database, account: str, cause: ThrottleReason, sessions: int, grows_s: float) -> None:
    db.rows(_SQL.grow, account=account, cause=cause, sessions=sessions, grows_s=grows_s)


def _crawls(db: Database, clock: Clock, account: str) -> bool:
    """Tell whether an account has run at the pace of a spent volume, evenly, and not because we wanted it so."""
    pace = db.row(_SQL.pace, account=account, step=step_of(clock), steps=_CRAWL_STEPS)
    assert pace is not None, "a sum has always a row"
    low, high = _CRAWL_BYTES
    ours = pace["ceiling"] is not None and pace["ceiling"] <= high / _CRAWL_S
    return bool(low <= pace["bytes"] <= high and pace["most"] <= _CRAWL_STEP_MOST and not ours)


def _usage(row: Row) -> QuotaUsage:
    return QuotaUsage(
        name=row["name"],
        group=row["account_group"],
        has_keys=bool(row["has_keys"]),
        breaker_until_s=row["until_s"],
        breaker_code=row["code"],
        breaker_reason=row["reason"],
        throttle_reason=ThrottleReason(row["cause"]) if row["cause"] else None,
        **{name: row[name] for name in _COPIED},
    )


_COPIED = (
    "key_expires_at",
    "sessions",
    "held",
    "probes",
    "requests_per_minute",
    "requests",
    "claimed_requests",
    "volume_bytes",
    "used_bytes",
    "claimed_bytes",
    "session_limit",
    "grows_s",
)
