import pytest

from cdsed.view.wording import ago, number, plural, rate, size, span


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (12_000_000_000_000, "12.0 TB"),
        (5e18, "5000.0 PB"),
    ],
)
def test_sizes_are_decimal_and_change_their_unit_before_they_get_four_digits(size_bytes: float, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_durations_show_their_two_greatest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_numbers_are_grouped_and_words_get_their_plural() -> None:
    assert number(1234567) == "1 234 567"
    assert plural(1, "product") == "1 product"
    assert plural(1200, "product") == "1 200 products"
    assert rate(20_000_000) == "20.0 MB/s"


def test_an_instant_in_the_future_is_not_a_negative_time_ago() -> None:
    assert ago(100.0, 90.0) == "1970-01-01T00:01:40Z (0 s ago)"
