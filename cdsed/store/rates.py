"""How fast bytes arrive, over the last minutes and the last hour."""

from dataclasses import field

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.status_report import Rates
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, step_of

_SQL = Queries("rates")

_PERIODS, _PERIOD_STEPS = 12, 5 * MINUTE_STEPS
_HOUR_STEPS = 60 * MINUTE_STEPS


@frozen
class RecentTraffic:
    """What arrived in the last hour.

    Attributes
    ----------
    rates
        Mean rates; the present step of 5 s counts with the seconds that it has so far.
    steps
        Mean bytes per second in each of the last twelve periods of 5 min, oldest first.
    silent_s
        Seconds since bytes last arrived, at least; None: none did in the last hour.
    """

    rates: Rates = field(default_factory=Rates)
    steps: tuple[float, ...] = (0.0,) * _PERIODS
    silent_s: float | None = None


def recent(db: Database, clock: Clock) -> RecentTraffic:
    """Return what arrived in the last hour."""
    now_s, step = clock.boot_s(), step_of(clock)
    begun = db.value(_SQL.first_step, step=step, steps=_HOUR_STEPS)
    if begun is None:
        return RecentTraffic()
    by_age = {row["age"]: row["bytes"] for row in db.rows(_SQL.traffic, step=step, steps=_HOUR_STEPS)}
    since_begun_s = now_s - begun * STEP_S

    def over(minutes: int) -> float:
        size_bytes = sum(count for age, count in by_age.items() if age <= minutes * MINUTE_STEPS)
        return float(size_bytes / max(1.0, min(now_s % STEP_S + 60 * minutes, since_begun_s)))

    periods = [0.0] * _PERIODS
    for age, size_bytes in by_age.items():
        if age < _PERIODS * _PERIOD_STEPS:
            periods[_PERIODS - 1 - age // _PERIOD_STEPS] += size_bytes
    present_s = (_PERIOD_STEPS - 1) * STEP_S + now_s % STEP_S
    lengths = [float(_PERIOD_STEPS * STEP_S)] * (_PERIODS - 1) + [present_s]
    return RecentTraffic(
        Rates(over(1), over(10), over(60)),
        tuple(size_bytes / length_s for size_bytes, length_s in zip(periods, lengths, strict=True)),
        max(0.0, now_s - (step - min(by_age) + 1) * STEP_S) if by_age else None,
    )
