import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cdsed.catalogue.pace import Pace
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import Stopped
from tests.support.clocks import HandClock

ROOT = Path(__file__).resolve().parents[3]
_TAKER = """
import sys, threading
from pathlib import Path
from cdsed.catalogue.pace import Pace
from cdsed.clock import SYSTEM_CLOCK
pace = Pace(50, SYSTEM_CLOCK, Path(sys.argv[1]))
for _ in range(10):
    pace.wait_for_turn(threading.Event())
    print(SYSTEM_CLOCK.boot_s())
"""


@pytest.fixture(params=["in memory", "in a file"])
def file(request, tmp_path):
    return tmp_path / "pace" if request.param == "in a file" else None


def test_turns_are_evenly_spaced(file):
    clock, stop = HandClock(), threading.Event()
    pace = Pace(2, clock, file)
    for _ in range(3):
        pace.wait_for_turn(stop)

    assert clock.waited_s == pytest.approx([0, 0.5, 1.0])


def test_there_is_no_burst_after_a_pause(file):
    clock, stop = HandClock(), threading.Event()
    pace = Pace(2, clock, file)
    pace.wait_for_turn(stop)
    clock.now_s += 3600
    for _ in range(2):
        pace.wait_for_turn(stop)

    assert clock.waited_s == pytest.approx([0, 0, 0.5])


def test_a_rest_holds_everybody_back(file):
    clock, stop = HandClock(), threading.Event()
    pace = Pace(2, clock, file)
    pace.rest(30)
    pace.rest(1)
    pace.wait_for_turn(stop)

    assert clock.waited_s == pytest.approx([30])


def test_a_stop_ends_the_wait(file):
    stop = threading.Event()
    pace = Pace(0.01, SYSTEM_CLOCK, file)
    pace.wait_for_turn(stop)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        pace.wait_for_turn(stop)


def test_two_objects_with_one_file_share_their_turns(tmp_path):
    clock, stop = HandClock(), threading.Event()
    for _ in range(2):
        Pace(2, clock, tmp_path / "pace").wait_for_turn(stop)

    assert clock.waited_s == pytest.approx([0, 0.5])


@pytest.mark.parametrize(
    "left", [b"999990000.0 999999999.0\n", b"an-older-cdsed 999999999.0\n", b"1 nan", b"", b"\xff\xfe", b"nonsense"]
)
def test_what_another_boot_or_nobody_left_counts_for_nothing(tmp_path, left):
    clock = HandClock()
    (tmp_path / "pace").write_bytes(left)
    Pace(2, clock, tmp_path / "pace").wait_for_turn(threading.Event())

    assert clock.waited_s == [0]


def test_a_rest_of_an_earlier_boot_lasts_no_longer_than_it_was_asked_for(tmp_path):
    clock = HandClock()
    Pace(2, clock, tmp_path / "pace").rest(30)
    clock.now_s += 5  # after a reboot at 1030 s of uptime the clock may have come to 1005 s again
    Pace(2, clock, tmp_path / "pace").wait_for_turn(threading.Event())

    assert clock.waited_s == pytest.approx([25])


def test_setting_the_wall_clock_changes_no_turn(tmp_path, monkeypatch):
    clock, stop = HandClock(), threading.Event()
    Pace(2, clock, tmp_path / "pace").wait_for_turn(stop)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    Pace(2, clock, tmp_path / "pace").wait_for_turn(stop)

    assert clock.waited_s == pytest.approx([0, 0.5])


def test_processes_with_one_file_keep_one_pace(tmp_path):
    command = [sys.executable, "-c", _TAKER, str(tmp_path / "pace")]
    takers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
    turns = sorted(float(line) for taker in takers for line in taker.communicate(timeout=60)[0].split())

    assert len(turns) == 30
    assert turns[-1] - turns[0] > 29 / 50 - 0.02
