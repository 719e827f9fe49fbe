"""How many lines of a long listing intake enters at a time."""

import pytest

from cdsed.model.listing import Named
from cdsed.work.rounds import BatchSize, batches
from tests.support.state import SetClock


def _sizes(lines, write_s):
    """Return the sizes of batches if each line takes so long to enter; the last batch is known as such."""
    clock = SetClock()
    pace, sizes = BatchSize(clock), []
    last = []
    for batch, is_last in batches(iter([Named(number, "x") for number in range(lines)]), pace):
        begun_s = clock.boot_s()
        clock.pass_s(write_s * len(batch))
        pace.timed(len(batch), begun_s)
        sizes.append(len(batch))
        last.append(is_last)
    assert last == [False] * (len(sizes) - 1) + [True] * bool(sizes)
    return sizes


@pytest.mark.parametrize(("lines", "sizes"), [(0, []), (1, [1]), (500, [500]), (501, [500, 1]), (1500, [500, 1000])])
def test_only_the_last_batch_is_the_last_one(lines, sizes):
    assert _sizes(lines, 1e-6) == sizes


def test_batches_grow_until_they_hold_the_write_lock_for_a_twentieth_of_a_second():
    assert _sizes(20_000, 20e-6)[:4] == [500, 1000, 2000, 2500]


def test_batches_never_have_more_lines_than_memory_should_hold():
    assert max(_sizes(50_000, 1e-9)) == 5000


def test_on_a_slow_disk_a_batch_still_has_some_lines():
    assert set(_sizes(5_000, 0.01)) == {500}
