"""The kernel's timer closes the connections of a process that cannot run any more."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import wait_until

# Reads a number of seconds from now, or "off", in each line.
HOLD = """
import socket, sys, time
from cdsed.process.deadman import Deadman
deadman = Deadman()
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for line in sys.stdin:
    if line == "off\\n":
        deadman.disarm()
    else:
        deadman.kill_at(time.clock_gettime(time.CLOCK_BOOTTIME) + float(line))
    print("set", flush=True)
"""


class Held:
    """A process with a timer and a connection to the test."""

    def __init__(self, process: "subprocess.Popen[str]", connection: socket.socket) -> None:
        self.process = process
        self.connection = connection

    def set(self, line: str) -> float:
        """Set its timer; return the time before it did so."""
        before_s = time.monotonic()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "set\n"
        return before_s

    def closed_at_s(self) -> float:
        """Wait until the kernel closes its connection; return when."""
        assert self.connection.recv(1) == b""
        return time.monotonic()

    def lives_past(self, end_s: float) -> None:
        """Check that it lives, and has its connection, for longer than until a time that was set."""
        self.connection.settimeout(max(0.1, end_s + 1.5 - time.monotonic()))
        with pytest.raises(TimeoutError):
            self.connection.recv(1)
        assert self.process.poll() is None


@pytest.fixture
def held() -> Iterator[Held]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(server.getsockname()[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        ) as process,
    ):
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(60)
                yield Held(process, connection)
        finally:
            process.kill()


@pytest.fixture
def freezer(tmp_path: Path) -> Iterator[Path]:
    """Give a cgroup of version 2."""
    top = tmp_path / "cgroup"
    top.mkdir()
    mounted = subprocess.run(["mount", "-t", "cgroup2", "none", top], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cgroups of version 2 cannot be mounted here: {mounted.stderr.strip()}")
    group = top / f"cdsed-{os.getpid()}"
    try:
        group.mkdir()
        if not (group / "cgroup.freeze").exists():
            pytest.skip("the kernel has no freezer for cgroups of version 2 (it came with 5.2)")
        yield group
    finally:
        if group.exists():
            wait_until("the group is empty", lambda: not (group / "cgroup.procs").read_text(encoding="ascii"))
            group.rmdir()
        subprocess.run(["umount", top], check=True)


def test_a_stopped_process_loses_its_connection_in_time(held: Held) -> None:
    before_s = held.set("1.5")
    held.process.send_signal(signal.SIGSTOP)
    assert held.closed_at_s() - before_s >= 1.5
    assert held.process.wait() == -signal.SIGKILL


def test_so_does_one_in_a_frozen_cgroup(held: Held, freezer: Path) -> None:
    (freezer / "cgroup.procs").write_text(f"{held.process.pid}", encoding="ascii")
    before_s = held.set("1.5")
    (freezer / "cgroup.freeze").write_text("1", encoding="ascii")
    wait_until("it is frozen", lambda: "frozen 1" in (freezer / "cgroup.events").read_text(encoding="ascii"))
    assert held.closed_at_s() - before_s >= 1.5
    assert held.process.wait() == -signal.SIGKILL


def test_the_first_time_has_no_effect_after_a_renewal(held: Held) -> None:
    first_s = held.set("1.5")
    held.set("600")
    held.lives_past(first_s + 1.5)


def test_a_time_in_the_past_kills_at_once(held: Held) -> None:
    with pytest.raises(AssertionError, match="set"):
        held.set("-1e9")
    assert held.process.wait() == -signal.SIGKILL


def test_a_disarmed_timer_does_not_kill(held: Held) -> None:
    first_s = held.set("1.5")
    held.set("off")
    held.lives_past(first_s + 1.5)
