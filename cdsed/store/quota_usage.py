"""What each account may use now: its sessions, its requests of the minute, its volume of 30 days.

The number of sessions follows additive increase, multiplicative decrease: a refusal halves the sessions in use, and
undisturbed deliveries give back one at a time. Quota is reserved when work is handed out, so that all processes
together stay below each limit; see docs/decisions/0013-in-flight-counts-as-used.md.
"""

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.quota import PENALTY_BYTES_PER_S, SHAREABLE, VOLUME_WINDOW_H, Limit, ThrottleReason
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("quota_usage")

#: Traffic is counted in steps of this many seconds since boot, in the table ``traffic_step``.
STEP_S = 5
MINUTE_STEPS = 12
#: A request counts for so many seconds from the beginning of the second in which it was counted: CDSE may count in a
#: sliding window, in which two full minutes side by side would be twice the limit.
COUNTS_FOR_S = MINUTE_STEPS * STEP_S + 1
_AFTER_SECOND_S = 0.001  # a wait may end a little early

#: A probe through a breaker counts for this long. One that takes longer hangs or was stopped, so a new one may follow.
PROBE_S = 600.0

# No session is leased when only a thousandth of the volume is left, or two pieces. The pieces that were handed out last
# may use this reserve, and so do bytes that we do not count: lists of objects, headers, bytes that arrived twice after
# a network error, and bytes that a killed worker had received since its last count.
_RESERVE_SHARE, _RESERVE_LEAST_BYTES, _RESERVE_MOST_SHARE = 1000, 2 * 64 * 2**20, 10

# CDSE's minute and ours may begin at different times, and CDSE may count a request whose response never arrived here.
_MARGIN_SHARE = 20

# CDSE counts volume by the hour, so a penalty does not end sooner.
_PENALTY_LOOK_S = 3600.0
# One connection at 1 MB/s, measured over 20 s; small objects are counted in batches of 8 MiB, hence the wide margins.
_CRAWL_STEPS = 4
_CRAWL_S = _CRAWL_STEPS * STEP_S
_CRAWL_BYTES = (0.6 * PENALTY_BYTES_PER_S * _CRAWL_S, 1.4 * PENALTY_BYTES_PER_S * _CRAWL_S)
_CRAWL_STEP_MOST = 2.5 * PENALTY_BYTES_PER_S * STEP_S


@frozen
class QuotaUsage:
    """The limits of one account, and their usage; "claimed" is reserved for work in flight.

    Attributes
    ----------
    sessions
        The number of sessions in the accounts file.
    held
        The number of sessions that are leased now.
    shares_volume, shares_requests
        Whether its group shares this quota: limit and usage are then those of the group.
    pool_sessions, held_in_pool
        The connections that the accounts of its group may hold together (None: they share none), and those that they
        hold or closed just now.
    probes
        Sessions that were leased through the open breaker to see whether the failure is over. Leases from before it
        opened do not count: a thread that is stuck at a dead file server may hold one for days.
    requests
        Sent and counted in the last 60 to 61 s.
    breaker_until_s, breaker_code, breaker_reason
        Of its open breaker, the time in seconds since boot; None when it is closed.
    throttle_reason, session_limit, grows_s
        Why it is throttled, to how many sessions, and when these grow by one (seconds since boot; None: not before the
        next delivery).
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
    bandwidth_bytes_per_s: int | None
    shares_volume: bool
    shares_requests: bool
    pool_sessions: int | None
    held_in_pool: int

    @property
    def shares(self) -> tuple[Limit, ...]:
        """The quotas whose limits and usage are those of its group."""
        shared = {
            Limit.VOLUME: self.shares_volume,
            Limit.REQUESTS: self.shares_requests,
            Limit.CONNECTIONS: self.pool_sessions is not None,
        }
        return tuple(limit for limit in SHAREABLE if shared[limit])

    @property
    def pool_is_full(self) -> bool:
        """Whether the accounts of its group hold all connections that they share."""
        return self.pool_sessions is not None and self.held_in_pool >= self.pool_sessions

    @property
    def usable_sessions(self) -> int:
        """The number of sessions that it may hold now."""
        return self.sessions if self.session_limit is None else min(self.sessions, self.session_limit)

    @property
    def ceiling_bytes(self) -> int:
        """The volume at which leasing stops, a little below the limit; beyond the limit CDSE gives 1 MB/s."""
        least = min(_RESERVE_LEAST_BYTES, -(-self.volume_bytes // _RESERVE_MOST_SHARE))
        return self.volume_bytes - max(self.volume_bytes // _RESERVE_SHARE, least)

    @property
    def left_bytes(self) -> int:
        """The volume that is left before leasing stops; below 1 it is spent."""
        return self.ceiling_bytes - self.used_bytes - self.claimed_bytes

    @property
    def handout_bytes(self) -> int:
        """The volume that may be handed out to a session without exceeding the limit itself."""
        return self.volume_bytes - self.used_bytes - self.claimed_bytes

    @property
    def requests_left(self) -> int:
        """The number of requests that may still be claimed."""
        return self.requests_per_minute - self.requests - self.claimed_requests

    def leaves_room(self, resting: int) -> bool:
        """Tell whether our own usage does not explain a refusal; `resting` sessions were closed just now."""
        margin = max(1, self.requests_per_minute // _MARGIN_SHARE)
        return (
            self.held + resting < self.sessions
            and not self.pool_is_full
            and self.requests + self.claimed_requests + margin < self.requests_per_minute
            and self.left_bytes >= 1
        )

    def key_has_expired(self, clock: Clock) -> bool:
        """Tell whether its key is known to have expired."""
        return self.key_expires_at is not None and self.key_expires_at <= clock.utc_s()

    def may_lease(self, clock: Clock) -> bool:
        """Tell whether one more session may be leased; through an open breaker only one, as a probe."""
        closed = self.breaker_until_s is None or (self.breaker_until_s <= clock.boot_s() and not self.probes)
        return (
            closed
            and self.has_keys
            and not self.key_has_expired(clock)
            and self.held < self.usable_sessions
            and not self.pool_is_full
            and self.requests_left >= 1
            and self.left_bytes >= 1
        )


def step_of(clock: Clock) -> int:
    """Return the number of the present step."""
    return int(clock.boot_s() // STEP_S)


def step_and_second(clock: Clock) -> tuple[int, int]:
    """Return the number of the present step, and the second of it that runs: from 0 on."""
    return divmod(int(clock.boot_s()), STEP_S)


def second_ends_in_s(clock: Clock) -> float:
    """Return the time until the next second begins: only then may requests of the minute become free."""
    return 1 - clock.boot_s() % 1 + _AFTER_SECOND_S


def of_all(db: Database, clock: Clock, account: str | None = None) -> list[QuotaUsage]:
    """Return the quota usage of every account in the accounts file, or only of `account` if it is there."""
    step, second = step_and_second(clock)
    rows = db.rows(
        _SQL.usages,
        account=account,
        hangs_since_s=clock.boot_s() - PROBE_S,
        **volume_hours(clock),
        oldest_step=step - MINUTE_STEPS,
        step=step,
        second=second,
        now_s=clock.boot_s(),
    )
    return [_usage(row) for row in rows]


def volume_hours(clock: Clock) -> dict[str, int]:
    """Return the first and the last hour of traffic that counts for the 30 days, as parameters of queries.

    What was counted while the clock was years ahead must not count for years.
    """
    hour = int(clock.utc_s() // 3600)
    return {"oldest_hour": hour - VOLUME_WINDOW_H + 1, "newest_hour": hour + VOLUME_WINDOW_H}


def of(db: Database, clock: Clock, account: str) -> QuotaUsage | None:
    """Return the quota usage of one account; None when the accounts file does not have it any more."""
    found = of_all(db, clock, account)
    return found[0] if found else None


def throttled(
    db: Database, clock: Clock, account: str, fence: int, *, grow_after_s: float, crowded: bool = True
) -> QuotaUsage | None:
    """Halve the sessions that an account uses, because the service refused one of its leases.

    A lease from before the last decrease was in flight then, so its refusal is not new, unless the decrease is older
    than `grow_after_s`.

    Parameters
    ----------
    crowded
        Whether the refusal is about this account; False: the service as a whole asks for less.

    Returns
    -------
    QuotaUsage or None
        The usage before, if the sessions were halved.
    """
    with db.write():
        before, known = of(db, clock, account), db.row(_SQL.throttle, account=account)
        if before is None:
            return None
        penalised = (
            before.throttle_reason is ThrottleReason.PENALISED
        )  # it already has one session, until the next check
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
    """Give a throttled account one more session after undisturbed deliveries for `grow_after_s`.

    Returns
    -------
    QuotaUsage or None
        The usage now, if the number of sessions or the reason has changed.
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
    """Tell whether a lease is from before the last decrease, and the decrease is less than `grow_after_s` ago."""
    return bool(fence <= known["fence"] and clock.boot_s() < known["since_s"] + grow_after_s)


def _grow(db: Database, account: str, cause: ThrottleReason, sessions: int, grows_s: float) -> None:
    db.rows(_SQL.grow, account=account, cause=cause, sessions=sessions, grows_s=grows_s)


def _crawls(db: Database, clock: Clock, account: str) -> bool:
    """Tell whether an account ran evenly at the rate of a spent volume, and not because of our own ceiling."""
    pace = db.row(_SQL.pace, account=account, step=step_of(clock), steps=_CRAWL_STEPS)
    assert pace is not None, "a sum always has a row"
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
        shares_volume=bool(row["shares_volume"]),
        shares_requests=bool(row["shares_requests"]),
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
    "bandwidth_bytes_per_s",
    "pool_sessions",
    "held_in_pool",
)
