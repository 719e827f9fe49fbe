"""Schedules as crontab(5) writes them."""

import pytest

from cdsed.model.cron import parse_cron


def test_lists_ranges_steps_and_names_are_read_as_cron_reads_them() -> None:
    fields = parse_cron("*/20 6,18 * jan-mar 1-5")
    assert fields.minutes == (0, 20, 40)
    assert fields.hours == (6, 18)
    assert fields.months == (1, 2, 3)
    assert fields.weekday_names == ("mon", "tue", "wed", "thu", "fri")
    assert parse_cron("0 0 * * 5-7").weekday_names == ("sun", "fri", "sat")
    assert parse_cron("5/30 * * * *").minutes == (5, 35)


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * 0 * *", "* * * * 8", "1-0 * * * *", "*/0 * * * *", "x * * * *"]
)
def test_a_text_that_cannot_be_a_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"should have five fields|is not a value, list or range"):
        parse_cron(text)


def test_what_cron_joins_by_or_and_what_never_comes_is_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        parse_cron("0 0 1 * mon")
    with pytest.raises(ValueError, match="a day that none of its months has"):
        parse_cron("0 0 30 2 *")
