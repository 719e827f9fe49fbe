"""A worker started by hand, without a supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WORKER = """
import sys
from cdsed import log
from cdsed.errors import ConfigError, StateError
from cdsed.process.worker_control import run_worker

def leaves_when_told(control):
    control.ready()
    control.heartbeat("by hand")
    print("ready", flush=True)
    control.stop.wait()

def does_not_leave(control):
    leaves_when_told(control)
    print("asked", flush=True)
    while True:
        control.now.wait()
        print("now" if control.now.is_set() else "?", flush=True)
        control.now.clear()

def finds_no_settings(control):
    raise ConfigError(["inbox: missing; name a directory"])

def finds_no_state(control):
    raise StateError("the state is on NFS")

def has_a_bug(control):
    raise ValueError("secret_key=hunter2hunter2")

log.setup("by-hand")
sys.exit(run_worker("by-hand", globals()[sys.argv[1]]))
"""


@contextmanager
def start(body: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def says(worker: "subprocess.Popen[str]", word: str) -> bool:
    assert worker.stdout is not None
    return worker.stdout.readline() == word + "\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_worker_run_by_hand_stops_at_every_usual_signal(number: signal.Signals) -> None:
    with start("leaves_when_told") as worker:
        assert says(worker, "ready")
        worker.send_signal(number)
        assert worker.wait(60) == 0


def test_a_second_term_ends_a_worker_that_does_not_leave_and_tells_it_so_before() -> None:
    with start("does_not_leave") as worker:
        assert says(worker, "ready")
        worker.send_signal(signal.SIGTERM)
        assert says(worker, "asked")
        worker.send_signal(signal.SIGTERM)
        assert says(worker, "now")
        assert worker.wait(60) == 1


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("finds_no_settings", 78, "inbox: missing; name a directory"),
        ("finds_no_state", 75, "the state is on NFS"),
    ],
)
def test_an_error_cdsed_understands_is_one_line_and_an_exit_code(body: str, code: int, words: str) -> None:
    with start(body) as worker:
        _, log = worker.communicate(timeout=60)
    assert worker.returncode == code
    assert words in log
    assert log.count("\n") == 1


def test_a_bug_is_logged_with_its_traceback_and_without_secrets() -> None:
    with start("has_a_bug") as worker:
        _, log = worker.communicate(timeout=60)
    assert worker.returncode == 70
    assert "Traceback" in log
    assert "ValueError" in log
    assert "hunter2" not in log
