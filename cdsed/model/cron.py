"""Schedules as crontab(5) writes them: which values each of the five fields stands for."""

from cdsed.frozen import frozen

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BOUNDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


@frozen
class CronFields:
    """The values at which a schedule runs; weekdays are 0 (Sunday) to 6."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @property
    def weekday_names(self) -> tuple[str, ...]:
        """The weekdays as ``sun``, ``mon``, …: libraries number them differently."""
        return tuple(_DAYS[day] for day in self.weekdays)


def parse_cron(text: str) -> CronFields:
    """Read a schedule such as ``0 6 * * mon-fri``.

    Parameters
    ----------
    text
        Five fields: minute, hour, day, month, weekday, each with ``*``, lists, ranges and steps; months and weekdays
        may have their English names.

    Raises
    ------
    ValueError
        It is something else, or it limits both day and weekday, which cron joins by "or"; the text says what.
    """
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ValueError("should have five fields: minute, hour, day, month, weekday, such as 0 6 * * *")
    minutes, hours, days, months, weekdays = (
        _values(field, name, low, high) for field, (name, low, high) in zip(fields, _BOUNDS, strict=True)
    )
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError("should limit either the day or the weekday, not both")
    if min(days) > max(_longest(month) for month in months):
        raise ValueError("names a day that none of its months has")
    return CronFields(minutes, hours, days, months, tuple(sorted({day % 7 for day in weekdays})))


def _values(field: str, name: str, low: int, high: int) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text) if step_text.isdecimal() else 0 if "/" in part else 1
        first_text, dash, last_text = span.partition("-")
        first = low if span == "*" else _number(first_text, name)
        whole = span == "*" or (not dash and "/" in part)
        last = high if whole else _number(last_text, name) if dash else first
        if first is None or last is None or step < 1 or not low <= first <= last <= high:
            raise ValueError(f"has the {name} {part!r}, which is not a value, list or range from {low} to {high}")
        found |= set(range(first, last + 1, step))
    return tuple(sorted(found))


def _number(text: str, name: str) -> int | None:
    words: tuple[str, ...] = {"month": ("", *_MONTHS), "weekday": _DAYS}.get(name, ())
    if text.isascii() and text.isdecimal():
        return int(text)
    return words.index(text.lower()) if text and text.lower() in words else None


def _longest(month: int) -> int:
    return 29 if month == 2 else 30 if month in {4, 6, 9, 11} else 31
