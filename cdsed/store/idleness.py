"""Why nothing moves although there is work, and whether a person is needed for it."""

from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.model.product_state import TERMINAL, State
from cdsed.model.quota import Limit, QuotaWait
from cdsed.model.status_report import AccountStatus, DaemonState, DaemonStatus, OpenBreaker, SessionMark, Tally
from cdsed.store import breakers, drains, forecast, pauses, quota_waits
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("idleness")


@dataclass(frozen=True, slots=True)
class Idleness:
    """Why nothing moves; without a reason something does.

    Attributes
    ----------
    reason
        One sentence.
    quota_wait
        The quota that ends the waiting, if nothing else does.
    needs_account
        Whether a person has to mend an account.
    """

    reason: str | None = None
    quota_wait: QuotaWait | None = None
    needs_account: bool = False


def why(
    db: Database,
    clock: Clock,
    daemon: DaemonStatus,
    tallies: dict[State, Tally],
    accounts: tuple[AccountStatus, ...],
    open_breakers: tuple[OpenBreaker, ...],
) -> Idleness:
    """Return why nothing moves."""
    to_go = {state: tally.products for state, tally in tallies.items() if state not in TERMINAL}
    total = sum(to_go.values())
    if daemon.state is not DaemonState.RUNNING:
        return Idleness(f"the daemon does not run ({daemon.state}); {total} products wait for it" if total else None)
    inbox = [each.reason for each in open_breakers if each.name == breakers.INBOX]
    passed_by = {breakers.INBOX}  # products continue without it; without the catalogue, those whose S3 path is known
    if to_go.get(State.READY) or to_go.get(State.DOWNLOADING):
        passed_by |= {breakers.CATALOGUE, breakers.ZIPPER}
    open_breakers = tuple(each for each in open_breakers if each.name not in passed_by)
    if not total:
        return Idleness(inbox[0] if inbox else "every product asked for is finished; drop a listing into the inbox")
    if any(SessionMark.BUSY in account.sessions for account in accounts) or to_go.get(State.VERIFYING):
        return Idleness()
    if by_person := _by_person(db, clock, to_go):
        return Idleness(by_person)
    needed = _needed(db, accounts)
    by_accounts = _by_accounts(clock, needed)
    if open_breakers:
        nearest = min(open_breakers, key=lambda item: item.probe_in_s)
        reason = f"{nearest.title} backs off, next try in {nearest.probe_in_s:.0f} s: {nearest.reason}"
        return Idleness(reason, needs_account=by_accounts.needs_account)
    if by_accounts.reason:
        return by_accounts
    if to_go.get(State.RETRY_WAIT) == total:
        due = db.row(_SQL.due) or {"products": 0, "due_s": 0.0}
        in_s = max(0.0, due["due_s"] - clock.boot_s())
        return Idleness(f"all {total} products wait; the next is tried again in {in_s:.0f} s")
    return Idleness(_deserted(db))


def _by_person(db: Database, clock: Clock, to_go: dict[State, int]) -> str | None:
    """Return which pauses or drains hold all work that could be transferred; None if they do not."""
    paused = pauses.active(db, clock)
    transfers = to_go.get(State.READY) or to_go.get(State.DOWNLOADING)
    if any(pause.kind == "all" for pause in paused) or (paused and transfers and not pauses.leaves_work(db)):
        return "; ".join(pauses.sentence(pause) for pause in paused)
    drained = next((drain for drain in drains.active(db) if not drain.account), None)
    if drained and to_go.get(State.READY) and not to_go.get(State.DOWNLOADING):
        return drains.sentence(drained)
    return None


def _needed(db: Database, accounts: tuple[AccountStatus, ...]) -> tuple[AccountStatus, ...]:
    """Return the accounts of the groups that have work to do."""
    groups = forecast.backlog_shares(db)
    return tuple(account for account in accounts if account.group in groups) or accounts


def _by_accounts(clock: Clock, accounts: tuple[AccountStatus, ...]) -> Idleness:
    """Return why none of these accounts can be used; without a reason, one can."""
    if not accounts:
        return Idleness("the accounts file has no account")
    if any(account.error is None and account.wait is None for account in accounts):
        return Idleness()
    waits = [account.wait for account in accounts if account.wait and account.error is None]
    if not waits:
        broken = "; ".join(f"{account.name}: {account.error}" for account in accounts)
        return Idleness(f"no account can be used: {broken}", needs_account=True)
    now = clock.utc_s()
    said = "; ".join(
        f"{each.name}: {each.error or (each.wait and f'{each.wait.reason}, {each.wait.end(now)}')}" for each in accounts
    )
    # Volume frees in days: until then the accounts that are refused are the only ones that could do the work.
    lasting = all(wait.limit is Limit.VOLUME for wait in waits) and len(waits) < len(accounts)
    return Idleness(f"the work waits for a quota: {said}", quota_waits.first(waits), needs_account=lasting)


def _deserted(db: Database) -> str | None:
    groups = ", ".join(row["account_group"] for row in db.rows(_SQL.deserted_groups))
    message = f"the accounts file has no account of group {groups}, and products wait for one: add it, then reload"
    return message if groups else None
