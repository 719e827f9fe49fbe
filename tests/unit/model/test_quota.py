"""The arithmetic of the 30-day volume, with months that pass in no time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.model.quota import VOLUME_WINDOW_H, HourOfTraffic, Supply, VolumeForecast, next_free

TB = 10**12
NOW_HOUR = 500_000
NOW = NOW_HOUR * 3600.0


def test_volume_is_free_again_when_its_hour_leaves_the_window() -> None:
    hours = [HourOfTraffic(NOW_HOUR - 700, TB), HourOfTraffic(NOW_HOUR - 10, 11 * TB)]
    quota_free_at = next_free(hours, 12 * TB)
    assert quota_free_at is not None
    assert quota_free_at.at == (NOW_HOUR + 20) * 3600.0
    assert quota_free_at.size_bytes == TB


def test_volume_that_frees_within_a_day_is_counted_together() -> None:
    hours = [HourOfTraffic(NOW_HOUR - 700 + hour, TB // 10) for hour in range(120)]
    quota_free_at = next_free(hours, 12 * TB)
    assert quota_free_at is not None
    assert quota_free_at.size_bytes == 24 * TB // 10


def test_an_account_beyond_its_volume_waits_until_it_is_below() -> None:
    hours = [HourOfTraffic(NOW_HOUR - 700, TB), HourOfTraffic(NOW_HOUR - 600, TB)]
    quota_free_at = next_free(hours, TB)
    assert quota_free_at is not None
    assert quota_free_at.at == (NOW_HOUR + 120) * 3600.0


def test_an_account_with_volume_left_waits_for_nothing() -> None:
    assert next_free([HourOfTraffic(NOW_HOUR, TB)], 2 * TB) is None


def test_with_volume_enough_the_rate_decides() -> None:
    found = VolumeForecast([Supply(40e6, TB), Supply(40e6, TB)], NOW).of(80e6 * 3600)
    assert found is not None
    assert (found.in_s, found.by_volume) == (3600.0, False)


def test_a_spent_account_leaves_the_work_to_the_other() -> None:
    found = VolumeForecast([Supply(40e6, TB), Supply(40e6, 0)], NOW).of(2 * 40e6 * 3600)
    assert found is not None
    assert (found.in_s, found.by_volume) == (pytest.approx(7200), True)


def test_a_backlog_beyond_the_volume_waits_for_the_window_twice() -> None:
    """20 TB at 1 TB an hour on 12 TB in 30 days: twelve hours, then what was brought first leaves the window."""
    found = VolumeForecast([Supply(TB / 3600, 12 * TB)], NOW).of(20 * TB)
    assert found is not None
    assert found.by_volume
    assert found.in_s == pytest.approx((VOLUME_WINDOW_H + 8) * 3600)


def test_old_traffic_frees_volume_on_the_way() -> None:
    hours = tuple(HourOfTraffic(NOW_HOUR - 719 + hour, TB) for hour in range(12))
    found = VolumeForecast([Supply(TB / 3600, 0, hours)], NOW).of(6 * TB)
    assert found is not None
    assert found.in_s == pytest.approx(7 * 3600)


def test_there_is_no_forecast_without_traffic_or_beyond_years() -> None:
    assert VolumeForecast([Supply(0.0, TB)], NOW).of(TB) is None
    assert VolumeForecast([], NOW).of(TB) is None
    assert VolumeForecast([Supply(TB / 3600, 12 * TB)], NOW).of(1000 * TB) is None


@given(
    to_go=st.floats(1, 1e14),
    supplies=st.lists(st.tuples(st.floats(1e5, 1e9), st.integers(0, 10**13)), min_size=1, max_size=3),
    offset_s=st.floats(0, 3599),
)
def test_the_volume_never_makes_it_quicker(to_go: float, supplies: list[tuple[float, int]], offset_s: float) -> None:
    found = VolumeForecast([Supply(rate, left) for rate, left in supplies], NOW + offset_s).of(to_go)
    if found is not None:
        assert found.in_s >= to_go / sum(rate for rate, _ in supplies) * 0.999999
