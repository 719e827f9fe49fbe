"""The whole status, for `cdsed status` and the daemon's status line; reading it takes no lock."""

from cdsed.clock import Clock
from cdsed.model.product_state import TERMINAL, Product, State
from cdsed.model.status_report import (
    AccountStatus,
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    Event,
    ListingStatus,
    ObjectProgress,
    OpenBreaker,
    Rates,
    SessionMark,
    StatusReport,
    Tally,
)
from cdsed.store import breakers, crash_loops, forecast, notices, processes, quota_usage
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, QuotaUsage

_SQL = Queries("snapshot")

_LISTINGS_SHOWN = 20
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
        accounts = _accounts(db, clock, usages)
        rates = _rates(db, clock) if running or not processes.booted_again(db, clock) else Rates()
        to_go_bytes = _to_go_bytes(tallies, db.value(_SQL.under_way_bytes))
        open_breakers = tuple(
            OpenBreaker(row["name"], row["reason"], max(0.0, row["until_s"] - clock.boot_s()))
            for row in db.rows(_SQL.open_breakers, now_s=clock.boot_s())
        )
        moving = any(account.held for account in usages)
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
            why_idle=_why_idle(db, clock, daemon, tallies, accounts, open_breakers),
            notices=tuple(notices.active(db, clock, running=running)),
            crashing=crash_loops.active(db, clock, running=running),
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


def _accounts(db: Database, clock: Clock, usages: list[QuotaUsage]) -> tuple[AccountStatus, ...]:
    marks: dict[str, list[SessionMark]] = {}
    for row in db.rows(_SQL.sessions, now_s=clock.boot_s()):
        mark = SessionMark.BUSY if row["busy"] else SessionMark.RESTING if row["resting"] else SessionMark.FREE
        marks.setdefault(row["account"], []).append(mark)
    return tuple(
        AccountStatus(
            name=each.name,
            group=each.group,
            sessions=_withheld(marks.get(each.name, []), each.usable_sessions),
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
        )
        for each in usages
    )


def _withheld(marks: list[SessionMark], usable: int) -> tuple[SessionMark, ...]:
    """Mark the free sessions beyond the usable number as withheld."""
    spare = usable - marks.count(SessionMark.BUSY)
    shown = []
    for mark in marks:
        if mark is not SessionMark.BUSY:
            spare -= 1
        shown.append(mark if mark is SessionMark.BUSY or spare >= 0 else SessionMark.WITHHELD)
    return tuple(shown)


def _in_s(then_s: float | None, clock: Clock) -> float | None:
    return None if then_s is None else max(0.0, then_s - clock.boot_s())


def _account_error(account: QuotaUsage, clock: Clock) -> str | None:
    """Return why an account may not be used now; None when it may."""
    if not account.has_keys:
        return account.breaker_reason or "it has no S3 keys yet: neither in the accounts file nor temporary ones"
    if account.key_has_expired(clock):
        return "its S3 key has expired; make a new one and put it into the accounts file"
    if account.breaker_reason is not None:
        return account.breaker_reason.removeprefix(f"account {account.name}: ")
    if account.used_bytes >= account.ceiling_bytes:
        return "its 30-day volume is spent"
    if account.requests >= account.requests_per_minute:
        return "its requests of this minute are used up"
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


def _why_idle(
    db: Database,
    clock: Clock,
    daemon: DaemonStatus,
    tallies: dict[State, Tally],
    accounts: tuple[AccountStatus, ...],
    open_breakers: tuple[OpenBreaker, ...],
) -> str | None:
    """Return in one sentence why nothing moves; None when something does."""
    to_go = {state: tally.products for state, tally in tallies.items() if state not in TERMINAL}
    total = sum(to_go.values())
    if daemon.state is not DaemonState.RUNNING:
        return f"the daemon does not run ({daemon.state}); {total} products wait for it" if total else None
    inbox = [each.reason for each in open_breakers if each.name == breakers.INBOX]
    passed_by = {breakers.INBOX}  # products continue without it; without the catalogue, those whose S3 path is known
    if to_go.get(State.READY) or to_go.get(State.DOWNLOADING):
        passed_by |= {breakers.CATALOGUE, breakers.ZIPPER}
    open_breakers = tuple(each for each in open_breakers if each.name not in passed_by)
    if not total:
        return inbox[0] if inbox else "every product asked for is finished; drop a listing into the inbox"
    if any(SessionMark.BUSY in account.sessions for account in accounts) or to_go.get(State.VERIFYING):
        return None
    if open_breakers:
        first = min(open_breakers, key=lambda item: item.probe_in_s)
        return f"{first.title} backs off, next try in {first.probe_in_s:.0f} s: {first.reason}"
    usable = [account for account in accounts if account.error is None]
    if not accounts:
        return "there is no account in the accounts file"
    if not usable:
        return "no account can be used: " + "; ".join(f"{account.name}: {account.error}" for account in accounts)
    if to_go.get(State.RETRY_WAIT) == total:
        due = db.row(_SQL.due) or {"products": 0, "due_s": 0.0}
        return f"all {total} products wait; the next is tried again in {max(0.0, due['due_s'] - clock.boot_s()):.0f} s"
    return _deserted(db)


def _deserted(db: Database) -> str | None:
    groups = ", ".join(row["account_group"] for row in db.rows(_SQL.deserted_groups))
    message = f"the accounts file has no account of group {groups}, and products wait for one: add it, then reload"
    return message if groups else None
