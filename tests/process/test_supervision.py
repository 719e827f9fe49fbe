"""A real supervisor, real workers, real signals. A datagram socket stands for systemd."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DAEMON = Path(__file__).with_name("supervision_daemon.py")
_IDLE_TIMEOUT_S = 60
LIMITS = {"stop_within_s": 60, "hung_after_s": 60, "restart_first_s": 0.05, "boot_failures_max": 3}


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie that waits for the test machine's init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Daemon:
    """Drives one supervisor: starts it, signals it, reads its journal and what it tells systemd."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "config.json"
        self.journal = directory / "journal"
        self.log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.message: list[str] = []
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._systemd.bind(str(directory / "notify"))

    def configure(self, children: dict[str, str], **limits: float) -> None:
        text = json.dumps({"children": children, "limits": LIMITS | limits})
        new = self.config.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.config)

    def start(self, children: dict[str, str], **limits: float) -> "Daemon":
        self.configure(children, **limits)
        environment = os.environ | {
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "WATCHDOG_USEC": "200000",
            "PYTHONPATH": str(DAEMON.parents[2]),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(DAEMON), str(self.config), str(self.journal)],
                stderr=log,
                env=environment,
            )
        return self

    def close(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        for line in self.lines("", "began"):
            pid = int(line.split()[2])
            if alive(pid):
                os.killpg(os.getpgid(pid), signal.SIGKILL)
        self._systemd.close()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(LIMITS["stop_within_s"] / 2)

    def lines(self, name: str, event: str) -> list[str]:
        """The journal's lines about one event of one process, or of all."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_text(encoding="utf-8").split("\n")
        return [line for line in lines if line.startswith(name) and line.split()[1:2] == [event]]

    def pids(self, name: str, event: str = "ready") -> list[int]:
        return [int(line.split()[2]) for line in self.lines(name, event)]

    def running(self) -> set[str]:
        """The names of the children that live."""
        return {line.split()[0] for line in self.lines("", "began") if alive(int(line.split()[2]))} - {"daemon"}

    def messages(self, word: str) -> list[str]:
        while True:
            try:
                self.message.append(self._systemd.recv(4096).decode())
            except BlockingIOError:
                return [message for message in self.message if word in message]

    def until(self, what: str, condition: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + _IDLE_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline_s:
                text = self.log.read_text(encoding="utf-8")
                pytest.fail(f"not within {_IDLE_TIMEOUT_S} s: {what}\n{text}\n{self.message}")
            time.sleep(0.01)

    def until_ready(self, times: int = 1) -> None:
        self.until("READY=1", lambda: len(self.messages("READY=1")) >= times)

    def until_ticks(self, more: int) -> None:
        seen = len(self.lines("daemon", "tick"))
        self.until(f"{more} ticks", lambda: len(self.lines("daemon", "tick")) >= seen + more)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.close()


def test_ready_is_sent_only_when_every_child_is_ready(daemon: Daemon) -> None:
    daemon.start({"a": "works", "b": "gated"})
    daemon.until("a is ready, b has begun", lambda: daemon.lines("a", "ready") and daemon.lines("b", "began"))
    daemon.until_ticks(3)
    assert not daemon.messages("READY=1")
    (daemon.directory / "gate").touch()
    daemon.until_ready()
    assert daemon.messages("READY=1") == ["READY=1\nSTATUS=all is well"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_stops_everything_in_order(daemon: Daemon, number: signal.Signals) -> None:
    daemon.start({"a": "works", "b": "works"}).until_ready()
    daemon.send(number)
    assert daemon.wait() == 0
    assert len(daemon.lines("a", "left")) == len(daemon.lines("b", "left")) == 1
    assert [line.split(maxsplit=4)[4] for line in daemon.lines("daemon", "buried")] == ["exited with 0 (in order)"] * 2
    assert "STATUS=stopping: waiting for a, b" in daemon.messages("STOPPING=1")[0]


def test_a_child_that_ignores_the_request_to_leave_is_killed_after_the_deadline(daemon: Daemon) -> None:
    daemon.start({"a": "deaf", "b": "works"}, stop_within_s=0.5).until_ready()
    daemon.send(signal.SIGTERM)
    assert daemon.wait() == 0
    assert daemon.lines("a", "heard")
    assert not alive(daemon.pids("a")[0])
    assert "killed by signal 9" in daemon.lines("daemon", "buried")[-1]


def test_a_second_signal_kills_at_once(daemon: Daemon) -> None:
    daemon.start({"a": "deaf"}).until_ready()
    daemon.send(signal.SIGTERM)
    daemon.until("the child heard the first signal", lambda: daemon.lines("a", "heard"))
    daemon.send(signal.SIGTERM)
    assert daemon.wait() == 0
    assert not alive(daemon.pids("a")[0])


def test_a_stop_during_boot_works_at_once(daemon: Daemon) -> None:
    daemon.start({"a": "boots-for-ever", "b": "works"})
    daemon.until("the boot has begun", lambda: daemon.lines("a", "began") and daemon.lines("b", "ready"))
    daemon.send(signal.SIGTERM)
    assert daemon.wait() == 0
    assert not daemon.messages("READY=1")


def test_a_killed_child_is_reaped_and_then_started_again(daemon: Daemon) -> None:
    daemon.start({"a": "works", "b": "works"}).until_ready()
    first = daemon.pids("a")[0]
    os.kill(first, signal.SIGKILL)
    daemon.until("a new one is ready", lambda: len(daemon.pids("a")) == 2)
    journal = daemon.journal.read_text(encoding="utf-8")
    burial = f"daemon buried a {first} was killed by signal 9 (Killed)"
    assert journal.index(burial) < journal.index(f"a began {daemon.pids('a')[1]}")
    assert len(daemon.pids("b")) == 1


def test_what_a_killed_child_had_started_dies_with_it(daemon: Daemon) -> None:
    daemon.start({"a": "begets"})
    daemon.until("it has a child of its own", lambda: daemon.pids("a", "begot"))
    os.kill(daemon.pids("a")[0], signal.SIGKILL)
    daemon.until("the grandchild is gone", lambda: not alive(daemon.pids("a", "begot")[0]))


def test_children_of_a_killed_supervisor_leave_even_when_their_work_does_not(
    daemon: Daemon,
) -> None:
    daemon.start({"a": "works", "b": "deaf", "c": "boots-for-ever"})
    daemon.until("all have begun", lambda: daemon.pids("a") and daemon.pids("b") and daemon.pids("c", "began"))
    daemon.send(signal.SIGKILL)
    daemon.wait()
    daemon.until("all are gone", lambda: not any(alive(pid) for pid in daemon.pids("", "began")))
    assert daemon.lines("a", "left")[0].endswith("orphaned")
    assert daemon.lines("b", "heard")
    assert not daemon.lines("b", "left")


def test_a_child_that_refuses_its_configuration_halts_everything(daemon: Daemon) -> None:
    daemon.start({"a": "works", "b": "refuses"})
    assert daemon.wait() == 78
    assert len(daemon.pids("b", "began")) == 1
    assert not any(alive(pid) for pid in daemon.pids("a", "began"))
    assert "colour: no such key; remove it" in daemon.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("behaviour", ["crashes-at-boot", "absent"])
def test_a_child_that_cannot_boot_ends_the_supervisor_after_some_tries(daemon: Daemon, behaviour: str) -> None:
    daemon.start({"a": behaviour})
    assert daemon.wait() == 70
    assert daemon.log.read_text(encoding="utf-8").count("starts again in") == 2


def test_a_child_that_is_never_ready_is_killed(daemon: Daemon) -> None:
    daemon.start({"a": "boots-for-ever"}, ready_within_s=0.7, boot_failures_max=1)
    assert daemon.wait() == 70
    assert "is not ready after 1 s: killing it" in daemon.log.read_text(encoding="utf-8")


def test_a_crash_loop_after_boot_does_not_end_the_supervisor_and_is_slowed_down(daemon: Daemon) -> None:
    daemon.start({"a": "crashes", "b": "works"})
    daemon.until("five lives", lambda: len(daemon.pids("a")) >= 5)
    log = daemon.log.read_text(encoding="utf-8")
    assert re.findall(r"a starts again in (\S+) s", log)[:4] == ["0.1", "0.1", "0.2", "0.4"]
    assert "RuntimeError: no life" in log
    assert len(daemon.pids("b")) == 1


def test_systemd_learns_of_a_crash_loop_and_of_its_end(daemon: Daemon) -> None:
    daemon.start({"a": "recovers", "b": "works"}, well_after_s=12)
    daemon.until("the loop", lambda: daemon.messages("a crashes in a loop"))
    [reported] = daemon.messages("a crashes in a loop")
    assert reported == "STATUS=a crashes in a loop (3 times; it exited with 70 (an error in cdsed itself)); all is well"
    daemon.until("it is well", lambda: daemon.messages("STATUS=")[-1] == "STATUS=all is well")


def test_systemd_grants_a_start_and_a_reload_the_time_that_children_have(daemon: Daemon) -> None:
    daemon.start({"a": "works", "b": "works"}, ready_within_s=100, restart_longest_s=30).until_ready()
    assert daemon.messages("EXTEND_TIMEOUT_USEC") == [f"EXTEND_TIMEOUT_USEC={3 * 130 * 1_000_000}"]
    daemon.send(signal.SIGHUP)
    daemon.until_ready(times=2)
    assert daemon.messages("EXTEND_TIMEOUT_USEC")[1] == f"EXTEND_TIMEOUT_USEC={2 * 160 * 1_000_000}"


def test_a_hung_child_is_killed_and_started_again(daemon: Daemon) -> None:
    daemon.start({"a": "hangs", "b": "works"}, hung_after_s=0.7)
    daemon.until("a second one is ready", lambda: len(daemon.pids("a")) >= 2)
    assert "killed by signal 9" in daemon.lines("daemon", "buried")[0]
    assert len(daemon.pids("b")) == 1


def test_a_child_that_leaves_unasked_is_started_again(daemon: Daemon) -> None:
    daemon.start({"a": "leaves"})
    daemon.until("a second one is ready", lambda: len(daemon.pids("a")) >= 2)
    assert daemon.lines("daemon", "buried")[0].endswith("exited with 0 (in order)")


def test_time_in_which_the_supervisor_was_stopped_is_not_held_against_its_children(daemon: Daemon) -> None:
    daemon.start({"a": "works"}, hung_after_s=2).until_ready()
    child = daemon.pids("a")[0]
    os.kill(child, signal.SIGSTOP)
    daemon.send(signal.SIGSTOP)
    stopped_s = time.monotonic()
    daemon.until("longer than a child may be silent", lambda: time.monotonic() > stopped_s + 4)
    daemon.send(signal.SIGCONT)
    daemon.until("it noticed", lambda: "was away for" in daemon.log.read_text(encoding="utf-8"))
    os.kill(child, signal.SIGCONT)
    daemon.until_ticks(4)
    assert daemon.pids("a") == [child]


def test_a_reload_replaces_every_child_and_tells_systemd_of_it(daemon: Daemon) -> None:
    daemon.start({"a": "works", "b": "works"}).until_ready()
    daemon.configure({"a": "works", "c": "works"})
    daemon.send(signal.SIGHUP)
    daemon.until_ready(times=2)
    assert len(daemon.pids("a")) == 2
    assert len(daemon.pids("b")) == len(daemon.pids("c")) == 1
    assert daemon.lines("a", "left")
    assert daemon.lines("b", "left")
    reloading = daemon.messages("RELOADING=1")
    assert len(reloading) == 1
    monotonic_us = int(reloading[0].removeprefix("RELOADING=1\nMONOTONIC_USEC="))
    assert 0 < time.monotonic_ns() // 1000 - monotonic_us < 60e6


def test_a_reload_with_a_bad_configuration_changes_nothing(daemon: Daemon) -> None:
    daemon.start({"a": "works"}).until_ready()
    daemon.config.write_text("{", encoding="utf-8")
    daemon.send(signal.SIGHUP)
    daemon.until_ready(times=2)
    daemon.until_ticks(2)
    assert "reload failed" in daemon.log.read_text(encoding="utf-8")
    assert len(daemon.pids("a")) == 1
    assert alive(daemon.pids("a")[0])


def test_settings_that_are_spoilt_just_after_a_reload_do_not_end_what_was_ready_once(daemon: Daemon) -> None:
    daemon.start({"a": "works"}).until_ready()
    daemon.configure({"a": "refuses", "b": "refuses"})  # as if an editor saved a draft after the daemon had read it
    daemon.send(signal.SIGHUP)
    daemon.until("both try again", lambda: min(len(daemon.pids(name, "began")) for name in "ab") >= 3)
    daemon.configure({"a": "works", "b": "works"})
    daemon.send(signal.SIGHUP)
    daemon.until("both work", lambda: daemon.running() == {"a", "b"} and len(daemon.pids("b")) == 1)


def test_a_reload_storm_ends_with_the_last_configuration_running(daemon: Daemon) -> None:
    daemon.start({"a": "works", "b": "works"}).until_ready()
    for number in range(10):
        daemon.configure({"a": "works", f"b{number}": "works"})
        daemon.send(signal.SIGHUP)
        daemon.until("it was heard", lambda seen=number: len(daemon.messages("RELOADING=1")) > seen)
    daemon.until("only the last ones run", lambda: daemon.running() == {"a", "b9"})
    daemon.until("systemd knows", lambda: "READY=1" in (daemon.messages("=1\n") or [""])[-1])


def test_the_watchdog_is_fed_until_the_tick_fails_and_failing_on_ends_the_supervisor(daemon: Daemon) -> None:
    daemon.start({"a": "works"}).until_ready()
    daemon.until("it is fed", lambda: len(daemon.messages("WATCHDOG=1")) >= 5)
    (daemon.directory / "fail").touch()
    daemon.until_ticks(2)
    fed = len(daemon.messages("WATCHDOG=1"))
    assert daemon.wait() == 70
    assert len(daemon.messages("WATCHDOG=1")) == fed
    assert "10 failures in a row" in daemon.log.read_text(encoding="utf-8")


def test_the_supervisor_leaves_in_order_when_its_program_is_finished(daemon: Daemon) -> None:
    daemon.start({"a": "works"}).until_ready()
    (daemon.directory / "finish").touch()
    assert daemon.wait() == 1
    assert daemon.lines("a", "left")


def test_a_child_has_a_session_of_its_own_no_input_and_nothing_of_systemd(daemon: Daemon) -> None:
    daemon.start({"a": "tells"})
    daemon.until("its report", lambda: daemon.lines("a", "tells"))
    assert daemon.lines("a", "tells")[0] == f"a tells {daemon.pids('a')[0]} /dev/null []"
