"""Limits of bandwidth: the total of several processes, equal shares, changes, and connections that only wait."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from cdsed.errors import ServiceError, Stopped
from cdsed.model.operation import BandwidthLimit
from cdsed.transfer.bandwidth import UNLIMITED, BandwidthBudget, Pace
from cdsed.transfer.stall_detector import StallDetector
from tests.support.clocks import HandClock
from tests.support.s3_lab import S3Lab, piece_of

_BUFFER = 2**18


class _Connection:
    """What a pace needs of a connection."""

    closed = False

    @contextmanager
    def held(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        self.closed = True


def limit(bytes_per_s: int, kind: str = "machine", name: str = "") -> BandwidthLimit:
    return BandwidthLimit(kind, name, bytes_per_s, None)


def budget_of(directory: Path | None, *limits: BandwidthLimit, **options: Any) -> BandwidthBudget:
    budget = BandwidthBudget(directory, {"a": "g", "b": "g", "c": "other"}, **options)
    budget.use(limits)
    return budget


#: When a process began and ended, and the bytes of each of its connections.
_Read = tuple[float, float, list[int]]


def read_for(budget: BandwidthBudget, accounts: str, seconds: float) -> list[int]:
    """Read without a pause over one connection of each account; return the bytes of each."""
    received, end_s = [0] * len(accounts), time.monotonic() + seconds

    def read(number: int) -> None:
        pace, connection, stop = Pace(budget, accounts[number]), _Connection(), threading.Event()
        while True:
            count = pace.next_bytes(connection, _BUFFER, stop)  # type: ignore[arg-type]
            if time.monotonic() >= end_s:
                return
            received[number] += count

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(accounts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return received


def _process(directory: Path, bytes_per_s: int, begin: Barrier, results: "multiprocessing.Queue[_Read]") -> None:
    begin.wait(60)
    began_s = time.monotonic()
    received = read_for(budget_of(directory, limit(bytes_per_s)), "abc", 1.5)
    results.put((began_s, time.monotonic(), received))


def test_two_processes_keep_the_limit_together_and_share_it_equally(tmp_path: Path) -> None:
    bytes_per_s = 20_000_000
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[_Read] = context.Queue()
    begin = context.Barrier(2)
    begun = [context.Process(target=_process, args=(tmp_path, bytes_per_s, begin, results)) for _ in range(2)]
    for each in begun:
        each.start()
    (began_s, ended_s, received), (other_began_s, other_ended_s, other) = (
        results.get(timeout=60),
        results.get(timeout=60),
    )
    for each in begun:
        each.join()
    took_s = max(ended_s, other_ended_s) - min(began_s, other_began_s)
    assert 0.9 * 1.5 * bytes_per_s < sum(received) + sum(other) < 1.1 * took_s * bytes_per_s
    assert max(received) < 2 * min(received)


def test_the_total_is_the_limit(tmp_path: Path) -> None:
    received = read_for(budget_of(tmp_path, limit(2_000_000)), "aabbc", 2.0)
    assert 0.9 * 4_000_000 < sum(received) < 1.1 * 4_000_000
    assert max(received) - min(received) <= 5 * 100_000  # a turn; the first begins before the others


def test_all_limits_of_a_connection_hold(tmp_path: Path) -> None:
    budget = budget_of(tmp_path, limit(4_000_000), limit(1_000_000, "group", "g"), limit(250_000, "account", "a"))
    a, b, c = read_for(budget, "abc", 2.0)
    assert a < 1.2 * 2 * 250_000
    assert a + b < 1.15 * 2 * 1_000_000
    assert c > 2 * (a + b)


def test_two_budgets_of_one_directory_take_turns_in_one_line(tmp_path: Path) -> None:
    clock = HandClock()
    first, second = (budget_of(tmp_path, limit(1000), clock=clock) for _ in range(2))
    [one], [other] = first.lines_of("a"), second.lines_of("b")
    begins = [line.take(500) for line in (one, other, one, other)]
    assert [begin - begins[0] for begin in begins] == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("content", [b"", b"x" * 3, b"\xff" * 16, b"\x00" * 7 + b"\x7f" + b"\x00" * 8])
def test_a_damaged_file_or_one_of_another_boot_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bandwidth.machine").write_bytes(content)
    clock = HandClock()
    [line] = budget_of(tmp_path, limit(1000), clock=clock).lines_of("a")
    assert line.take(500) <= clock.boot_s()
    assert line.take(500) <= clock.boot_s() + 0.5


def test_without_a_file_each_process_keeps_the_limit_for_itself(tmp_path: Path) -> None:
    (tmp_path / "bandwidth.machine").mkdir()
    clock = HandClock()
    [line] = budget_of(tmp_path, limit(1000), clock=clock).lines_of("a")
    first = line.take(500)
    assert line.take(500) == first + 0.5


def test_a_new_limit_counts_at_once_for_those_that_wait_at_the_former_one(tmp_path: Path) -> None:
    budget = budget_of(tmp_path, limit(1000))
    for _ in range(100):
        budget.lines_of("a")[0].take(1024)  # a hundred seconds of turns
    begun_s, done_s = time.monotonic(), []
    thread = threading.Thread(
        target=lambda: done_s.append(
            Pace(budget, "a").next_bytes(_Connection(), 1024, threading.Event()) and time.monotonic()  # type: ignore[arg-type]
        )
    )
    thread.start()
    time.sleep(0.1)
    budget.use([limit(10**9)])
    thread.join(10)
    assert done_s[0] - begun_s < 2
    budget.use([])
    assert Pace(budget, "a").next_bytes(_Connection(), _BUFFER, threading.Event()) == _BUFFER  # type: ignore[arg-type]


def test_a_stop_ends_the_wait_and_closes_the_connection(tmp_path: Path) -> None:
    budget = budget_of(tmp_path, limit(1000))
    budget.lines_of("a")[0].take(100_000)
    stop, connection = threading.Event(), _Connection()
    stop.set()
    with pytest.raises(Stopped):
        Pace(budget, "a").next_bytes(connection, _BUFFER, stop)  # type: ignore[arg-type]
    assert connection.closed


def test_without_limits_nothing_is_asked_and_buffers_stay_whole() -> None:
    assert UNLIMITED.next_bytes(_Connection(), _BUFFER, threading.Event()) == _BUFFER  # type: ignore[arg-type]


def checked(detector: StallDetector, done: threading.Event) -> threading.Thread:
    def look() -> None:
        while not done.wait(0.05):
            detector.check()

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def test_a_limit_below_the_least_rate_cuts_no_connection(s3_lab: S3Lab) -> None:
    _, s3_path = s3_lab.product("S5P", size_bytes=300_000)
    [item] = s3_lab.listed(s3_path)
    detector, done = StallDetector(50_000_000, window_s=0.4), threading.Event()
    thread = checked(detector, done)
    begun_s = time.monotonic()
    try:
        with detector.watch(s3_lab.connection):
            s3_lab.fetch(piece_of(item), pace=Pace(budget_of(None, limit(150_000)), "a"))
    finally:
        done.set()
        thread.join()
    assert time.monotonic() - begun_s > 1.5


def test_a_connection_that_trickles_is_cut_whatever_its_limit(s3_lab: S3Lab) -> None:
    _, s3_path = s3_lab.product("S5P", size_bytes=600_000)
    [item] = s3_lab.listed(s3_path)
    s3_lab.sandbox.fault(kind="trickle", key=item.key, times=1, after_bytes=300_000, bytes_per_s=500)
    detector, done = StallDetector(50_000, window_s=1), threading.Event()
    thread = checked(detector, done)
    try:
        with pytest.raises(ServiceError) as error, detector.watch(s3_lab.connection):
            s3_lab.fetch(piece_of(item), pace=Pace(budget_of(None, limit(600_000)), "a"))
    finally:
        done.set()
        thread.join()
        s3_lab.sandbox.clear_faults()
    assert error.value.code == "TooSlow"
