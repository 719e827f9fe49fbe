"""Why nothing moves although there is work, and whether a person is needed for it."""

from collections.abc import Iterable

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.machine_status import MachineStatus
from cdsed.model.product_state import TERMINAL, State
from cdsed.model.quota import Limit, QuotaWait
from cdsed.model.status_report import AccountStatus, DaemonState, DaemonStatus, OpenBreaker, SessionMark, Tally
from cdsed.store import breakers, drains, machines, quota_waits
from cdsed.store.backlog import ListingLoad
from cdsed.store.database import Database
from cdsed.store.paused import Paused
from cdsed.store.queries import Queries

_SQL = Queries("idleness")

_MOMENT_S = 10.0


@frozen
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


@frozen
class Situation:
    """What decides whether anything moves; `listings` are those with unfinished products."""

    daemon: DaemonStatus
    tallies: dict[State, Tally]
    accounts: tuple[AccountStatus, ...]
    open_breakers: tuple[OpenBreaker, ...]
    listings: tuple[ListingLoad, ...]
    pauses: Paused
    machines: tuple[MachineStatus, ...] = ()

    @property
    def to_go(self) -> dict[State, int]:
        """How many products are in each unfinished state."""
        return {state: tally.products for state, tally in self.tallies.items() if state not in TERMINAL}


def why(db: Database, clock: Clock, now: Situation) -> Idleness:
    """Return why nothing moves."""
    to_go, total = now.to_go, sum(now.to_go.values())
    if now.daemon.state is not DaemonState.RUNNING:
        return Idleness(
            f"the daemon does not run ({now.daemon.state}); {total} products wait for it" if total else None
        )
    if not total:
        inbox = [each.reason for each in now.open_breakers if each.name == breakers.INBOX]
        return Idleness(inbox[0] if inbox else "every product asked for is finished; drop a listing into the inbox")
    if any(SessionMark.BUSY in account.sessions for account in now.accounts) or to_go.get(State.VERIFYING):
        return Idleness()
    if held := now.pauses.reason(now.listings, now.accounts) or machines.why_unusable(now.machines):
        return Idleness(held)
    drained = next((drain for drain in drains.active(db) if not drain.account), None)
    if drained and to_go.get(State.READY) and not to_go.get(State.DOWNLOADING):
        return Idleness(drains.sentence(drained))
    by_accounts = _by_accounts(clock, _needed(now), now.pauses)
    if blocking := _blocking(now):
        nearest = min(blocking, key=lambda item: item.probe_in_s)
        reason = f"{nearest.title} backs off, next try in {nearest.probe_in_s:.0f} s: {nearest.reason}"
        return Idleness(reason, needs_account=by_accounts.needs_account)
    if not now.accounts:
        return Idleness("the accounts file has no account")
    return by_accounts if by_accounts.reason else Idleness(_by_products(db, clock, now))


def _blocking(now: Situation) -> list[OpenBreaker]:
    """Return the open breakers that products cannot pass by."""
    passed_by = {breakers.INBOX}  # products continue without it; without the catalogue, those whose S3 path is known
    if now.to_go.get(State.READY) or now.to_go.get(State.DOWNLOADING):
        passed_by |= {breakers.CATALOGUE, breakers.ZIPPER}
    return [each for each in now.open_breakers if each.name not in passed_by]


def _by_products(db: Database, clock: Clock, now: Situation) -> str | None:
    """Return what the products themselves wait for; None if they move within a moment."""
    waiting = now.to_go.get(State.RETRY_WAIT, 0)
    if waiting == sum(now.to_go.values()):
        due = db.row(_SQL.due) or {"products": 0, "due_s": 0.0}
        in_s = max(0.0, due["due_s"] - clock.boot_s())
        return f"all {waiting} products wait; the next is tried again in {in_s:.0f} s"
    if deserted := _deserted(db):
        return deserted
    paused = now.pauses.reason([each for each in now.listings if now.pauses.of_listing(each)], now.accounts)
    if waiting and paused:
        return f"{waiting} products wait for their next try; {paused}"
    return _resting(clock, now.accounts)


def _needed(now: Situation) -> tuple[AccountStatus, ...]:
    """Return the accounts of the groups that have work to do."""
    groups = {each.group for each in now.listings if not now.pauses.of_listing(each)}
    return tuple(account for account in now.accounts if account.group in groups) or now.accounts


def _by_accounts(clock: Clock, accounts: tuple[AccountStatus, ...], pauses: Paused) -> Idleness:
    """Return why none of these accounts can be used; without a reason, one can."""
    accounts = tuple(account for account in accounts if not pauses.account(account.name))
    if not accounts or any(account.error is None and account.wait is None for account in accounts):
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
    lacking = f"the accounts file has no account of group {groups}, and products wait for one"
    message = f"{lacking}: add it, then restart the daemon"
    return message if groups else None


def _resting(clock: Clock, accounts: Iterable[AccountStatus]) -> str | None:
    """Return for how long all sessions rest, if that is not just a moment."""
    marks = [(mark, wait) for each in accounts for mark, wait in zip(each.sessions, each.session_waits, strict=True)]
    if any(mark is SessionMark.FREE for mark, _ in marks):
        return None
    ends = [
        wait.until_at - clock.utc_s() for mark, wait in marks if mark is SessionMark.RESTING and wait and wait.until_at
    ]
    if not ends or min(ends) < _MOMENT_S:
        return None
    return f"every session rests after its use; the first continues in {min(ends):.0f} s"
