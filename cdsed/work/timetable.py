"""Follow the windows of the settings: which limits of bandwidth and which pauses hold now, in the state."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from cdsed.clock import Clock, iso
from cdsed.config.settings import Settings
from cdsed.config.time_windows import LimitRule, WindowRule, wall_clock
from cdsed.frozen import frozen
from cdsed.logevent import LogEvent, about
from cdsed.model.operation import BandwidthLimit
from cdsed.model.week import Offset, WeekWindow, next_change
from cdsed.store import bandwidth_limits, window_pauses
from cdsed.store.database import Database
from cdsed.store.pauses import Target

_log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 3600.0  # for a value that stays for a week
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Course(Generic[_Value]):
    """What follows from the rules of one target; it is computed again only when it may have changed."""

    windows: Sequence[WeekWindow]
    value: Callable[[float], _Value]
    known: tuple[float, float | None, _Value] | None = field(default=None, init=False)

    def at(self, now: float, offset: Offset) -> tuple[_Value, float | None]:
        """Return the value now, and when it changes next, both in seconds UTC."""
        if self.known is None or not self.known[0] <= now < (self.known[1] or self.known[0] + _LOOK_AGAIN_S):
            until = next_change(self.value, self.windows, now, offset)
            self.known = (now, until, self.value(now + offset(now)))
        return self.known[2], self.known[1]


@frozen
class _Courses:
    """The courses of one reading of the settings; of listings they are by pattern of their names."""

    offset: Offset
    limits: dict[Target, _Course[int | None]]
    pauses: dict[Target, _Course[bool]]


class Timetable:
    """Keeps what the windows of the settings say for now in the state.

    Nothing else writes it, and `begin` writes all of it: a daemon that was killed leaves no limit and no pause behind
    that the settings do not have.
    """

    def __init__(self, db: Database, clock: Clock, settings: Settings) -> None:
        self._db = db
        self._clock = clock
        self._courses = _courses(settings)
        self._limits: dict[Target, BandwidthLimit] = {}
        self._paused: dict[Target, float | None] = {}

    def begin(self) -> None:
        """Enter what holds now in place of all that the state has; call it before the workers start."""
        limits, paused = self._now()
        with self._db.write():
            bandwidth_limits.replace(self._db, list(limits.values()))
            window_pauses.replace(self._db, self._clock, paused)
        self._note(limits, paused)

    def use(self, settings: Settings) -> None:
        """Follow these settings from the next call of `follow` on; another thread may call this."""
        self._courses = _courses(settings)

    def follow(self) -> float:
        """Enter what has changed since the last call.

        Returns
        -------
        float
            When to call it next, unless a listing comes before that: in seconds since boot.
        """
        limits, paused = self._now()
        if limits != self._limits:
            bandwidth_limits.replace(self._db, list(limits.values()))
        if paused != self._paused:
            window_pauses.change(self._db, self._clock, self._paused, paused)
        self._note(limits, paused)
        return self._clock.boot_s() + self._changes_in_s()

    def _changes_in_s(self) -> float:
        courses, now = self._courses, self._clock.utc_s()
        untils = [
            *(limit.at(now, courses.offset)[1] for limit in courses.limits.values()),
            *(pause.at(now, courses.offset)[1] for pause in courses.pauses.values()),
        ]
        return min((until - now for until in untils if until is not None), default=math.inf)

    def _now(self) -> tuple[dict[Target, BandwidthLimit], dict[Target, float | None]]:
        courses, now = self._courses, self._clock.utc_s()
        limits: dict[Target, BandwidthLimit] = {}
        for (kind, name), course in courses.limits.items():
            bytes_per_s, until = course.at(now, courses.offset)
            if bytes_per_s is not None:
                limits[kind, name] = BandwidthLimit(kind, name, bytes_per_s, until)
        paused: dict[Target, float | None] = {}
        for target, pause in courses.pauses.items():
            holds, until = pause.at(now, courses.offset)
            for found in self._found(target) if holds else ():
                # Of two patterns that match, the one that ends later counts.
                paused[found] = max(until or 0.0, paused.get(found) or 0.0) or None
        return limits, paused

    def _found(self, target: Target) -> Iterator[Target]:
        """Yield the rows of a target: of a pattern, the listings that match."""
        kind, pattern = target
        if kind != "listing":
            yield target
            return
        for number, name in window_pauses.open_listings(self._db).items():
            if fnmatchcase(name.lower(), pattern.lower()):
                yield "listing", number

    def _note(self, limits: Mapping[Target, BandwidthLimit], paused: Mapping[Target, float | None]) -> None:
        """Log what has changed, and remember it."""
        for target in sorted(limits.keys() | self._limits.keys()):
            limit, former = limits.get(target), self._limits.get(target)
            if (limit and limit.bytes_per_s) != (former and former.bytes_per_s):
                much = f"{limit.bytes_per_s / 1e6:g} MB/s{_until(limit.until_at)}" if limit else "no limit"
                _log.info("bandwidth of %s: %s", _named(target), much, extra=_about(LogEvent.LIMIT_CHANGED, target))
        for target in sorted(paused.keys() - self._paused.keys()):
            until = _until(paused[target])
            _log.info("%s: paused by a window%s", _named(target), until, extra=_about(LogEvent.PAUSE_BEGUN, target))
        for target in sorted(self._paused.keys() - paused.keys()):
            _log.info(
                "%s: the window of its pause has ended", _named(target), extra=_about(LogEvent.PAUSE_ENDED, target)
            )
        self._limits, self._paused = dict(limits), dict(paused)


def _courses(settings: Settings) -> _Courses:
    limits, pauses = settings.limits, settings.pauses
    return _Courses(
        wall_clock(settings.time_zone),
        {
            target: _Course([rule.window for rule in rules], _first_of(rules))
            for target, rules in (
                *([(("machine", ""), limits.machine)] if limits.machine else []),
                *((("group", name), rules) for name, rules in limits.groups.items()),
                *((("account", name), rules) for name, rules in limits.accounts.items()),
            )
        },
        {
            target: _Course([rule.window for rule in rules], _any_of(rules))
            for target, rules in (
                *([(("all", ""), pauses.all)] if pauses.all else []),
                *((("group", name), rules) for name, rules in pauses.groups.items()),
                *((("account", name), rules) for name, rules in pauses.accounts.items()),
                *((("listing", name), rules) for name, rules in pauses.listings.items()),
                *((("disk", str(place)), rules) for place, rules in pauses.disks.items()),
            )
        },
    )


def _first_of(rules: Sequence[LimitRule]) -> Callable[[float], int | None]:
    return lambda wall_s: next((rule.bytes_per_s for rule in rules if rule.window.holds(wall_s)), None)


def _any_of(rules: Sequence[WindowRule]) -> Callable[[float], bool]:
    return lambda wall_s: any(rule.window.holds(wall_s) for rule in rules)


def _until(until_at: float | None) -> str:
    return "" if until_at is None else f" until {iso(until_at)}"


def _named(target: Target) -> str:
    kind, name = target
    return {"machine": "all transfers", "all": "all transfers"}.get(kind, f"{kind} {name}")


def _about(event: LogEvent, target: Target) -> dict[str, object]:
    kind, name = target
    return about(event, **{kind: name} if kind in ("account", "group", "listing", "disk") else {})
