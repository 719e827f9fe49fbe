"""While no account can be used, the daemon waits: no busy loop, and the status says why and until when."""

import os
import time
from dataclasses import replace
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def _cpu_s(pids: list[int]) -> float:
    """Return the processor time that processes have used, in seconds."""
    stats = [Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split() for pid in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


def test_without_a_usable_account_the_daemon_waits_and_the_status_says_why(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 20, seed=371)
    with SandboxProcess(accounts=2) as sandbox:
        wrong = [replace(account, secret_key="0" * 40) for account in sandbox.accounts]
        retry = {"account_first_delay_s": 300, "account_longest_delay_s": 300}
        lab = Installation(tmp_path, sandbox, accounts=wrong, retry=retry)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        lab.drop("twenty.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("both cool", lambda: daemon.log().count("it backs off for") == 2, daemon=daemon)
            held = "SELECT 1 FROM session WHERE process IS NOT NULL"  # for the pieces under way on the other sessions
            wait_until("all is quiet", lambda: not lab.query(held), daemon=daemon)
            asked = len(sandbox.requests())
            everybody = [daemon.pid, *daemon.worker_pids()]
            before_s, begun_s = _cpu_s(everybody), time.monotonic()
            lines = daemon.log().count("\n")
            time.sleep(3)
            spent = (_cpu_s(everybody) - before_s) / (time.monotonic() - begun_s)
            assert spent < 0.15  # of one processor, all five processes together
            assert len(sandbox.requests()) == asked
            assert daemon.log().count("\n") <= lines + 1
            response = lab.command("status")
            assert response.returncode == 1
            assert "no account can be used" in response.stdout
            assert "its S3 secret key does not fit its access key" in response.stdout
            assert "tried again in" in response.stdout
            assert daemon.running()
            assert daemon.worker_pids() == everybody[1:]
        assert lab.query("SELECT count(*) AS charged FROM product WHERE attempts > 0") == [{"charged": 0}]
