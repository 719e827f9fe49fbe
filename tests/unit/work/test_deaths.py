"""What the ends of workers say about the products they worked on."""

import signal

import pytest

from cdsed.errors import ExitCode
from cdsed.process.exits import ChildExit
from cdsed.store.processes import DeadWorker, Evidence
from cdsed.work.deaths import Deaths
from tests.support.state import SetClock


def by(number: int) -> ChildExit:
    return ChildExit(code=None, signal=number)


def with_code(code: int) -> ChildExit:
    return ChildExit(code=code, signal=None)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def deaths(clock: SetClock) -> Deaths:
    return Deaths(clock, newest=10)


def said(deaths: Deaths, pid: int, *, process: int = 11, outgrew: bool = False) -> Evidence | None:
    return deaths.evidence(DeadWorker(process, pid, outgrew))


@pytest.mark.parametrize(
    "end",
    [by(number) for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)]
    + [with_code(3), with_code(ExitCode.BUG), with_code(ExitCode.OK)],
    ids=ChildExit.describe,
)
def test_a_crash_or_an_unexpected_exit_of_one_worker_alone_is_proof(deaths, clock, end):
    deaths.ended("download-1", 100, end)
    assert said(deaths, 100) is None  # others may be about to die with it
    clock.pass_s(0.6)
    assert said(deaths, 100) is Evidence.PROOF


@pytest.mark.parametrize(
    "end",
    [by(number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    + [with_code(code) for code in (ExitCode.UNFINISHED, ExitCode.DAMAGED, ExitCode.TEMPORARY, ExitCode.STATE_DISK)],
    ids=ChildExit.describe,
)
def test_a_signal_from_outside_or_an_end_for_the_states_sake_says_nothing(deaths, end):
    deaths.ended("download-1", 100, end)
    assert said(deaths, 100) is Evidence.NOTHING


def test_workers_that_die_at_once_say_nothing_if_one_of_them_was_at_no_product(deaths, clock):
    for number, name in enumerate(["intake", "resolve", "download-1", "download-2"]):
        deaths.ended(name, 100 + number, by(signal.SIGABRT))
        clock.pass_s(0.1)
    clock.pass_s(0.6)
    assert [said(deaths, pid) for pid in (102, 103)] == [Evidence.NOTHING] * 2


def test_two_that_download_and_crash_at_once_are_a_suspicion(deaths, clock):
    deaths.ended("download-1", 100, by(signal.SIGSEGV))
    clock.pass_s(0.2)
    deaths.ended("download-2", 101, by(signal.SIGSEGV))
    clock.pass_s(0.6)
    assert [said(deaths, pid) for pid in (100, 101)] == [Evidence.SUSPICION] * 2


def test_two_that_crash_one_after_the_other_are_proof_each(deaths, clock):
    for pid in (100, 101):
        deaths.ended("download-1", pid, by(signal.SIGSEGV))
        clock.pass_s(0.6)
        assert said(deaths, pid) is Evidence.PROOF


def test_what_the_daemon_before_this_one_had_says_nothing(deaths):
    deaths.ended("download-1", 100, by(signal.SIGSEGV))
    assert said(deaths, 100, process=10) is Evidence.NOTHING


def test_an_unseen_end_is_waited_for_and_says_nothing(deaths, clock):
    assert said(deaths, 100) is None
    clock.pass_s(6)
    assert said(deaths, 100) is Evidence.NOTHING


def test_a_worker_that_was_killed_at_its_memory_limit_is_proof(deaths):
    deaths.ended("download-1", 100, by(signal.SIGKILL))
    assert said(deaths, 100, outgrew=True) is Evidence.PROOF
