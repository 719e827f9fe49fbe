"""The forecast: when the volume of an account is free again, and what it is spent on."""

from cdsed.clock import Clock
from cdsed.model.quota import HourOfTraffic, QuotaFreeAt, next_free
from cdsed.store import quota_usage
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import STEP_S, QuotaUsage

_SQL = Queries("forecast")

_RATE_STEPS = 4


def quota_free_at(db: Database, clock: Clock, account: QuotaUsage) -> QuotaFreeAt | None:
    """Return when volume of an account is free again; None while some is left."""
    if account.used_bytes < account.ceiling_bytes:
        return None
    return next_free(hours(db, clock, account.name), account.ceiling_bytes)


def rates(db: Database, clock: Clock) -> dict[str, float]:
    """Return the mean bytes per second of each account in the last 20 to 25 s, by its name."""
    for_s = _RATE_STEPS * STEP_S + clock.boot_s() % STEP_S
    rows = db.rows(_SQL.recent, step=quota_usage.step_of(clock), steps=_RATE_STEPS)
    return {row["account"]: row["bytes"] / for_s for row in rows}


def hours(db: Database, clock: Clock, account: str) -> list[HourOfTraffic]:
    """Return the traffic that counts for the volume of an account, oldest hour first."""
    rows = db.rows(_SQL.hours, account=account, **quota_usage.volume_hours(clock))
    return [HourOfTraffic(row["hour"], row["bytes"]) for row in rows]
