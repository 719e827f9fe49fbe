"""Listening sockets: the sandbox listens on loopback only, the daemon on none."""

import json
import socket
from pathlib import Path

import pytest

from cdsed.errors import UsageError
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.server import Sandbox
from tests.support.daemon import DaemonProcess, Installation
from tests.support.sandbox import SandboxProcess


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "169.254.1.1", "10.0.0.1", "::ffff:10.0.0.1"])
def test_the_sandbox_refuses_to_listen_elsewhere(host):
    with pytest.raises(UsageError, match="loopback only"):
        Sandbox(make_accounts(1, seed=1), host=host)


def _listening(pid: int) -> set[tuple[str, str]]:
    """Return (protocol, address in the kernel's hexadecimal) of every listening socket of a process."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            listens = fields[3] == "0A" if protocol.startswith("tcp") else fields[3] == "07"
            if listens and fields[9] in inodes:
                found.add((protocol, fields[1].partition(":")[0]))
    return found


def test_the_kernel_says_that_the_sandbox_listens_on_loopback_and_the_daemon_nowhere(tmp_path: Path):
    loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    with SandboxProcess(1) as sandbox:
        assert _listening(sandbox.pid) == {("tcp", loopback)}
        lab = Installation(tmp_path / "lab", sandbox)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            for pid in (daemon.pid, *daemon.worker_pids()):
                assert _listening(pid) == set()
            assert json.loads(lab.command("status", "--json").stdout)["daemon"]["state"] == "running"
