"""Sessions: which exist, which worker leases them, and the traffic through them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.errors import LeaseLost
from cdsed.model.objects import Lease
from cdsed.model.quota import VOLUME_WINDOW_H, Limit
from cdsed.store import quota_usage
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, PROBE_S, QuotaUsage, step_of

_SQL = Queries("leases")

_AFTER_REST_S = 0.001  # a wait may end a little early


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """The limits of an account, and our own ceiling per connection; without secrets.

    ``login`` is a digest of the CDSE login: connections and volume belong to the login, even if the name changes.
    ``shares`` names the quotas that are those of its whole group; ``pool_sessions`` is how many connections its group
    shares, if it shares them.
    """

    name: str
    group: str
    sessions: int
    requests_per_minute: int
    volume_bytes: int
    key_expires_at: float | None
    has_keys: bool
    bandwidth_bytes_per_s: int | None = None
    login: str = ""
    shares: frozenset[Limit] = frozenset()
    pool_sessions: int | None = None


@dataclass(frozen=True, slots=True)
class FreeSession:
    """One session of an account; ``login`` is the present login of the account, as in `AccountLimits`."""

    account: str
    slot: int
    login: str = ""


def sync_accounts(db: Database, accounts: Iterable[AccountLimits]) -> None:
    """Update accounts and sessions to the accounts file; a surplus session that is held ends with its lease."""
    with db.write():
        db.rows(_SQL.unlist_accounts)
        for account in accounts:
            db.rows(
                _SQL.add_account,
                name=account.name,
                account_group=account.group,
                requests_per_minute=account.requests_per_minute,
                volume_bytes=account.volume_bytes,
                key_expires_at=account.key_expires_at,
                has_keys=account.has_keys,
                bandwidth_bytes_per_s=account.bandwidth_bytes_per_s,
                login=account.login,
                shares_volume=Limit.VOLUME in account.shares,
                shares_requests=Limit.REQUESTS in account.shares,
                pool_sessions=account.pool_sessions,
            )
            for slot in range(1, account.sessions + 1):
                db.rows(_SQL.add_session, account=account.name, slot=slot)
            db.rows(_SQL.disable_sessions, account=account.name, sessions=account.sessions)
        db.rows(_SQL.forget_last_denials)


def set_has_keys(db: Database, account: str, *, has_keys: bool) -> None:
    """Note that an account has got, or lost, working S3 keys; without them none of its sessions is leased."""
    with db.write():
        db.rows(_SQL.set_has_keys, account=account, has_keys=has_keys)


def has_keys(db: Database, account: str) -> bool:
    """Tell whether an account has working S3 keys, so that its sessions may be leased."""
    return bool(db.value(_SQL.has_keys, account=account))


def close_breakers(db: Database) -> None:
    """Close the breakers of all accounts and the catalogue, and lift all throttles: keys and address may be new."""
    with db.write():
        db.rows(_SQL.close_breakers)
        db.rows(_SQL.forget_throttles)


def free_sessions(db: Database, clock: Clock, groups: Iterable[str]) -> list[FreeSession]:
    """Return the sessions of `groups` that could be leased now, best first.

    An account gets sessions in proportion to the volume that it has left. Accounts with equal volumes share the load
    evenly. Accounts with unequal volumes are spent at the same time, so that all connections can be used until then.
    """
    wanted = set(groups)
    return _free(db, clock, [each for each in quota_usage.of_all(db, clock) if each.group in wanted])


def _free(db: Database, clock: Clock, usages: Iterable[QuotaUsage]) -> list[FreeSession]:
    service = db.row(_SQL.service_breaker, hangs_since_s=clock.boot_s() - PROBE_S)
    if service is not None and service["open"] and (service["until_s"] > clock.boot_s() or service["probes"]):
        return []
    able = {each.name: each for each in usages if each.may_lease(clock)}
    rows = db.rows(_SQL.free_sessions, accounts=json.dumps(list(able)), now_s=clock.boot_s()) if able else []
    free = [FreeSession(row["account"], row["slot"], row["login"]) for row in rows]
    load = {name: (each.held + 1) / each.left_bytes for name, each in able.items()}
    return sorted(free, key=lambda session: (load[session.account], session.slot))


def more_in_s(db: Database, clock: Clock) -> float:
    """Return the seconds until more may be leased without any signal: a session has rested, or requests become free."""
    now_s = clock.boot_s()
    rest_ends_s = db.value(_SQL.rest_ends_s, now_s=now_s)
    second_ends_in_s = quota_usage.second_ends_in_s(clock)
    return second_ends_in_s if rest_ends_s is None else min(second_ends_in_s, rest_ends_s - now_s + _AFTER_REST_S)


def take(db: Database, clock: Clock, session: FreeSession, process: int) -> Lease | None:
    """Lease a session whose flock the caller already holds; None when another worker was quicker.

    The limits are checked again inside the transaction, so that two processes never send a probe at once.
    """
    with db.write(durable=False):
        now = quota_usage.of(db, clock, session.account)
        if now is None or session not in _free(db, clock, [now]):
            return None
        fence = db.value(_SQL.next_fence)
        taken = db.value(
            _SQL.take,
            account=session.account,
            slot=session.slot,
            login=session.login,
            process=process,
            fence=fence,
            at=clock.utc_s(),
            now_s=clock.boot_s(),
        )
        return None if taken is None else Lease(session.account, session.slot, now.group, fence)


def hold(db: Database, clock: Clock, lease: Lease, hold_s: float, machine: str | None = None) -> bool:
    """Keep a session for `hold_s` from now on, whatever happens to its holder; return whether the lease is valid.

    Call it before a connection on another `machine` is allowed to be open for a part of that time. It outlives this
    process, a reboot and a power cut.
    """
    at = {"account": lease.account, "slot": lease.slot, "fence": lease.fence}
    # After a reboot the time begins again, so only the first one has to be on the disk.
    with db.write(durable=not db.value(_SQL.is_held, **at)):
        return db.value(_SQL.hold, now_s=clock.boot_s(), hold_s=hold_s, machine=machine, **at) is not None


def release(
    db: Database, clock: Clock, lease: Lease, *, cooldown_s: float, closed: bool = True, lost: bool = False
) -> None:
    """End a lease; the session can be leased again after `cooldown_s`.

    Parameters
    ----------
    closed
        Whether its connection is known to be closed. If not, the session is kept as long as `hold` said.
    lost
        Whether it is not known which of the claimed requests were sent: then all of them count.
    """
    with db.write(durable=False):
        if lost:
            db.rows(_SQL.count_claims, fence=lease.fence, step=step_of(clock))
        db.rows(_SQL.release_pieces, fence=lease.fence)
        db.rows(
            _SQL.release,
            account=lease.account,
            slot=lease.slot,
            fence=lease.fence,
            rest_until_s=clock.boot_s() + cooldown_s,
            closed=closed,
        )


def may_continue(db: Database, clock: Clock, lease: Lease) -> bool:
    """Tell, between two pieces of work, whether the lease is still valid and its account may be used now."""
    return allowance(db, clock, lease) is not None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a lease may use now: the quota usage of its account, and the requests that it has claimed itself."""

    usage: QuotaUsage
    claimed: int

    @property
    def requests(self) -> int:
        """How many requests it may claim in all."""
        return max(0, self.usage.requests_left) + self.claimed


def allowance(db: Database, clock: Clock, lease: Lease) -> Allowance | None:
    """Return what a lease may use; None if it is not valid any more, or its account may not be used now.

    When an account holds more sessions than it may, those that were leased first continue.
    """
    now = quota_usage.of(db, clock, lease.account)
    held = db.row(
        _SQL.held,
        account=lease.account,
        account_group=now.group if now and now.pool_sessions else None,
        slot=lease.slot,
        fence=lease.fence,
        now_s=clock.boot_s(),
    )
    if (
        now is None
        or held is None
        or held["older"] >= now.usable_sessions
        or (now.pool_sessions is not None and held["older_in_pool"] >= now.pool_sessions)
        or now.key_has_expired(clock)
        or now.requests_left + held["requests"] < 1
        or now.left_bytes < 1
    ):
        return None
    return Allowance(now, held["requests"])


def claim_one_more(db: Database, clock: Clock, lease: Lease) -> bool:
    """Let a session send one request beyond what it has claimed; return False when its account may send none.

    The request counts as used from now on. Otherwise the state knows that the session waits, until a claim
    succeeds or the session is given back.

    Raises
    ------
    LeaseLost
        The lease does not hold the session any more.
    """
    with db.write(durable=False):
        at = {"account": lease.account, "slot": lease.slot, "fence": lease.fence}
        before, now = db.row(_SQL.claimed, **at), quota_usage.of(db, clock, lease.account)
        if before is None or now is None:
            raise LeaseLost(f"session {lease.slot} of account {lease.account} has been given to another worker")
        if now.requests_left < 1:
            db.rows(_SQL.wait_for_requests, **at)
            return False
        db.rows(_SQL.claim, requests=before["requests"] + 1, **at)
        return True


def claim_unleased(db: Database, clock: Clock, account: str) -> bool:
    """Count one request that is about to be sent without a lease; return False when the account may send none."""
    with db.write():
        now = quota_usage.of(db, clock, account)
        if now is not None and now.requests_left < 1:
            return False
        count_traffic(db, clock, account, requests=1, size_bytes=0)
        return True


def count_traffic(
    db: Database, clock: Clock, account: str, *, requests: int, size_bytes: int, lease: Lease | None = None
) -> None:
    """Add requests and bytes to the traffic of an account, and of the product that `lease` works on.

    Claimed requests of the lease become sent ones.
    """
    with db.write(durable=False):
        step, second = quota_usage.step_and_second(clock)
        if lease is not None:
            at = {"account": lease.account, "slot": lease.slot, "fence": lease.fence}
            db.rows(_SQL.sent, requests=requests, bytes=size_bytes, **at)
            if size_bytes:
                db.rows(_SQL.add_received, step=step, bytes=size_bytes, **at)
        db.rows(_SQL.add_step, account=account, step=step, second=second, requests=requests, bytes=size_bytes)
        db.rows(_SQL.add_hour, account=account, hour=_hour(clock), requests=requests, bytes=size_bytes)


def has_delivered(db: Database, account: str) -> bool:
    """Tell whether this account has downloaded any bytes in the last 30 days."""
    return bool(db.value(_SQL.delivered, account=account))


def forget_old_traffic(db: Database, clock: Clock) -> None:
    """Delete steps older than the hour that `cdsed status` shows, and hours older than the volume window."""
    step = step_of(clock)
    with db.write():
        db.rows(_SQL.forget_steps, oldest=step - 60 * MINUTE_STEPS, newest=step)
        db.rows(_SQL.forget_received, oldest=step - 2 * MINUTE_STEPS, newest=step)
        db.rows(_SQL.forget_hours, hour=_hour(clock) - VOLUME_WINDOW_H - 1)


def next_fence(db: Database) -> int:
    """Return a fence number that was never used before; call it inside a transaction."""
    return int(db.value(_SQL.next_fence))


def _hour(clock: Clock) -> int:
    return int(clock.utc_s() // 3600)
