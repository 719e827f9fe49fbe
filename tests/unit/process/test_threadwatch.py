"""A thread stuck in a system call is detected. One that works, waits elsewhere, or is only slow is not."""

import os
import threading
import time
from pathlib import Path

import pytest

from cdsed.process.threadwatch import ThreadWatch
from tests.support.daemon import wait_until


@pytest.fixture
def watch() -> ThreadWatch:
    return ThreadWatch()


def _places(watch: ThreadWatch, longer_than_s: float = 0.5) -> list[str]:
    return [stuck.place for stuck in watch.look(longer_than_s)]


def test_a_thread_whose_call_does_not_return_is_stuck_until_it_does(watch: ThreadWatch, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def call() -> None:
        with watch.at("/spool"), watch.at("/spool/inner"):
            os.close(os.open(fifo, os.O_RDONLY))

    thread = threading.Thread(target=call)
    thread.start()
    try:
        stuck = wait_until("it is stuck", lambda: watch.look(0.5))
        assert [(one.place, one.thread) for one in stuck] == [("/spool/inner", thread)]
        assert stuck[0].for_s > 0.5
    finally:
        os.close(os.open(fifo, os.O_WRONLY))
        thread.join()
    assert _places(watch, 0) == []


def test_a_thread_that_works_is_not_stuck_however_long_it_takes(watch: ThreadWatch, tmp_path: Path) -> None:
    stop = threading.Event()
    file = tmp_path / "file"
    file.write_bytes(bytes(2**20))

    def read() -> None:
        with watch.at("/spool"):
            while not stop.is_set():
                file.read_bytes()

    thread = threading.Thread(target=read)
    thread.start()
    until_s = time.monotonic() + 2
    seen = []
    while time.monotonic() < until_s:
        seen += _places(watch, 1.5)
        time.sleep(0.1)
    stop.set()
    thread.join()
    assert seen == []


def test_a_thread_that_rests_elsewhere_is_not_watched(watch: ThreadWatch) -> None:
    stop = threading.Event()

    def rest() -> None:
        with watch.at("/spool"):
            pass
        stop.wait()

    thread = threading.Thread(target=rest)
    thread.start()
    time.sleep(0.3)
    assert _places(watch, 0) == []
    stop.set()
    thread.join()
