"""The disk of the state is full: workers wait, no product is charged, and all continues when there is space."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import fill, mounted
from tests.support.sandbox import SandboxProcess


@pytest.fixture
def state_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    with mounted(tmp_path / "state-disk", "48m") as place:
        yield place


def _lab(tmp_path: Path, sandbox: SandboxProcess, disk: Path) -> Installation:
    lab = Installation(tmp_path / "lab", sandbox, state_dir=str(disk / "state"))
    lab.state = disk / "state"
    return lab


def test_a_full_state_disk_makes_workers_wait_for_space_and_charges_no_product(
    tmp_path: Path, state_disk: Path
) -> None:
    with SandboxProcess(bandwidth_bytes_per_s=500_000) as sandbox:
        lab = _lab(tmp_path, sandbox, state_disk)
        names = realistic_safenames("S1_OCN", 6, seed=921)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_500_000} for name in names))
        lab.drop("six.txt", names)
        filler = state_disk / "filler"
        with DaemonProcess(lab) as daemon:
            wait_until("it is in the middle", lambda: list(lab.spool.glob(".cdsed/S1*/*")), daemon=daemon)
            wait_until("room is kept", lambda: (lab.state / "reserve").exists(), daemon=daemon)
            fill(filler)
            wait_until("the workers pause", lambda: "the workers pause until" in daemon.log(), daemon=daemon)
            wait_until("they have left", lambda: not daemon.worker_pids(), daemon=daemon)
            held = "SELECT count(*) AS held FROM session WHERE process IS NOT NULL"
            wait_until("it could be noted", lambda: lab.query(held) == [{"held": 0}], daemon=daemon)
            assert lab.status()["daemon"]["state"] == "running"
            assert " is full: " in lab.status()["why_idle"]
            assert "Traceback" not in daemon.log()
            assert "Traceback" not in daemon.log()
            filler.unlink()
            wait_until("the report", lambda: lab.report("six.txt"), daemon=daemon)
            assert (lab.state / "reserve").exists()
            assert daemon.running()
        assert lab.endings("six.txt") == [("done", 0)] * 6
        assert lab.query("SELECT 1 FROM product WHERE deaths > 0") == []
        assert lab.differences(names) == []


def test_a_daemon_that_starts_on_a_full_state_disk_uses_the_room_it_has_kept(tmp_path: Path, state_disk: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox, state_disk)
        [name] = realistic_safenames("S1_OCN", 1, seed=923)
        sandbox.add_products({"safename": name, "size_bytes": 10_000})
        filler = state_disk / "filler"
        with DaemonProcess(lab) as daemon:
            wait_until("room is kept", lambda: (lab.state / "reserve").exists(), daemon=daemon)
        fill(filler)
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("it stands", lambda: (lab.state / "reserve").exists() is False, daemon=daemon)
            filler.unlink()
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
            wait_until("room is kept again", lambda: (lab.state / "reserve").exists(), daemon=daemon)
        (lab.state / "reserve").unlink()
        fill(filler)
        refused = lab.command("run", "--once")
        assert refused.returncode == 74
        assert "its disk" in refused.stderr
