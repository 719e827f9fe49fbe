"""When a standing query runs next, by apscheduler's triggers."""

from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from cdsed.config.standing_queries import StandingQuery
from cdsed.model.cron import parse_cron


def next_run_at(query: StandingQuery, anchor_at: float) -> float:
    """Return the first time of a query's schedule after `anchor_at` (both s UTC); what was missed since is one run."""
    anchor = datetime.fromtimestamp(anchor_at, UTC)
    if query.cron is None:
        assert query.every_s is not None, "the settings check that it has a schedule"
        following = IntervalTrigger(seconds=query.every_s, timezone=UTC).get_next_fire_time(anchor, anchor)
        return float(following.timestamp())
    fields = parse_cron(query.cron)
    trigger = CronTrigger(
        minute=_listed(fields.minutes),
        hour=_listed(fields.hours),
        day=_listed(fields.days),
        month=_listed(fields.months),
        day_of_week=_listed(fields.weekday_names),
        timezone=UTC,
    )
    return float(trigger.get_next_fire_time(None, anchor + timedelta(seconds=1)).timestamp())


def _listed(values: tuple[object, ...]) -> str:
    return ",".join(map(str, values))
