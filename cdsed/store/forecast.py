"""The forecast: when the volume of an account is free again, and when the backlog will be done."""

import json
from collections.abc import Sequence
from dataclasses import replace

from cdsed.clock import Clock
from cdsed.model.product_state import TERMINAL
from cdsed.model.quota import VOLUME_WINDOW_H, Forecast, HourOfTraffic, QuotaFreeAt, Supply, forecast, next_free
from cdsed.store import quota_usage
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, QuotaUsage

_SQL = Queries("forecast")

# An account that has spent its volume is expected to download later at the mean rate of its last busy hours.
_BUSY_HOURS = 24
_RATE_STEPS = 4


def quota_free_at(db: Database, clock: Clock, account: QuotaUsage) -> QuotaFreeAt | None:
    """Return when volume of an account is free again; None while some is left."""
    if account.used_bytes < account.ceiling_bytes:
        return None
    return next_free(_hours(db, clock, account.name), account.ceiling_bytes)


def backlog_eta(
    db: Database, clock: Clock, accounts: Sequence[QuotaUsage], to_go_bytes: float | None, rate_bytes_per_s: float
) -> Forecast | None:
    """Return when `to_go_bytes` will be downloaded; None when nothing moves, or the size is unknown.

    Each group has only its own accounts, so the slowest group counts. The present rate is divided among the accounts
    in proportion to their bytes in the last two minutes.
    """
    if not to_go_bytes:
        return None
    shares = backlog_shares(db)
    recent = _recent(db, clock, 2 * MINUTE_STEPS)
    total = sum(recent.values())
    longest: Forecast | None = None
    for group in {account.group for account in accounts} & set(shares):
        supplies = [
            _supply(db, clock, account, rate_bytes_per_s * recent.get(account.name, 0) / total if total else 0.0)
            for account in accounts
            if account.group == group
        ]
        if any(account.shares_volume for account in accounts if account.group == group):
            supplies = [_pooled(supplies)]
        found = forecast(to_go_bytes * shares[group], supplies, clock.utc_s())
        if found is None:
            return None
        if longest is None or found.in_s > longest.in_s:
            longest = found
    return longest


def backlog_shares(db: Database) -> dict[str, float]:
    """Return the share of each group in the backlog; a product that two groups request counts for both."""
    wanted = {
        row["account_group"]: row["products"] for row in db.rows(_SQL.backlog, terminal=json.dumps(sorted(TERMINAL)))
    }
    total = sum(wanted.values())
    return {group: products / total for group, products in wanted.items()}


def rates(db: Database, clock: Clock) -> dict[str, float]:
    """Return the mean bytes per second of each account in the last 20 to 25 s, by its name."""
    for_s = _RATE_STEPS * STEP_S + clock.boot_s() % STEP_S
    return {name: size_bytes / for_s for name, size_bytes in _recent(db, clock, _RATE_STEPS).items()}


def _recent(db: Database, clock: Clock, steps: int) -> dict[str, int]:
    rows = db.rows(_SQL.recent, step=quota_usage.step_of(clock), steps=steps)
    return {row["account"]: row["bytes"] for row in rows}


def _pooled(supplies: Sequence[Supply]) -> Supply:
    """Return what accounts with one volume can transfer together; each supply has the volume of all."""
    return replace(supplies[0], rate_bytes_per_s=sum(supply.rate_bytes_per_s for supply in supplies))


def _supply(db: Database, clock: Clock, account: QuotaUsage, rate_bytes_per_s: float) -> Supply:
    hours = _hours(db, clock, account.name)
    if not rate_bytes_per_s and account.left_bytes < 1 and account.has_keys:
        busy = [each.size_bytes for each in hours if each.size_bytes][-_BUSY_HOURS:]
        rate_bytes_per_s = sum(busy) / (3600.0 * len(busy)) if busy else 0.0
    return Supply(rate_bytes_per_s, max(0, account.ceiling_bytes - account.used_bytes), tuple(hours))


def _hours(db: Database, clock: Clock, account: str) -> list[HourOfTraffic]:
    oldest_hour = int(clock.utc_s() // 3600) - VOLUME_WINDOW_H
    rows = db.rows(_SQL.hours, account=account, oldest_hour=oldest_hour)
    return [HourOfTraffic(row["hour"], row["bytes"]) for row in rows]
