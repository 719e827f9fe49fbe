"""A full or read-only disk charges no product: products wait, `cdsed status` says for what, and then they arrive."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import fill, mounted
from tests.support.sandbox import SandboxProcess

_MB = 10**6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    with mounted(tmp_path / "small", "12000k") as place:
        yield place


def _lab(tmp_path: Path, sandbox: SandboxProcess, disk: Path) -> Installation:
    lab = Installation(tmp_path / "lab", sandbox, spools=[str(disk / "spool")])
    lab.spool = disk / "spool"
    return lab


def _add(sandbox: SandboxProcess, count: int, size_bytes: int, *, seed: int) -> list[str]:
    names = realistic_safenames("S1_OCN", count, seed=seed)
    sandbox.add_products(*({"safename": name, "size_bytes": size_bytes} for name in names))
    return names


def _why_idle(lab: Installation) -> str:
    return lab.status()["why_idle"] or ""


def test_products_that_find_no_room_wait_until_there_is_some(tmp_path: Path, small_disk: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox, small_disk)
        names = _add(sandbox, 3, 5 * _MB, seed=71)
        lab.drop("three.txt", names)
        with DaemonProcess(lab) as daemon:
            come = wait_until("two have come", lambda: len(c := list(lab.spool.glob("S1*"))) == 2 and c, daemon=daemon)
            # "no room" if it is refused in planning; "no space" if another one was planned at the same time
            words = wait_until("status says why", lambda: "no " in (w := _why_idle(lab)) and w, daemon=daemon)
            assert "no room" in words or "no space left" in words
            assert str(lab.spool) in words
            assert not lab.report("three.txt")
            for product in come:
                subprocess.run(["cp", "-r", product, tmp_path], check=True)
                subprocess.run(["rm", "-r", product], check=True)
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
        assert lab.endings("three.txt") == [("done", 0)] * 3
        [last] = [name for name in names if not (tmp_path / name).exists()]
        assert lab.differences([last]) == []


def test_a_disk_that_others_fill_while_a_product_comes_pauses_it(tmp_path: Path, small_disk: Path) -> None:
    with SandboxProcess(bandwidth_bytes_per_s=_MB) as sandbox:
        lab = _lab(tmp_path, sandbox, small_disk)
        [name] = _add(sandbox, 1, 8 * _MB, seed=73)
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("it has begun", lambda: list(lab.spool.glob(".cdsed/S1*")), daemon=daemon)
            filler = small_disk / "filler"
            fill(filler)
            words = wait_until("status says why", lambda: "no space" in (w := _why_idle(lab)) and w, daemon=daemon)
            assert f"disk:{lab.spool}" in words
            filler.unlink()
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
        assert lab.endings("one.txt") == [("done", 0)]
        assert lab.differences([name]) == []
        assert sandbox.bytes_sent() < 12 * _MB  # what had arrived was kept


def test_a_disk_that_turns_read_only_pauses_and_no_more(tmp_path: Path, small_disk: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox, small_disk)
        names = _add(sandbox, 5, _MB, seed=75)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        lab.drop("five.txt", names)
        with DaemonProcess(lab) as daemon:
            words = wait_until("status says why", lambda: "ead-only" in (w := _why_idle(lab)) and w, daemon=daemon)
            assert "EROFS" in words
            assert not lab.report("five.txt")
            subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
            wait_until("the report", lambda: lab.report("five.txt"), daemon=daemon)
        assert lab.endings("five.txt") == [("done", 0)] * 5
        assert lab.differences(names) == []
        assert "Traceback" not in daemon.log()
