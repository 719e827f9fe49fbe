import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import Stopped
from tests.support.clocks import HandClock

ROOT = Path(__file__).resolve().parents[3]
_ASKER = """
import sys, threading
from pathlib import Path
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
rate_limiter = RateLimiter(50, SYSTEM_CLOCK, Path(sys.argv[1]))
for _ in range(10):
    rate_limiter.wait_for_slot(threading.Event())
    print(SYSTEM_CLOCK.boot_s())
"""


@pytest.fixture(params=["in memory", "in a file"])
def file(request, tmp_path):
    return tmp_path / "slots" if request.param == "in a file" else None


def test_slots_are_evenly_spaced(file):
    clock, stop = HandClock(), threading.Event()
    rate_limiter = RateLimiter(2, clock, file)
    for _ in range(3):
        rate_limiter.wait_for_slot(stop)

    assert clock.waited_s == pytest.approx([0, 0.5, 1.0])


def test_there_is_no_burst_after_a_pause(file):
    clock, stop = HandClock(), threading.Event()
    rate_limiter = RateLimiter(2, clock, file)
    rate_limiter.wait_for_slot(stop)
    clock.now_s += 3600
    for _ in range(2):
        rate_limiter.wait_for_slot(stop)

    assert clock.waited_s == pytest.approx([0, 0, 0.5])


def test_a_pause_holds_back_all_who_ask(file):
    clock, stop = HandClock(), threading.Event()
    rate_limiter = RateLimiter(2, clock, file)
    rate_limiter.pause(30)
    rate_limiter.pause(1)
    rate_limiter.wait_for_slot(stop)

    assert clock.waited_s == pytest.approx([30])


def test_a_stop_ends_the_wait(file):
    stop = threading.Event()
    rate_limiter = RateLimiter(0.01, SYSTEM_CLOCK, file)
    rate_limiter.wait_for_slot(stop)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        rate_limiter.wait_for_slot(stop)


def test_two_objects_with_one_file_share_their_slots(tmp_path):
    clock, stop = HandClock(), threading.Event()
    for _ in range(2):
        RateLimiter(2, clock, tmp_path / "slots").wait_for_slot(stop)

    assert clock.waited_s == pytest.approx([0, 0.5])


@pytest.mark.parametrize(
    "left", [b"999990000.0 999999999.0\n", b"an-older-cdsed 999999999.0\n", b"1 nan", b"", b"\xff\xfe", b"nonsense"]
)
def test_a_missing_file_or_one_of_another_boot_is_ignored(tmp_path, left):
    clock = HandClock()
    (tmp_path / "slots").write_bytes(left)
    RateLimiter(2, clock, tmp_path / "slots").wait_for_slot(threading.Event())

    assert clock.waited_s == [0]


def test_a_pause_of_an_earlier_boot_lasts_no_longer_than_it_was_asked_for(tmp_path):
    clock = HandClock()
    RateLimiter(2, clock, tmp_path / "slots").pause(30)
    clock.now_s += 5  # after a reboot at 1030 s of uptime the clock may have come to 1005 s again
    RateLimiter(2, clock, tmp_path / "slots").wait_for_slot(threading.Event())

    assert clock.waited_s == pytest.approx([25])


def test_setting_the_wall_clock_changes_no_slot(tmp_path, monkeypatch):
    clock, stop = HandClock(), threading.Event()
    RateLimiter(2, clock, tmp_path / "slots").wait_for_slot(stop)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    RateLimiter(2, clock, tmp_path / "slots").wait_for_slot(stop)

    assert clock.waited_s == pytest.approx([0, 0.5])


def test_processes_with_one_file_keep_one_rate(tmp_path):
    command = [sys.executable, "-c", _ASKER, str(tmp_path / "slots")]
    askers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
    slots = sorted(float(line) for asker in askers for line in asker.communicate(timeout=60)[0].split())

    assert len(slots) == 30
    assert slots[-1] - slots[0] > 29 / 50 - 0.02
