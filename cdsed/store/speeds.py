"""How fast each account is while no quota holds it back, as far as that was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, QuotaUsage, step_of

_SQL = Queries("speeds")

_THROTTLED_STEPS = 4  # earlier steps may be from before the sessions were halved
_GAP_STEPS = 3  # after such a gap another stretch of work begins
_RAMP_STEPS = 3  # from this length on, the step in which the work began is left out
_SATURATED_SHARE = 0.9
_HOUR_STEPS = 60 * MINUTE_STEPS
_BUSY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Speed:
    """Requests and bytes per second of one account."""

    requests_per_s: float
    bytes_per_s: float

    def __mul__(self, factor: float) -> "Speed":
        return Speed(self.requests_per_s * factor, self.bytes_per_s * factor)


@dataclass(frozen=True, slots=True)
class _Step:
    requests: int = 0
    size_bytes: int = 0


def of_accounts(db: Database, clock: Clock, accounts: Sequence[QuotaUsage]) -> dict[str, Speed]:
    """Return the speeds of accounts by their names, without those of which nothing is known.

    The last minute counts, else the last hour, else the last busy hours. An account that has not worked yet is expected
    to have the mean speed of the others of its group for each of its sessions.
    """
    step = step_of(clock)
    steps: dict[str, dict[int, _Step]] = {}
    for row in db.rows(_SQL.steps, step=step, steps=MINUTE_STEPS):
        steps.setdefault(row["account"], {})[row["step"]] = _Step(row["requests"], row["bytes"])
    found = {}
    for each in accounts:
        series = [steps.get(each.name, {}).get(number, _Step()) for number in range(step - MINUTE_STEPS, step + 1)]
        speed = _measured(each, series, clock.boot_s() % STEP_S)
        if speed is not None:
            found[each.name] = speed
    if len(found) < len(accounts):
        found = _earlier(db, step, accounts) | found
    return _with_peers(accounts, found)


def _measured(account: QuotaUsage, series: Sequence[_Step], present_s: float) -> Speed | None:
    """Return the speed of the last minute; `series` ends with the present step, of which `present_s` have passed."""
    if account.throttle_reason is not None:
        series = series[-_THROTTLED_STEPS:]
    lengths = [STEP_S] * (len(series) - 1) + [max(0.5, present_s)]
    timed = list(zip(series, lengths, strict=True))
    used = account.requests + account.claimed_requests
    if used >= _SATURATED_SHARE * account.requests_per_minute:
        most = max(each.requests for each in series)
        timed = [(each, length_s) for each, length_s in timed if each.requests and 2 * each.requests >= most]
    else:
        timed = _stretch(timed, at_work=account.held > 0)
    if not sum(each.size_bytes for each, _ in timed):
        return None
    in_s = sum(length_s for _, length_s in timed)
    return Speed(sum(each.requests for each, _ in timed) / in_s, sum(each.size_bytes for each, _ in timed) / in_s)


def _stretch(timed: list[tuple[_Step, float]], *, at_work: bool) -> list[tuple[_Step, float]]:
    """Return the steps of the present stretch of work, or of the last one."""
    last = max((i for i, (each, _) in enumerate(timed) if each.requests), default=-1)
    first = last
    for i in range(last - 1, -1, -1):
        if timed[i][0].requests:
            first = i
        elif first - i > _GAP_STEPS:
            break
    stretch = timed[first:] if at_work and last >= 0 else timed[max(0, first) : last + 1]
    return stretch[1:] if len(stretch) > _RAMP_STEPS else stretch


def _earlier(db: Database, step: int, accounts: Sequence[QuotaUsage]) -> dict[str, Speed]:
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


def _over(row: Row, in_s: float) -> Speed:
    return Speed(row["requests"] / in_s, row["bytes"] / in_s)


def _with_peers(accounts: Sequence[QuotaUsage], found: Mapping[str, Speed]) -> dict[str, Speed]:
    speeds = dict(found)
    for each in accounts:
        peers = [other for other in accounts if other.group == each.group and other.name in found]
        sessions = sum(max(1, other.usable_sessions) for other in peers)
        if each.name not in found and peers:
            own = each.usable_sessions / sessions
            speeds[each.name] = Speed(
                own * sum(found[other.name].requests_per_s for other in peers),
                own * sum(found[other.name].bytes_per_s for other in peers),
            )
    return speeds
