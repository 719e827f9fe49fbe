"""Settings by the hour of day and day of week: limits of bandwidth, and pauses."""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from cdsed.config.section import Section
from cdsed.config.values import AbsolutePath, NamePattern, ShortName, Size
from cdsed.model.week import DAY_S, Offset, WeekWindow

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"(\d{1,2}):(\d\d)")
_ALL_DAYS = frozenset(range(7))
# Slower than this, one buffer of a connection would take seconds, and the service would take it for dead.
_RATE_MIN_BYTES_PER_S = 1000


def _time_of_day(value: object) -> int | None:
    """Return a time such as ``08:00`` as seconds after midnight."""
    if value is None:
        return None
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 if match and int(match[2]) < 60 else DAY_S + 1
    if seconds > DAY_S:
        raise ValueError('should be a time from "00:00" to "24:00"')
    return seconds


def _days(value: object) -> frozenset[int]:
    """Return days such as ``mon-fri``, ``sat,sun`` or a list of them as numbers from 0, Monday."""
    if isinstance(value, frozenset):
        return value
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not parts:
        raise ValueError("should be days such as mon-fri, or a list of them")
    return frozenset(day for part in parts for day in _range_of_days(part))


def _range_of_days(part: object) -> Iterable[int]:
    words = [word.strip().lower() for word in part.split("-")] if isinstance(part, str) else [""]
    if len(words) > 2 or any(word not in _DAYS for word in words):
        raise ValueError(f"should be days ({', '.join(_DAYS)}) such as mon-fri, or a list of them")
    first, last = _DAYS.index(words[0]), _DAYS.index(words[-1])
    return ((first + step) % 7 for step in range((last - first) % 7 + 1))


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name, or a directory of zones
        raise ValueError(
            "should be a time zone that this machine knows, such as Europe/Paris (see /usr/share/zoneinfo)"
        ) from None
    return name


ZoneName = Annotated[str, Field(strict=True, max_length=100), AfterValidator(_zone)]
TimeOfDay = Annotated[
    int | None,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d\d?:\d\d$"}, {"type": "null"}]}),
]
_Days = Annotated[
    frozenset[int],
    BeforeValidator(_days),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


def wall_clock(zone: str | None) -> Offset:
    """Return the offset of the clocks of a zone; None: of this machine's zone."""
    if zone is None:
        time.tzset()  # the zone of the machine may have changed since the start
        return lambda at: time.localtime(at).tm_gmtoff
    clocks = ZoneInfo(zone)

    def offset(at: float) -> float:
        ahead = datetime.fromtimestamp(at, UTC).astimezone(clocks).utcoffset()
        assert ahead is not None, "a ZoneInfo has an offset at any time"
        return ahead.total_seconds()

    return offset


class WindowRule(Section):
    """A time of day on some days."""

    begin: TimeOfDay = Field(default=None, alias="from", description="time at which it begins; default: 00:00")
    end: TimeOfDay = Field(
        default=None,
        alias="to",
        description="time at which it ends, on the next day if it is not later; default: 24:00",
    )
    days: _Days = Field(
        default=_ALL_DAYS, description="list of days on which it begins, such as mon-fri; default: every day"
    )

    @model_validator(mode="after")
    def _begins_and_ends_within_a_day(self) -> Self:
        if self.begin == DAY_S or self.end == 0:
            raise ValueError('should begin before "24:00" and end after "00:00"')
        if self.begin is not None and self.begin == self.end:
            raise ValueError("begins when it ends; leave out both `from` and `to` for the whole day")
        return self

    @property
    def window(self) -> WeekWindow:
        """The window of the week that it describes."""
        return WeekWindow(self.days, self.begin or 0, DAY_S if self.end is None else self.end)

    @property
    def always(self) -> bool:
        """Whether it holds all the time."""
        return self.days == _ALL_DAYS and self.window == WeekWindow(_ALL_DAYS)


class LimitRule(WindowRule):
    """A limit of bandwidth, always or in a window."""

    bytes_per_s: Annotated[Size, Field(ge=_RATE_MIN_BYTES_PER_S)] = Field(
        description="bytes per second of all transfers together, 1kB or more"
    )


def _last_is_the_default(rules: tuple[LimitRule, ...]) -> tuple[LimitRule, ...]:
    if any(rule.always for rule in rules[:-1]):
        raise ValueError("has a limit without a window above others, which would never count; put it last")
    return rules


def _ends(rules: tuple[WindowRule, ...]) -> tuple[WindowRule, ...]:
    """Refuse windows that leave no minute of the week."""
    windows = [rule.window for rule in rules]
    if rules and all(any(each.holds(minute * 60) for each in windows) for minute in range(7 * 24 * 60)):
        raise ValueError("would pause all week; use `cdsed pause` for a pause that you end yourself")
    return rules


Limits = Annotated[tuple[LimitRule, ...], AfterValidator(_last_is_the_default)]
Windows = Annotated[tuple[WindowRule, ...], AfterValidator(_ends)]


class LimitsSettings(Section):
    """The bandwidth of all transfers together; the first rule of a list whose window holds counts."""

    machine: Limits = Field(default=(), description="list of limits of all transfers of this daemon together")
    groups: dict[ShortName, Limits] = Field(
        default_factory=dict, description="lists of limits of the transfers of a group's accounts together, by group"
    )
    accounts: dict[ShortName, Limits] = Field(
        default_factory=dict, description="lists of limits of the transfers of an account together, by account"
    )


class PausesSettings(Section):
    """When no transfer begins."""

    all: Windows = Field(default=(), description="list of windows in which no transfer begins")
    groups: dict[ShortName, Windows] = Field(
        default_factory=dict, description="lists of windows in which a group begins no transfer, by group"
    )
    accounts: dict[ShortName, Windows] = Field(
        default_factory=dict, description="lists of windows in which an account begins no transfer, by account"
    )
    listings: dict[NamePattern, Windows] = Field(
        default_factory=dict,
        description="lists of windows in which no product of a listing begins, by pattern of its name",
    )
    disks: dict[AbsolutePath, Windows] = Field(
        default_factory=dict, description="lists of windows in which no transfer to a directory begins, by directory"
    )


def unknown_names(
    limits: LimitsSettings, pauses: PausesSettings, known: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, str]]:
    """Yield the key of each limit or pause whose group or account is not `known`, and the name.

    Parameters
    ----------
    known
        The names that exist, by ``groups`` and ``accounts``.
    """
    for section, settings in (("limits", limits), ("pauses", pauses)):
        for kind, names in known.items():
            yield from ((f"{section}.{kind}", name) for name in getattr(settings, kind) if name not in names)
