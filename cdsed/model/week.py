"""Windows of the week by the clock on the wall: whether one holds at a time, and when that changes next.

What the clock on the wall shows decides. When the clocks go forward, an hour that it does not show has no window; when
they go back, an hour that it shows twice counts twice.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from cdsed.frozen import frozen

DAY_S = 86_400
_DAYS_AHEAD = 9  # a week, and the days around it whose windows reach into it
_OFFSETS_EVERY_S = 3 * 3600
_THURSDAY = 3  # the first day of the epoch; Monday is 0

#: Seconds that the clock on the wall is ahead of UTC, at a time in seconds UTC.
Offset = Callable[[float], float]
_Value = TypeVar("_Value")


@frozen
class WeekWindow:
    """A time of day on some days of the week.

    Attributes
    ----------
    days
        The days on which it begins; 0 is Monday.
    begin_s, end_s
        Seconds after midnight; the end does not belong to it. If it is not later than the beginning, it is on the next
        day.
    """

    days: frozenset[int]
    begin_s: int = 0
    end_s: int = DAY_S

    def holds(self, wall_s: float) -> bool:
        """Tell whether it holds when the clock on the wall shows `wall_s`, in seconds since 1970 began there."""
        day, second = divmod(int(wall_s // 1), DAY_S)
        today, yesterday = (day + _THURSDAY) % 7, (day + _THURSDAY - 1) % 7
        if self.begin_s < self.end_s:
            return today in self.days and self.begin_s <= second < self.end_s
        return (today in self.days and second >= self.begin_s) or (yesterday in self.days and second < self.end_s)


def next_change(
    value: Callable[[float], _Value], windows: Iterable[WeekWindow], at: float, offset: Offset
) -> float | None:
    """Return when the value that follows from windows changes next.

    Parameters
    ----------
    value
        The value when the clock on the wall shows a time; it may change only at an edge of one of `windows`.
    at
        Now, seconds UTC.
    offset
        The offset of the clock on the wall.

    Returns
    -------
    float or None
        Seconds UTC; None if it stays for a week.
    """
    now = value(at + offset(at))
    edges = {edge for window in windows for edge in (window.begin_s, window.end_s % DAY_S)} | {0}
    for time_s in sorted(_candidates(edges, at, offset)):
        if value(time_s + offset(time_s)) != now:
            return time_s
    return None


def _candidates(edges: Iterable[int], at: float, offset: Offset) -> Iterator[float]:
    """Yield the times after `at` at which the clock shows an edge, or is set to summer or winter time."""
    until = at + _DAYS_AHEAD * DAY_S
    sets = list(_clock_changes(at - DAY_S, until, offset))
    yield from (time_s for time_s in sets if time_s > at)
    offsets = {offset(at), *(offset(time_s) for time_s in sets)}
    today = int((at + offset(at)) // DAY_S)
    for day in range(today, today + _DAYS_AHEAD):
        for edge_s in edges:
            for ahead_s in offsets:
                time_s = day * DAY_S + edge_s - ahead_s
                if at < time_s < until:
                    yield time_s


def _clock_changes(begin: float, end: float, offset: Offset) -> Iterator[float]:
    """Yield the times, to the second, at which the offset changes."""
    early = float(int(begin))
    while early < end:
        late = early + _OFFSETS_EVERY_S
        if offset(early) != offset(late):
            low, high = early, late
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(early) else (low, middle)
            yield high
        early = late
