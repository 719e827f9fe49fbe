from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.catalogue.slices import Window, windows

timestamps = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def assert_a_chain(parts: list[Window], whole: Window) -> None:
    assert (parts[0].start, parts[-1].end) == (whole.start, whole.end)
    assert all(left.end == right.start for left, right in pairwise(parts))
    assert all(part.start < part.end for part in parts if part.start and part.end)


@given(timestamps, st.timedeltas(timedelta(microseconds=1), timedelta(days=3000)), st.integers(1, 60))
def test_slices_make_up_the_whole_window(start, span, pieces):
    length = max(span / pieces, timedelta(microseconds=1))
    parts = list(windows(start, start + span, length))

    assert_a_chain(parts, Window(start, start + span))
    assert all(part.end - part.start <= length for part in parts)


@given(timestamps, st.timedeltas(timedelta(microseconds=2), timedelta(days=30_000)), st.integers(11_001, 10_000_000))
def test_cut_windows_make_up_the_window(start, span, count):
    window = Window(start, start + span)
    parts = window.cut(count)

    assert_a_chain(parts, window)
    assert len(parts) >= 2


@given(st.none() | timestamps, st.booleans())
def test_an_open_window_is_cut_in_two_and_gets_closed_at_last(edge, is_start):
    window = Window(edge, None) if is_start else Window(None, edge)
    parts = window.cut(20_000)

    assert_a_chain(parts, window)
    assert len(parts) == 2


def test_one_microsecond_cannot_be_cut():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="20000 products begin at 2024"):
        Window(start, start + timedelta(microseconds=1)).cut(20_000)


def test_a_slice_without_length_is_refused():
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="holds nothing"):
        list(windows(start, start + timedelta(days=1), timedelta(0)))


def test_an_open_window_ends_with_time():
    for window in (Window(None, datetime(1, 1, 3, tzinfo=UTC)), Window(datetime(9999, 1, 3, tzinfo=UTC), None)):
        with pytest.raises(ValueError, match="beyond all time"):
            window.cut(20_000)
