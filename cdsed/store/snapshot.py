"""The whole status, for `cdsed status` and the daemon's status line; reading it takes no lock."""

from collections.abc import Mapping
from dataclasses import replace

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
    StatusReport,
    Tally,
)
from cdsed.store import (
    backlog,
    bandwidth_limits,
    breakers,
    crash_loops,
    drains,
    eta,
    forecast,
    free_space,
    idleness,
    machines,
    notices,
    pauses,
    processes,
    quota_usage,
    quota_waits,
    rates,
    transfers,
)
from cdsed.store.database import Database, Row
from cdsed.store.eta import Etas
from cdsed.store.idleness import Situation
from cdsed.store.paused import Paused
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import QuotaUsage
from cdsed.store.quota_waits import AccountWaits
from cdsed.store.rates import RecentTraffic

_SQL = Queries("snapshot")

_LISTINGS_SHOWN = 200
_ERRORS_SHOWN = 8
_PROBE_LONGEST_S = 60.0
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
        accounts = _accounts(db, clock, usages, quota_waits.of_all(db, clock, usages, forecast.rates(db, clock)))
        known = running or not processes.booted_again(db, clock)
        recent = rates.recent(db, clock) if known else RecentTraffic()
        to_go, paused = backlog.read(db, clock), Paused(db, clock)
        stalled_for_s = transfers.stalled_for_s(db, clock, recent) if running else None
        etas = eta.of_backlog(db, clock, usages, to_go, paused) if running and stalled_for_s is None else Etas()
        open_breakers = tuple(
            OpenBreaker(row["name"], row["reason"], max(0.0, row["until_s"] - clock.boot_s()))
            for row in db.rows(_SQL.open_breakers, now_s=clock.boot_s(), probe_s=_PROBE_LONGEST_S)
        )
        of_machines = machines.of_all(db, clock, running=running)
        now = Situation(daemon, tallies, accounts, open_breakers, to_go.listings, paused, of_machines)
        idle = idleness.why(db, clock, now)
        return StatusReport(
            at=clock.utc_s(),
            daemon=daemon,
            products=tallies,
            listings=_listings(db, etas),
            accounts=accounts,
            rates=recent.rates,
            to_go_bytes=to_go.to_go_bytes,
            open_breakers=open_breakers,
            errors=tuple(_errors(db, clock)),
            why_idle=idle.reason,
            notices=tuple(notices.active(db, clock, running=running)),
            crashing=crash_loops.active(db, clock, running=running),
            quota_wait=idle.quota_wait,
            needs_account=idle.needs_account,
            pools=_pools(db, clock, usages),
            eta=etas.of_all,
            transfers=transfers.under_way(db, clock) if running else (),
            rate_steps=recent.steps,
            stalled_for_s=stalled_for_s,
            stalled_because=None if stalled_for_s is None else breakers.last_reason(db, breakers.SERVICE),
            last_published=transfers.last_published(db),
            oldest_waiting=transfers.oldest_waiting(db),
            disks=free_space.of_all(db, clock, running=running),
            pauses=pauses.active(db, clock),
            drains=drains.active(db),
            bandwidth_limits=tuple(bandwidth_limits.of_all(db)) if running else (),
            machines=of_machines,
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
    waits = quota_waits.of_all(db, clock, usages, forecast.rates(db, clock))
    return quota_waits.of_product(db, clock, product, usages, waits)


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


def _listings(db: Database, etas: Etas) -> tuple[ListingStatus, ...]:
    rows = db.rows(_SQL.listings, most=_LISTINGS_SHOWN) + db.rows(_SQL.latest_listings, most=5)
    return tuple(replace(_listing(db, row), eta=etas.of_listings.get(row["id"])) for row in rows)


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
    db: Database, clock: Clock, usages: list[QuotaUsage], waits: Mapping[str, AccountWaits]
) -> tuple[AccountStatus, ...]:
    return tuple(
        AccountStatus(
            name=each.name,
            group=each.group,
            sessions=tuple(session.mark for session in waits[each.name].sessions),
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
            wait=waits[each.name].wait,
            session_waits=tuple(session.wait for session in waits[each.name].sessions),
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
