"""Windows of the week: which hold at a time, and when that changes, over midnight and over changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdsed.config.time_windows import wall_clock
from cdsed.model.week import DAY_S, WeekWindow, next_change

PARIS = ZoneInfo("Europe/Paris")
_PARIS = wall_clock("Europe/Paris")
_EVERY_DAY = frozenset(range(7))
_H = 3600


def at(text: str, zone: ZoneInfo = PARIS) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def change(window: WeekWindow, text: str) -> str | None:
    """Return when a window begins or ends next after a time in Paris, as UTC."""
    found = next_change(window.holds, [window], at(text), _PARIS)
    return None if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        (WeekWindow(_EVERY_DAY, 8 * _H, 18 * _H), ["08:00", "17:59:59"], ["07:59:59", "18:00", "00:00"]),
        (WeekWindow(_EVERY_DAY, 22 * _H, 6 * _H), ["22:00", "23:59", "00:00", "05:59:59"], ["06:00", "21:59:59"]),
        (WeekWindow(_EVERY_DAY, 22 * _H, DAY_S), ["22:00", "23:59:59"], ["00:00", "21:59"]),
        (WeekWindow(_EVERY_DAY, 0, 6 * _H), ["00:00", "05:59"], ["06:00", "23:59"]),
    ],
)
def test_a_window_has_its_beginning_and_not_its_end(window: WeekWindow, inside: list[str], outside: list[str]) -> None:
    def holds(time_of_day: str) -> bool:
        time_s = at(f"2026-11-25T{time_of_day}")
        return window.holds(time_s + _PARIS(time_s))

    assert [text for text in inside if not holds(text)] == []
    assert [text for text in outside if holds(text)] == []


def test_a_window_over_midnight_is_of_the_day_on_which_it_begins() -> None:
    friday = WeekWindow(frozenset({4}), 22 * _H, 6 * _H)
    for text, expected in (("2026-11-27T23:00", True), ("2026-11-28T05:00", True), ("2026-11-27T05:00", False)):
        assert friday.holds(at(text) + _PARIS(at(text))) is expected
    sunday = WeekWindow(frozenset({6}), 22 * _H, 6 * _H)
    assert sunday.holds(at("2026-11-30T05:00") + _PARIS(at("2026-11-30T05:00")))


def test_the_next_change_is_to_the_second() -> None:
    weekdays = WeekWindow(frozenset(range(5)), 8 * _H, 18 * _H)
    assert change(weekdays, "2026-11-25T07:00:00.5") == "2026-11-25T07:00:00"
    assert change(weekdays, "2026-11-25T08:00") == "2026-11-25T17:00:00"
    assert change(weekdays, "2026-11-27T18:00") == "2026-11-30T07:00:00"  # from Friday evening to Monday
    assert change(WeekWindow(_EVERY_DAY), "2026-11-25T07:00") is None
    assert change(WeekWindow(frozenset({2})), "2026-11-26T00:00") == "2026-12-01T23:00:00"


def test_an_hour_that_the_clock_does_not_show_has_no_window() -> None:
    night = WeekWindow(_EVERY_DAY, 2 * _H, 3 * _H)
    # On 28 March 2027 the clocks go from 02:00 to 03:00, at 01:00 UTC.
    assert change(night, "2027-03-28T01:30") == "2027-03-29T00:00:00"
    half = WeekWindow(_EVERY_DAY, int(2.5 * _H), 4 * _H)
    assert change(half, "2027-03-28T01:30") == "2027-03-28T01:00:00"  # it is 03:00 at once
    assert change(half, "2027-03-28T03:00") == "2027-03-28T02:00:00"


def test_an_hour_that_the_clock_shows_twice_counts_twice() -> None:
    night = WeekWindow(_EVERY_DAY, 2 * _H, 3 * _H)
    # On 25 October 2026 the clocks go back from 03:00 to 02:00, at 01:00 UTC.
    assert change(night, "2026-10-25T01:30") == "2026-10-25T00:00:00"
    assert change(night, "2026-10-25T02:30") == "2026-10-25T02:00:00"
    half = WeekWindow(_EVERY_DAY, int(2.5 * _H), 4 * _H)
    assert change(half, "2026-10-25T02:00") == "2026-10-25T00:30:00"
    assert change(half, "2026-10-25T02:45") == "2026-10-25T01:00:00"  # 02:00 again: it ends for half an hour


_WINDOWS = st.builds(
    WeekWindow,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 95).map(lambda quarter: quarter * 900),
    st.integers(1, 96).map(lambda quarter: quarter * 900),
)


@settings(max_examples=60, deadline=None)
@given(
    windows=st.lists(_WINDOWS, min_size=1, max_size=3),
    zone=st.sampled_from(["Europe/Paris", "UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    hours=st.integers(0, 365 * 24),
)
def test_nothing_changes_before_the_next_change(windows: list[WeekWindow], zone: str, hours: int) -> None:
    """Compare with a walk by quarters of an hour; each clock of the world is set at such a time."""
    offset = wall_clock(zone)
    begin = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)).timestamp()

    def value(wall_s: float) -> int:
        return sum(window.holds(wall_s) for window in windows)

    expected = next(
        (
            time_s
            for time_s in (begin + 900 * step for step in range(1, 8 * 96))
            if value(time_s + offset(time_s)) != value(begin + offset(begin))
        ),
        None,
    )
    found = next_change(value, windows, begin, offset)
    assert found == expected or (expected is None and found is not None and found > begin + 7.9 * DAY_S)
