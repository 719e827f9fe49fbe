"""One child's times, on a clock moved by hand."""

import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.process.child import Child, ChildSpec, ChildState
from cdsed.process.exits import ChildExit
from cdsed.process.limits import Limits
from cdsed.process.worker_control import PARENT_PIPE_FD
from tests.support.clocks import HandClock

LIMITS = Limits(stop_within_s=20, hung_after_s=90, ready_within_s=60)

SPEAKER = f"""
import os, socket, signal
lifeline = socket.socket(fileno=int(os.environ["{PARENT_PIPE_FD}"]))
lifeline.send(b"ready")
lifeline.send("beat at work: 3 °".encode())
signal.pause()
"""


@pytest.fixture
def silent(clock: HandClock) -> Iterator[Child]:
    child = Child(ChildSpec("silent", ("sleep", "600")), clock)
    yield child
    child.kill()
    child.reap()


@pytest.fixture
def speaker(clock: HandClock) -> Iterator[Child]:
    child = Child(ChildSpec("speaker", (sys.executable, "-c", SPEAKER)), clock)
    while child.text != "at work: 3 °":
        assert select.select([child.parent_pipe], [], [], 10)[0]
        assert child.read_messages()
    yield child
    child.kill()
    child.reap()


def test_a_child_is_starting_until_it_says_ready(silent: Child, speaker: Child) -> None:
    assert silent.read_messages()
    assert silent.state is ChildState.STARTING
    assert speaker.state is ChildState.READY


def test_a_child_has_its_time_to_boot(silent: Child, clock: HandClock) -> None:
    clock.now_s += 60
    assert silent.overdue(LIMITS) is None
    clock.now_s += 1
    assert silent.overdue(LIMITS) == "is not ready after 61 s"


def test_a_child_is_hung_when_its_heartbeat_is_too_old(speaker: Child, clock: HandClock) -> None:
    clock.now_s += 90
    assert speaker.overdue(LIMITS) is None
    clock.now_s += 1
    assert speaker.overdue(LIMITS) == "has sent no heartbeat for 91 s"


def test_a_child_has_its_time_to_leave_from_the_first_request(silent: Child, clock: HandClock) -> None:
    clock.now_s += 59
    silent.terminate()
    clock.now_s += 20
    silent.terminate()
    assert silent.overdue(LIMITS) is None
    clock.now_s += 1
    assert silent.overdue(LIMITS) == "has not left 21 s after SIGTERM"


def test_a_killed_child_is_overdue_until_it_is_gone(speaker: Child) -> None:
    speaker.kill()
    assert speaker.overdue(LIMITS) == "was killed"


def test_excused_time_does_not_count(speaker: Child, clock: HandClock) -> None:
    clock.now_s += 3600
    speaker.excuse(3600)
    assert speaker.overdue(LIMITS) is None
    clock.now_s += 91
    assert speaker.overdue(LIMITS) is not None


def test_the_end_of_a_child_shows_on_its_pidfd_and_its_pipe(clock: HandClock) -> None:
    child = Child(ChildSpec("short", ("sh", "-c", "exit 5")), clock)
    assert select.select([child.pidfd], [], [], 10)[0]
    assert not child.read_messages()
    assert child.reap() == ChildExit(code=5, signal=None)


def test_a_command_that_does_not_exist_leaves_no_descriptor_open(clock: HandClock) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(FileNotFoundError):
        Child(ChildSpec("absent", ("/nonexistent/command",)), clock)
    assert sorted(Path("/proc/self/fd").iterdir()) == before
