"""A foreign lock on the state, and a state on a network file system; a second daemon: test_signals.py."""

import sqlite3
import time
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import ExitCode, StateRefused
from cdsed.process.limits import Limits
from cdsed.sandbox.names import realistic_safenames
from cdsed.store.database import FILE_NAME
from cdsed.store.sqlite_errors import BUSY_TIMEOUT_MS
from cdsed.work.recover import open_for_daemon
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_a_locked_state_is_waited_for_and_no_product_is_charged(tmp_path: Path) -> None:
    with SandboxProcess(bandwidth_bytes_per_s=400_000) as sandbox:
        lab = Installation(tmp_path, sandbox)
        names = realistic_safenames("S1_OCN", 6, seed=931)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in names))
        lab.drop("six.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it is in the middle", lambda: list(lab.spool.glob(".cdsed/S1*/*")), daemon=daemon)
            foreign = sqlite3.connect(lab.state / FILE_NAME, isolation_level=None, timeout=30)
            foreign.execute("BEGIN EXCLUSIVE")
            time.sleep(6)
            assert daemon.running()
            assert lab.status()["daemon"]["state"] == "running"
            foreign.execute("ROLLBACK")
            foreign.close()
            wait_until("the report", lambda: lab.report("six.txt"), daemon=daemon)
            assert "died" not in daemon.log()
        assert lab.endings("six.txt") == [("done", 0)] * 6
        assert lab.query("SELECT 1 FROM product WHERE deaths > 0") == []


def test_a_foreign_lock_of_40_s_is_within_what_is_waited_for(tmp_path: Path) -> None:
    settings = Settings()
    assert BUSY_TIMEOUT_MS / 1000 > 40
    assert settings.process.hung_after_s > BUSY_TIMEOUT_MS / 1000
    assert Limits(stop_within_s=0, hung_after_s=0).ready_within_s > BUSY_TIMEOUT_MS / 1000


def test_a_state_on_a_network_file_system_is_refused_with_78(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdsed.store.filesystem.filesystem_kind", lambda *_: "lustre")
    settings = Settings.model_validate({"state_dir": str(tmp_path), "inbox": {"path": str(tmp_path / "in")}})
    with pytest.raises(StateRefused, match="lustre, a network file system") as refused:
        open_for_daemon(settings, SYSTEM_CLOCK)
    assert refused.value.exit_code is ExitCode.CONFIG
    assert list(tmp_path.iterdir()) == []
