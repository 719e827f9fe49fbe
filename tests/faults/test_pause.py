"""A machine that sleeps, or a daemon that is stopped, for longer than every time-out: nothing is doubled or lost."""

import os
import signal
import time
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_MB = 10**6
_PAUSED_S = 5  # longer than each time-out below


def test_a_daemon_stopped_for_longer_than_its_timeout_continues_where_it_was(tmp_path: Path) -> None:
    names = realistic_safenames("S1_GRD", 4, seed=361)
    with SandboxProcess(bandwidth_bytes_per_s=_MB) as sandbox:
        lab = Installation(
            tmp_path,
            sandbox,
            process={"hung_after_s": 3},
            transfer={"read_timeout_s": 3, "rate_window_s": 2},
        )
        sandbox.add_products(*({"safename": name, "size_bytes": 3 * _MB} for name in names))
        lab.drop("four.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it is in the middle", lambda: sandbox.bytes_sent() > 2 * _MB, daemon=daemon)
            everybody = [daemon.pid, *daemon.worker_pids()]
            for pid in everybody:
                os.kill(pid, signal.SIGSTOP)
            held = lab.query("SELECT account, slot, fence FROM session WHERE process IS NOT NULL")
            time.sleep(_PAUSED_S)
            assert lab.query("SELECT account, slot, fence FROM session WHERE process IS NOT NULL") == held
            for pid in reversed(everybody):
                os.kill(pid, signal.SIGCONT)
            wait_until("the report", lambda: lab.report("four.txt"), daemon=daemon)
            assert [daemon.pid, *daemon.worker_pids()] == everybody  # no worker was killed as hung
        assert lab.endings("four.txt") == [("done", 0)] * 4
        assert "the supervisor was away for" in daemon.log()
        assert lab.differences(names) == []
        assert sandbox.bytes_sent() < 1.5 * 12 * _MB
        assert sandbox.counters()["accounts"]["sandbox-1"]["open_max"] <= 4
        published = lab.query("SELECT product, count(*) AS times FROM event WHERE target = 'done' GROUP BY product")
        assert [row["times"] for row in published] == [1] * 4
