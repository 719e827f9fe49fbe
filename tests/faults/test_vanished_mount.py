"""A disk that is not mounted: nothing is written into its empty mount point, and all continues when it is back."""

import re
import subprocess
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import Disk, needs_root
from tests.support.sandbox import SandboxProcess

pytestmark = needs_root


def _names(sandbox: SandboxProcess, count: int, seed: int) -> list[str]:
    names = realistic_safenames("S1_OCN", count, seed=seed)
    sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
    return names


def _lab(tmp_path: Path, sandbox: SandboxProcess, *spools: Path) -> Installation:
    lab = Installation(tmp_path / "lab", sandbox, spools=[str(spool) for spool in spools])
    lab.spool = spools[0]
    return lab


def _take_away(disk: Disk) -> None:
    def taken() -> bool:  # a worker may be reading it
        try:
            disk.take_away()
        except subprocess.CalledProcessError:
            return False
        return True

    wait_until("the disk is free", taken)


def test_a_disk_taken_away_between_two_products_gets_nothing_and_what_waits_for_it_comes_later(
    tmp_path: Path, disk: Disk
) -> None:
    with SandboxProcess() as sandbox:
        names = _names(sandbox, 4, seed=301)
        lab = _lab(tmp_path, sandbox, disk.place)
        lab.drop("first.txt", names[:2])
        with DaemonProcess(lab) as daemon:
            wait_until("the first two", lambda: lab.report("first.txt"), daemon=daemon)
            _take_away(disk)
            lab.drop("second.txt", names[2:])
            wait_until("it is missed", lambda: "mount its disk" in (lab.status()["why_idle"] or ""), daemon=daemon)
            assert list(disk.place.iterdir()) == []
            disk.put_back()
            wait_until("the others", lambda: lab.report("second.txt"), daemon=daemon)
        assert lab.states("second.txt") == dict.fromkeys(names[2:], "done")
        assert lab.differences(names) == []
        reported = re.findall(r"ERROR.*lacks its marker", daemon.log())
        assert 1 <= len(reported) <= 12  # once per probe, not once per product
        disk.take_away()
        assert list(disk.place.iterdir()) == []


def test_a_spool_below_a_mount_point_is_not_made_again_on_the_disk_beneath(tmp_path: Path, disk: Disk) -> None:
    with SandboxProcess() as sandbox:
        names = _names(sandbox, 2, seed=303)
        lab = _lab(tmp_path, sandbox, disk.place / "data" / "spool")
        lab.drop("first.txt", names[:1])
        lab.run_once()
        _take_away(disk)
        lab.drop("second.txt", names[1:])
        with DaemonProcess(lab) as daemon:
            wait_until("it is missed", lambda: "is not there" in (lab.status()["why_idle"] or ""), daemon=daemon)
            assert list(disk.place.iterdir()) == []
            disk.put_back()
            wait_until("its report", lambda: lab.report("second.txt"), daemon=daemon)
        assert lab.differences(names) == []


def test_while_one_spool_is_away_products_go_to_the_other_even_those_begun(tmp_path: Path, disk: Disk) -> None:
    other = tmp_path / "other"
    with SandboxProcess(bandwidth_bytes_per_s=2_000_000) as sandbox:
        [begun] = realistic_safenames("S1_SLC", 1, seed=305)
        sandbox.add_products({"safename": begun, "size_bytes": 8_000_000})
        names = _names(sandbox, 3, seed=307)
        lab = _lab(tmp_path, sandbox, disk.place, other)
        lab.drop("one.txt", [begun])
        with DaemonProcess(lab) as daemon:
            wait_until("it has begun", lambda: list(disk.place.glob(".cdsed/S1*/measurement/*")), daemon=daemon)
            daemon.terminate()
            daemon.wait(20)
        disk.take_away()
        lab.drop("three.txt", names)
        lab.run_once()
        assert lab.differences([begun, *names], other) == []
        assert list(disk.place.iterdir()) == []
        disk.put_back()
        with DaemonProcess(lab) as daemon:  # staging begun there is orphaned now
            wait_until("it is tidied up", lambda: not list(disk.place.glob(".cdsed/S1*")), daemon=daemon)


def test_a_product_on_a_disk_that_is_away_is_not_fetched_again(tmp_path: Path, disk: Disk) -> None:
    with SandboxProcess() as sandbox:
        names = _names(sandbox, 2, seed=304)
        other = tmp_path / "other"
        lab = _lab(tmp_path, sandbox, disk.place, other)
        lab.drop("first.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("both are there", lambda: lab.report("first.txt"), daemon=daemon)
            _take_away(disk)
            sandbox.reset_counters()
            lab.drop("again.txt", names)
            receipt = wait_until("it is taken", lambda: lab.receipt("again.txt"), daemon=daemon)
            disk.put_back()
        assert receipt["counts"]["already_present"] == 2
        assert not any(counted["requests"] for counted in sandbox.counters()["keys"].values())
        assert lab.differences(names) == []


def test_another_disk_is_taken_when_its_owner_says_so_with_the_very_command_of_the_log(
    tmp_path: Path, disk: Disk
) -> None:
    with SandboxProcess() as sandbox:
        names = _names(sandbox, 2, seed=309)
        lab = _lab(tmp_path, sandbox, disk.place)
        lab.drop("first.txt", names[:1])
        lab.run_once()
        disk.take_away()
        lab.drop("second.txt", names[1:])
        with DaemonProcess(lab) as daemon:
            words = wait_until("a command", lambda: re.search(r"(mkdir -p .* && echo \w+ > \S+);", daemon.log()))
            subprocess.run(words[1], shell=True, check=True)
            wait_until("its report", lambda: lab.report("second.txt"), daemon=daemon)
        assert lab.differences(names[1:]) == []


def test_an_emptied_spool_is_still_the_same_one(tmp_path: Path, disk: Disk) -> None:
    with SandboxProcess() as sandbox:
        names = _names(sandbox, 2, seed=311)
        lab = _lab(tmp_path, sandbox, disk.place)
        lab.drop("first.txt", names[:1])
        lab.run_once()
        subprocess.run(f"rm -r {disk.place}/* {disk.place}/.cdsed", shell=True, check=True)
        lab.drop("second.txt", names[1:])
        lab.run_once()
        assert lab.differences(names[1:]) == []
