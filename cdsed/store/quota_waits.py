"""What accounts, sessions and products wait for, as far as it is a quota, and until when.

A quota wait has an end and needs no person. Why an account cannot be used at all is an error instead.
"""

from collections.abc import Iterable, Mapping, Sequence

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.product_state import Product, State
from cdsed.model.quota import THROTTLE_CODES, Limit, QuotaWait, ThrottleReason
from cdsed.model.status_report import SessionMark
from cdsed.store import forecast, sent_requests
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import QuotaUsage

_SQL = Queries("quota_waits")

# Connections at this share of the ceiling in the accounts file are held back by it.
_NEARLY = 0.9
_WAITS_FOR_QUOTA = (State.READY, State.DOWNLOADING)


@frozen
class SessionStatus:
    """One session: its mark and, if it waits for a quota, for which."""

    slot: int
    mark: SessionMark
    wait: QuotaWait | None


@frozen
class AccountWaits:
    """The quota for which no further session of an account can be leased, and its sessions."""

    wait: QuotaWait | None
    sessions: tuple[SessionStatus, ...]


def is_unusable(account: QuotaUsage, clock: Clock) -> bool:
    """Tell whether an account cannot be used for another reason than a quota."""
    broken = account.breaker_code is not None and account.breaker_code not in THROTTLE_CODES
    return not account.has_keys or account.key_has_expired(clock) or broken


def _of_account(db: Database, clock: Clock, account: QuotaUsage) -> QuotaWait | None:
    """Return the limit for which no further session of an account can be leased; None if it is not a quota."""
    if is_unusable(account, clock):
        return None
    if account.left_bytes < 1:  # it ends last, so it comes first
        free = forecast.quota_free_at(db, clock, account)
        return QuotaWait(Limit.VOLUME, free.at if free else None, account.shares_volume)
    penalty_until_s = account.breaker_until_s
    if penalty_until_s is not None and (penalty_until_s > clock.boot_s() or account.requests_left >= 1):
        return QuotaWait(Limit.PENALTY, max(clock.utc_s(), _utc(clock, penalty_until_s)))
    if account.requests_left < 1:
        return QuotaWait(Limit.REQUESTS, _requests_free_at(db, clock, account), account.shares_requests)
    if account.usable_sessions < account.sessions and account.held >= account.usable_sessions:
        return _throttled(clock, account)
    if account.held < account.usable_sessions and account.pool_is_full:
        return QuotaWait(Limit.CONNECTIONS, None, shared=True)
    return None


def _throttled(clock: Clock, account: QuotaUsage) -> QuotaWait:
    return QuotaWait(Limit.PENALTY, None if account.grows_s is None else _utc(clock, account.grows_s))


def of_all(
    db: Database, clock: Clock, accounts: Sequence[QuotaUsage], rates_bytes_per_s: Mapping[str, float]
) -> dict[str, AccountWaits]:
    """Return what each account and its sessions wait for, by its name.

    Parameters
    ----------
    rates_bytes_per_s
        The present rate of each account.
    """
    rows: dict[str, list[Row]] = {}
    for row in db.rows(_SQL.sessions):
        rows.setdefault(row["account"], []).append(row)
    return {
        each.name: _waits(db, clock, each, rows.get(each.name, []), rates_bytes_per_s.get(each.name, 0.0))
        for each in accounts
    }


def of_product(
    db: Database,
    clock: Clock,
    product: Product,
    accounts: Iterable[QuotaUsage],
    of_accounts: Mapping[str, AccountWaits],
) -> QuotaWait | None:
    """Return the quota that a product waits for: the one that ends first.

    None if it waits for something else, a session works on it, or an account can take it at once.
    """
    if product.state not in _WAITS_FOR_QUOTA:
        return None
    working = {(row["account"], row["slot"]) for row in db.rows(_SQL.sessions_of_product, product=product.id)}
    waits = [
        each.wait if each.mark is SessionMark.WAITING else None
        for name, waiting in of_accounts.items()
        for each in waiting.sessions
        if (name, each.slot) in working
    ]
    if not waits:
        denied = {row["account"] for row in db.rows(_SQL.denied, product=product.id)}
        waits = [
            _for_a_session(each, of_accounts[each.name].wait)
            for each in accounts
            if each.group == product.account_group and each.name not in denied and not is_unusable(each, clock)
        ]
    return first(waits)


def first(waits: Sequence[QuotaWait | None]) -> QuotaWait | None:
    """Return the wait that ends first; None if there are none, or one place does not wait."""
    known = [wait for wait in waits if wait is not None]
    if not known or len(known) < len(waits):
        return None
    return min(known, key=lambda wait: float("inf") if wait.until_at is None else wait.until_at)


def _for_a_session(account: QuotaUsage, wait: QuotaWait | None) -> QuotaWait | None:
    if wait is None and account.held >= account.sessions:
        return QuotaWait(Limit.CONNECTIONS, None, account.pool_is_full)
    return wait


@frozen
class _SessionWaits:
    """What the sessions of one account wait for: free ones, busy ones, those between requests, and withheld ones."""

    free: QuotaWait | None
    busy: QuotaWait | None
    requests: QuotaWait | None
    withheld: QuotaWait


def _waits(
    db: Database, clock: Clock, account: QuotaUsage, rows: Sequence[Row], rate_bytes_per_s: float
) -> AccountWaits:
    requests = None
    if any(row["waits_for"] for row in rows):
        requests = QuotaWait(Limit.REQUESTS, _requests_free_at(db, clock, account), account.shares_requests)
    waits = _SessionWaits(
        free=_of_account(db, clock, account),
        busy=_held_back(clock, account, rate_bytes_per_s),
        requests=requests,
        withheld=_throttled(clock, account),
    )
    spare = account.usable_sessions - sum(row["busy"] for row in rows)
    statuses = []
    for row in rows:
        spare -= not row["busy"]
        statuses.append(SessionStatus(row["slot"], *_session(clock, row, waits, withheld=spare < 0)))
    return AccountWaits(waits.free, tuple(statuses))


def _session(clock: Clock, row: Row, waits: _SessionWaits, *, withheld: bool) -> tuple[SessionMark, QuotaWait | None]:
    """Return the mark of a session and the quota that it waits for."""
    if row["busy"]:
        return (SessionMark.WAITING, waits.requests) if row["waits_for"] else (SessionMark.BUSY, waits.busy)
    if withheld:
        return SessionMark.WITHHELD, waits.withheld
    if waits.free is not None:
        return SessionMark.WAITING, waits.free
    if row["rest_until_s"] > clock.boot_s():
        return SessionMark.RESTING, QuotaWait(Limit.CONNECTIONS, _utc(clock, row["rest_until_s"]))
    return SessionMark.FREE, None


def _held_back(clock: Clock, account: QuotaUsage, rate_bytes_per_s: float) -> QuotaWait | None:
    """Return what limits the rate of the connections of an account."""
    if account.throttle_reason is ThrottleReason.PENALISED:
        return _throttled(clock, account)
    ceiling = account.bandwidth_bytes_per_s
    if ceiling and account.held and rate_bytes_per_s >= _NEARLY * ceiling * account.held:
        return QuotaWait(Limit.BANDWIDTH, None)
    return None


def _requests_free_at(db: Database, clock: Clock, account: QuotaUsage) -> float | None:
    """Return when the next request may be claimed; None: not before claims that are in flight are used or given up."""
    missing = 1 - account.requests_left
    if missing < 1:
        return clock.utc_s()
    for in_s, requests in sent_requests.returns(db, clock, account.name).get(account.name, ()):
        missing -= requests
        if missing < 1:
            return clock.utc_s() + in_s
    return None


def _utc(clock: Clock, boot_s: float) -> float:
    return clock.utc_s() + boot_s - clock.boot_s()
