"""Only blips are tried again within the session, and a stop ends the wait."""

import threading

import pytest

from cdsed.errors import AccountError, ProductError, ServiceError
from cdsed.transfer.blips import through_blips
from cdsed.work.retrying import pause_s


def run(error, stop, fail_times=99, calls=None):
    calls = [] if calls is None else calls

    def attempt():
        calls.append(len(calls) + 1)
        if len(calls) <= fail_times:
            raise error

    through_blips(stop, attempt)
    return calls


def test_a_blip_passes_unseen():
    assert len(run(ServiceError("x", code="ConnectionLost"), threading.Event(), fail_times=1)) == 2


@pytest.mark.parametrize(
    "error",
    [ServiceError("x", code="SlowDown"), AccountError("x", code="Throttled"), ProductError("x", code="NoSuchKey")],
)
def test_what_is_no_blip_is_not_tried_again(error):
    with pytest.raises(type(error)):
        run(error, threading.Event(), fail_times=1)


def test_after_a_stop_nothing_is_tried_again():
    stop, calls = threading.Event(), []
    stop.set()
    with pytest.raises(ServiceError):
        run(ServiceError("x", code="ConnectionLost"), stop, calls=calls)
    assert calls == [1]


def test_a_failure_that_stays_is_raised_after_three_tries():
    calls = []
    with pytest.raises(ServiceError):
        run(ServiceError("x", code="ConnectionLost"), threading.Event(), calls=calls)
    assert calls == [1, 2, 3]


def test_pauses_double_between_their_bounds():
    for failures, middle in ((0, 2), (1, 2), (2, 4), (3, 8), (9, 60), (10_000, 60)):
        pauses = [pause_s(failures, 2, 60) for _ in range(200)]
        assert middle * 0.8 <= min(pauses) <= max(pauses) <= middle * 1.2
