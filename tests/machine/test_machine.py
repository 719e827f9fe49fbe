"""The machine that the other tests of this directory run on: it reaches nothing, and leaves nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.daemon import wait_until
from tests.support.machine.machine import Machine

_BOOT_AND_WAIT = """
import sys, time
from pathlib import Path
from tests.support.machine.machine import Machine
with Machine(Path(sys.argv[1])) as machine:
    print(machine.pid, flush=True)
    time.sleep(600)
"""
_ROOT = Path(__file__).parents[2]


def test_it_is_up_in_seconds_with_every_unit_well(machine: Machine) -> None:
    assert machine.run("systemctl", "is-system-running").strip() == "running"
    assert machine.boot_s < 30


def test_it_has_no_network_but_its_own_loopback(machine: Machine) -> None:
    devices = machine.run("cat", "/proc/net/dev").splitlines()[2:]

    assert [line.split(":")[0].strip() for line in devices] == ["lo"]


def test_what_it_writes_does_not_reach_its_tree(machine: Machine) -> None:
    machine.run("touch", "/usr/bin/something")

    assert not (machine.tree / "usr/bin/something").exists()


def test_one_whose_test_is_killed_dies_with_it(machine: Machine) -> None:
    command = [sys.executable, "-c", _BOOT_AND_WAIT, machine.tree]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as test:
        assert test.stdout is not None
        pid = int(test.stdout.readline())
        test.send_signal(signal.SIGKILL)

    wait_until("its systemd is gone", lambda: not Path(f"/proc/{pid}").exists())
    assert os.fspath(machine.tree.parent / "mounted") not in Path("/proc/self/mounts").read_text()
