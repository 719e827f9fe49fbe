"""A failing disk pauses alone, not the daemon, and writes one line, however many products wait for it."""

import errno
import re
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import Disk, needs_root
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

# While a file is there, opening files of a place for writing fails.
_SICK = """
def opening(path, flags):
    if path.startswith("{place}") and flags & os.O_WRONLY and os.path.exists("{switch}"):
        raise OSError({number}, os.strerror({number}))
"""


def _products(sandbox: SandboxProcess, count: int, seed: int) -> list[str]:
    names = realistic_safenames("S1_OCN", count, seed=seed)
    sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
    return names


@needs_root
def test_while_one_spool_is_read_only_products_go_to_the_other_and_one_line_tells_of_it(
    tmp_path: Path, disk: Disk
) -> None:
    other = tmp_path / "other"
    with SandboxProcess(accounts=2) as sandbox:
        names = _products(sandbox, 30, seed=321)
        slow = {"first_delay_s": 60, "longest_delay_s": 60}
        lab = Installation(tmp_path / "lab", sandbox, spools=[str(disk.place), str(other)], retry=slow)
        disk.make_read_only()
        lab.drop("thirty.txt", names)
        with DaemonProcess(lab) as daemon:
            done = "SELECT 1 FROM product WHERE state = 'done'"
            # Products that had chosen it before its first failure wait for it.
            wait_until("most have come", lambda: len(lab.query(done)) >= 20, daemon=daemon)
            breakers = lab.status()["open_breakers"]
            assert [item["name"] for item in breakers] == [f"disk:{disk.place}"]
            daemon.terminate()
            daemon.wait(20)
        assert len(re.findall(r"ERROR.*EROFS", daemon.log())) == 1
        assert lab.query("SELECT 1 FROM product WHERE attempts > 0") == []
        assert "Traceback" not in daemon.log()
        disk.make_read_only(yes=False)
        assert len(list(other.glob("S1*"))) >= 20


@pytest.mark.parametrize("number", [errno.EIO, errno.EDQUOT, errno.ENOSPC], ids=lambda number: errno.errorcode[number])
def test_a_sick_spool_is_probed_now_and_then_not_by_each_product(tmp_path: Path, number: int) -> None:
    switch = tmp_path / "sick"
    with SandboxProcess() as sandbox:
        names = _products(sandbox, 40, seed=323)
        retry = {"first_delay_s": 3, "longest_delay_s": 3}
        lab = Installation(tmp_path / "lab", sandbox, retry=retry)
        sick = _SICK.format(place=f"{lab.spool}/.cdsed/S1", switch=switch, number=number)
        lab.drop("first.txt", names[:1])
        with DaemonProcess(lab, environ=when_opening(tmp_path / "hook", sick)) as daemon:
            wait_until("the first", lambda: lab.report("first.txt"), daemon=daemon)
            sandbox.reset_counters()
            switch.touch()
            lab.drop("rest.txt", names[1:])
            wait_until("it is sick", lambda: errno.errorcode[number] in (lab.status()["why_idle"] or ""), daemon=daemon)
            wait_until("it is probed", lambda: daemon.log().count("pauses for") >= 2, daemon=daemon)
            asked = sum(counters["requests"] for counters in sandbox.counters()["accounts"].values())
            assert asked <= 40  # a few sessions at each probe; not all products, again and again
            switch.unlink()
            wait_until("the rest", lambda: lab.report("rest.txt"), daemon=daemon)
        assert lab.endings("rest.txt") == [("done", 0)] * 39
        assert lab.differences(names) == []
        assert daemon.log().count("pauses for") <= 6
        assert "Traceback" not in daemon.log()


def test_one_product_whose_own_directory_always_fails_stops_no_other(tmp_path: Path) -> None:
    switch = tmp_path / "sick"
    switch.touch()
    with SandboxProcess() as sandbox:
        names = _products(sandbox, 4, seed=325)
        lab = Installation(tmp_path / "lab", sandbox)
        sick = _SICK.format(place=f"{lab.spool}/.cdsed/{names[0]}/", switch=switch, number=errno.EIO)
        lab.drop("four.txt", names)
        with DaemonProcess(lab, environ=when_opening(tmp_path / "hook", sick)) as daemon:
            failed = f"SELECT 1 FROM product WHERE safename = '{names[0]}' AND transient_failures > 1"
            wait_until("it fails again and again", lambda: lab.query(failed), daemon=daemon)
            done = "SELECT 1 FROM product WHERE state = 'done'"
            wait_until("the others have come", lambda: len(lab.query(done)) == 3, daemon=daemon)
            assert lab.query("SELECT * FROM breaker") == []
            switch.unlink()
            wait_until("the first one too", lambda: lab.report("four.txt"), daemon=daemon)
        assert lab.endings("four.txt") == [("done", 0)] * 4
        assert "pauses for" not in daemon.log()
