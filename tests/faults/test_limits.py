"""Limits of bandwidth and windows of pauses in the real daemon: reloads, and what a kill leaves."""

import signal
import time
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_MB = 10**6
_WORKERS = "SELECT id FROM process"
_LIMITS = "SELECT kind, name, bytes_per_s FROM bandwidth_limit"
_PAUSES = "SELECT kind, name FROM pause WHERE source = 'window'"


def test_a_limit_holds_over_all_processes_follows_a_reload_and_survives_no_kill(tmp_path: Path) -> None:
    names = realistic_safenames("S5P", 4, seed=807)
    with SandboxProcess(accounts=2) as sandbox:
        lab = Installation(
            *(tmp_path / "lab", sandbox),
            limits={"machine": [{"bytes_per_s": 2 * _MB}]},
            pauses={"listings": {"later*": [{"days": "mon-sat"}, {"to": "23:59"}]}},
        )
        sandbox.add_products(*({"safename": name, "size_bytes": 2 * _MB} for name in names))
        lab.drop("now.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("bytes arrive", lambda: lab.query("SELECT 1 FROM traffic_step WHERE bytes > 0"), daemon=daemon)
            begun_s = time.monotonic()
            assert lab.query(_LIMITS) == [{"kind": "machine", "name": "", "bytes_per_s": 2 * _MB}]
            wait_until("the report", lambda: lab.report("now.txt"), 60, daemon=daemon)
            # 8 MB in all, and the first 0.6 MB or so came before.
            assert time.monotonic() - begun_s > 0.8 * 8 / 2
            lab.configure(limits={"machine": [], "groups": {"default": [{"bytes_per_s": _MB}]}})
            daemon.send(signal.SIGHUP)
            wait_until("the new limit", lambda: [row["kind"] for row in lab.query(_LIMITS)] == ["group"], daemon=daemon)
            daemon.kill()
        former = lab.query(_WORKERS)  # they stay in the state until the next daemon sweeps it
        lab.configure(
            limits={"groups": {}},
            pauses={
                "listings": {},
                "accounts": {sandbox.accounts[0].name: [{"to": "24:00", "days": "mon-sat"}, {"to": "23:59"}]},
            },
        )
        with DaemonProcess(lab) as daemon:
            wait_until("the sweep", lambda: not any(row in former for row in lab.query(_WORKERS)), daemon=daemon)
            daemon.until_at_work()
            assert lab.query(_LIMITS) == []
            assert lab.query(_PAUSES) == [{"kind": "account", "name": sandbox.accounts[0].name}]
        assert lab.differences(names) == []
