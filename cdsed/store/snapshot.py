"""The whole status, for `cdsed status` and the daemon's status line; reading it takes no lock."""

from collections.abc import Mapping

from cdsed.clock import Clock
from cdsed.model.product_state import TERMINAL, Product, State
from cdsed.model.quota import QuotaWait
from cdsed.model.status_report import (
    AccountStatus,
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    Event,
    ListingStatus,
    ObjectProgress,
    OpenBreaker,
    PoolStatus,
    Rates,
    StatusReport,
    Tally,
)
from cdsed.store import crash_loops, forecast, idleness, notices, processes, quota_usage, quota_waits
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, QuotaUsage
from cdsed.store.quota_waits import SessionStatus

_SQL = Queries("snapshot")

_LISTINGS_SHOWN = 200
_ERRORS_SHOWN = 8
_ERRORS_SINCE_S = 24 * 3600.0


def report(db: Database, clock: Clock, *, running: bool) -> StatusReport:
    """Return the whole status.

    Parameters
    ----------
    running
        Whether the daemon's lock is held, that is, whether the daemon runs.
    """
    with db.read():
        tallies = {State(row["state"]): Tally(row["products"], row["size_bytes"]) for row in db.rows(_SQL.tallies)}
        daemon = _daemon(db, running=running)
        usages = quota_usage.of_all(db, clock)
        sessions = quota_waits.of_sessions(db, clock, usages, forecast.rates(db, clock))
        accounts = _accounts(db, clock, usages, sessions)
        rates = _rates(db, clock) if running or not processes.booted_again(db, clock) else Rates()
        to_go_bytes = _to_go_bytes(tallies, db.value(_SQL.under_way_bytes))
        open_breakers = tuple(
            OpenBreaker(row["name"], row["reason"], max(0.0, row["until_s"] - clock.boot_s()))
            for row in db.rows(_SQL.open_breakers, now_s=clock.boot_s())
        )
        # The mean of the last minute holds while the accounts wait for the next one.
        moving = any(each.held or (each.has_keys and each.requests_left < 1) for each in usages)
        idle = idleness.why(db, clock, daemon, tallies, accounts, open_breakers)
        backlog_eta = forecast.backlog_eta(db, clock, usages, to_go_bytes, rates.over_1_min if moving else 0.0)
        return StatusReport(
            at=clock.utc_s(),
            daemon=daemon,
            products=tallies,
            listings=_listings(db),
            accounts=accounts,
            rates=rates,
            to_go_bytes=to_go_bytes,
            eta_s=backlog_eta.in_s if backlog_eta else None,
            eta_by_volume=backlog_eta.by_volume if backlog_eta else False,
            open_breakers=open_breakers,
            errors=tuple(_errors(db, clock)),
            why_idle=idle.reason,
            notices=tuple(notices.active(db, clock, running=running)),
            crashing=crash_loops.active(db, clock, running=running),
            quota_wait=idle.quota_wait,
            needs_account=idle.needs_account,
            pools=_pools(db, clock, usages),
        )


def one_line(db: Database) -> str:
    """Return what the daemon does, in a few words."""
    counts = {State(row["state"]): row["products"] for row in db.rows(_SQL.tallies)}
    open_count = sum(count for state, count in counts.items() if state not in TERMINAL)
    if not open_count:
        return "idle: nothing to do"
    busy = counts.get(State.DOWNLOADING, 0)
    waiting = counts.get(State.RETRY_WAIT, 0)
    return f"{open_count} products to go: {busy} downloading, {waiting} waiting"


def groups(db: Database) -> list[str]:
    """Return the account groups of the accounts file."""
    return [row["account_group"] for row in db.rows(_SQL.groups)]


def movement(db: Database) -> int:
    """Return a number that grows whenever a product changes its state or bytes arrive."""
    return int(db.value(_SQL.movement))


def history(db: Database, product: Product) -> list[Event]:
    """Return every change of state of a product, oldest first."""
    return [
        Event(
            row["at"],
            State(row["origin"]) if row["origin"] else None,
            State(row["target"]),
            row["attempts"],
            row["cause"],
        )
        for row in db.rows(_SQL.events, product=product.id)
    ]


def progress(db: Database, product: Product) -> ObjectProgress:
    """Return how much of a product under way is on disk."""
    row = db.row(_SQL.progress, product=product.id)
    assert row is not None, "a sum always has a row"
    return ObjectProgress(**row)


def next_try_in_s(db: Database, clock: Clock, product: Product) -> float | None:
    """Return in how many seconds a waiting product is tried again; None when it does not wait."""
    return _in_s(db.value(_SQL.due_of, product=product.id), clock)


def quota_wait(db: Database, clock: Clock, product: Product) -> QuotaWait | None:
    """Return the quota that a product waits for; None if it does not wait for one."""
    usages = quota_usage.of_all(db, clock)
    sessions = quota_waits.of_sessions(db, clock, usages, forecast.rates(db, clock))
    return quota_waits.of_product(db, clock, product, usages, sessions)


def listing(db: Database, number: int) -> ListingStatus:
    """Return the progress of one listing."""
    row = db.row(_SQL.listing, id=number)
    assert row is not None, f"listing {number} vanished from the database"
    return _listing(db, row)


def _daemon(db: Database, *, running: bool) -> DaemonStatus:
    row = db.row(_SQL.daemon)
    if row is None:
        return DaemonStatus(DaemonState.RUNNING if running else DaemonState.NEVER)
    orderly = row["stopped_at"] is not None
    state = DaemonState.RUNNING if running else DaemonState.STOPPED if orderly else DaemonState.DIED
    return DaemonStatus(state, row["pid"], row["started_at"], row["stopped_at"], row["version"])


def _listings(db: Database) -> tuple[ListingStatus, ...]:
    rows = db.rows(_SQL.listings, most=_LISTINGS_SHOWN) + db.rows(_SQL.latest_listings, most=5)
    return tuple(_listing(db, row) for row in rows)


def _listing(db: Database, row: Row) -> ListingStatus:
    by_state = {State(tally["state"]): tally["products"] for tally in db.rows(_SQL.listing_tallies, id=row["id"])}
    return ListingStatus(
        id=row["id"],
        name=row["name"],
        group=row["account_group"],
        priority=row["priority"],
        state=row["state"],
        taken_at=row["taken_at"],
        lines=row["lines"],
        by_state=by_state,
    )


def _accounts(
    db: Database, clock: Clock, usages: list[QuotaUsage], sessions: Mapping[str, list[SessionStatus]]
) -> tuple[AccountStatus, ...]:
    return tuple(
        AccountStatus(
            name=each.name,
            group=each.group,
            sessions=tuple(session.mark for session in sessions[each.name]),
            error=_account_error(each, clock),
            probe_in_s=_in_s(each.breaker_until_s, clock),
            volume_used_bytes=each.used_bytes,
            volume_bytes=each.volume_bytes,
            volume_left_bytes=max(0, each.volume_bytes - each.used_bytes),
            requests_last_minute=each.requests,
            key_expires_at=each.key_expires_at,
            sessions_usable=each.usable_sessions,
            throttle_reason=each.throttle_reason,
            grows_in_s=_in_s(each.grows_s, clock),
            quota_free_at=forecast.quota_free_at(db, clock, each),
            error_code=each.breaker_code,
            wait=quota_waits.of_account(db, clock, each),
            session_waits=tuple(session.wait for session in sessions[each.name]),
            shares=each.shares,
            requests_per_minute=each.requests_per_minute,
            bandwidth_bytes_per_s=each.bandwidth_bytes_per_s,
        )
        for each in usages
    )


def _pools(db: Database, clock: Clock, usages: list[QuotaUsage]) -> tuple[PoolStatus, ...]:
    """Return what the groups share; each of its accounts knows the usage of the whole group."""
    members = {each.group: each for each in usages if each.shares}
    return tuple(
        PoolStatus(
            group=group,
            sessions=each.pool_sessions,
            sessions_held=None if each.pool_sessions is None else each.held_in_pool,
            requests_per_minute=each.requests_per_minute if each.shares_requests else None,
            requests_last_minute=each.requests if each.shares_requests else None,
            volume_bytes=each.volume_bytes if each.shares_volume else None,
            volume_used_bytes=each.used_bytes if each.shares_volume else None,
            quota_free_at=forecast.quota_free_at(db, clock, each) if each.shares_volume else None,
        )
        for group, each in members.items()
    )


def _in_s(then_s: float | None, clock: Clock) -> float | None:
    return None if then_s is None else max(0.0, then_s - clock.boot_s())


def _account_error(account: QuotaUsage, clock: Clock) -> str | None:
    """Return why an account may not be used now; None when it may, or waits for a quota."""
    if not account.has_keys:
        return account.breaker_reason or "it has no S3 keys yet: neither in the accounts file nor temporary ones"
    if account.key_has_expired(clock):
        return "its S3 key has expired; make a new one and put it into the accounts file"
    if account.breaker_reason is not None and quota_waits.is_unusable(account, clock):
        return account.breaker_reason.removeprefix(f"account {account.name}: ")
    return None


def _rates(db: Database, clock: Clock) -> Rates:
    """Return mean rates; the present step counts with the seconds that it has so far."""
    now_s, step = clock.boot_s(), quota_usage.step_of(clock)
    begun = db.value(_SQL.first_step, step=step, steps=60 * MINUTE_STEPS)
    if begun is None:
        return Rates()

    def over(minutes: int) -> float:
        size_bytes = db.value(_SQL.traffic, step=step, steps=minutes * MINUTE_STEPS)
        return float(size_bytes / max(1.0, min(now_s % STEP_S + 60 * minutes, now_s - begun * STEP_S)))

    return Rates(over(1), over(10), over(60))


def _to_go_bytes(tallies: dict[State, Tally], done_bytes: int) -> float | None:
    """Estimate the bytes that are still to download; products of unknown size count as the mean of the others."""
    to_go = [tally for state, tally in tallies.items() if state not in TERMINAL]
    known = [tally for tally in tallies.values() if tally.size_bytes]
    if to_go and not known:
        return None
    sized = sum(tally.size_bytes for tally in to_go)
    mean = sum(tally.size_bytes for tally in known) / max(1, sum(tally.products for tally in known))
    unsized = sum(tally.products for tally in to_go if not tally.size_bytes)
    return max(0.0, sized + unsized * mean - done_bytes)


def _errors(db: Database, clock: Clock) -> list[ErrorGroup]:
    errors = []
    for row in db.rows(_SQL.errors, since=clock.utc_s() - _ERRORS_SINCE_S, most=_ERRORS_SHOWN):
        example = db.row(_SQL.example, id=row["example"]) or {"safename": "", "cause": ""}
        errors.append(
            ErrorGroup(
                row["code"],
                State(row["state"]),
                row["products"],
                example["safename"],
                example["cause"] or "",
                next_in_s=_in_s(row["due_s"], clock),
            )
        )
    return errors
