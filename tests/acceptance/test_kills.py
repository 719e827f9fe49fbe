"""Killed in the middle of a large product, the daemon continues from there."""

import os
import signal
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_a_large_product_killed_at_half_continues_from_there(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_SLC", 1, seed=19)
    size_bytes = 1_000_000_000
    with SandboxProcess(make_accounts(2, seed=1, bandwidth_bytes_per_s=20_000_000)) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"checkpoint_every_s": 0.5})
        sandbox.add_products({"safename": name, "size_bytes": size_bytes})
        sandbox.truth(name)  # its digests take a while; they are not part of the test
        daemon = DaemonProcess(lab)
        with daemon:
            lab.drop("one.txt", [name])
            wait_until("half of it is there", lambda: _sent(sandbox) > size_bytes // 2, daemon=daemon)
            for pid in [daemon.pid, *daemon.worker_pids()]:
                _kill(pid)
            daemon.wait(10)
            wait_until("everything is dead", lambda: not daemon.worker_pids())
            sandbox.reset_counters()
            daemon.start()
            wait_until("it is reported", lambda: lab.report("one.txt"), 90, daemon=daemon)
        assert lab.differences([name]) == []
        assert _sent(sandbox) < 0.55 * size_bytes


def _sent(sandbox: SandboxProcess) -> int:
    return sum(count["bytes_sent"] for count in sandbox.counters()["keys"].values())


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
