"""How fast each account is while no quota holds it back, as far as that was measured."""

from collections.abc import Mapping, Sequence

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.estimate import weight
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, QuotaUsage, step_of

_SQL = Queries("speeds")

_THROTTLED_STEPS = 4  # earlier steps may be from before the sessions were halved
_GAP_STEPS = 3  # after such a gap another stretch of work begins
_RAMP_STEPS = 3  # from this length on, the step in which the work began is left out
_SATURATED_SHARE = 0.9
_SHORT_S = 0.5
_HOUR_STEPS = 60 * MINUTE_STEPS
_BUSY_HOURS = 24


@frozen
class _Step:
    """What an account sent and received in one step, of which `for_s` seconds count."""

    requests: int
    size_bytes: int
    for_s: float


def of_accounts(db: Database, clock: Clock, accounts: Sequence[QuotaUsage]) -> dict[str, float]:
    """Return the speeds of accounts (`cdsed.model.estimate.QuotaSource`) by their names, as far as they are known.

    The last minute counts, else the last hour, else the last busy hours. An account that has not worked yet is expected
    to have the mean speed of the others of its group for each of its sessions.
    """
    step = step_of(clock)
    numbers = range(step - MINUTE_STEPS, step + 1)
    steps: dict[str, dict[int, Row]] = {}
    for row in db.rows(_SQL.steps, step=step, steps=MINUTE_STEPS):
        steps.setdefault(row["account"], {})[row["step"]] = row
    leased = {row["account"]: row["since_s"] for row in db.rows(_SQL.leased)}
    found = {}
    for each in accounts:
        counts = steps.get(each.name, {})
        series = [_timed(number, counts.get(number), clock.boot_s(), leased.get(each.name, 0.0)) for number in numbers]
        speed = _measured(each, series)
        if speed is not None:
            found[each.name] = speed
    if len(found) < len(accounts):
        found = _earlier(db, step, accounts) | found
    return _with_peers(accounts, found)


def _timed(step: int, row: Row | None, now_s: float, leased_s: float) -> _Step:
    """Return a step; it counts until now, and only from the lease of its first session, if that was within it."""
    begins_s, ends_s = step * STEP_S, min(now_s, (step + 1) * STEP_S)
    for_s = ends_s - (leased_s if begins_s < leased_s < ends_s else begins_s)
    return _Step(row["requests"] if row else 0, row["bytes"] if row else 0, max(_SHORT_S, for_s))


def _measured(account: QuotaUsage, series: Sequence[_Step]) -> float | None:
    """Return the speed of the last minute."""
    if account.throttle_reason is not None:
        series = series[-_THROTTLED_STEPS:]
    used = account.requests + account.claimed_requests
    if used >= _SATURATED_SHARE * account.requests_per_minute:
        most = max(each.requests for each in series)
        series = [each for each in series if each.requests and 2 * each.requests >= most]
    else:
        series = _stretch(series, at_work=account.held > 0)
    if not sum(each.size_bytes for each in series):
        return None
    in_s = sum(each.for_s for each in series)
    return weight(sum(each.requests for each in series), sum(each.size_bytes for each in series)) / in_s


def _stretch(series: Sequence[_Step], *, at_work: bool) -> Sequence[_Step]:
    """Return the steps of the present stretch of work, or of the last one."""
    last = max((i for i, each in enumerate(series) if each.requests), default=-1)
    first = last
    for i in range(last - 1, -1, -1):
        if series[i].requests:
            first = i
        elif first - i > _GAP_STEPS:
            break
    stretch = series[first:] if at_work and last >= 0 else series[max(0, first) : last + 1]
    return stretch[1:] if len(stretch) > _RAMP_STEPS else stretch


def _earlier(db: Database, step: int, accounts: Sequence[QuotaUsage]) -> dict[str, float]:
    found = {
        row["account"]: _over(row, row["steps"] * STEP_S)
        for row in db.rows(_SQL.last_hour, step=step, steps=_HOUR_STEPS)
    }
    for each in accounts:
        if each.name not in found:
            row = db.row(_SQL.busy_hours, account=each.name, most=_BUSY_HOURS)
            if row is not None and row["hours"]:
                found[each.name] = _over(row, row["hours"] * 3600.0)
    return found


def _over(row: Row, in_s: float) -> float:
    return weight(row["requests"], row["bytes"]) / in_s


def _with_peers(accounts: Sequence[QuotaUsage], found: Mapping[str, float]) -> dict[str, float]:
    speeds = dict(found)
    for each in accounts:
        peers = [other for other in accounts if other.group == each.group and other.name in found]
        sessions = sum(max(1, other.usable_sessions) for other in peers)
        if each.name not in found and peers:
            speeds[each.name] = sum(found[other.name] for other in peers) * each.usable_sessions / sessions
    return speeds
