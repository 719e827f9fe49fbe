"""Listings as people and programs drop them, at a daemon that may die in between."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.faults.intake import counts, lab_that_only_takes
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import Disk, needs_root
from tests.support.sandbox import SandboxProcess


def test_a_file_that_is_written_slowly_is_not_taken_before_its_writer_closes_it(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 8, seed=81)
    with SandboxProcess() as sandbox:
        lab = lab_that_only_takes(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            slow = lab.inbox / "slow.txt"
            with slow.open("w", encoding="utf-8") as file:
                for number, name in enumerate(names[:4]):
                    file.write(f"{name}\n")
                    file.flush()
                    written_s = time.monotonic()
                    lab.drop(f"quick-{number}.txt", [names[4 + number]])
                    wait_until("others are taken", lambda: lab.receipt(f"quick-{number}.txt"), daemon=daemon)  # noqa: B023
                    wait_until("three rests have passed", lambda: time.monotonic() > written_s + 0.6)  # noqa: B023
                    assert slow.exists()
            wait_until("it is taken", lambda: lab.receipt("slow.txt"), daemon=daemon)
        assert counts(lab, "slow.txt")["lines"] == counts(lab, "slow.txt")["accepted"] == 4


def test_what_was_dropped_while_it_was_down_is_taken_at_the_start(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 3, seed=83)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
        lab.drop("before.txt", names[:1])
        with DaemonProcess(lab) as daemon:
            wait_until("the first is finished", lambda: lab.report("before.txt"), daemon=daemon)
            daemon.kill()
            lab.drop("meanwhile.txt", names[1:2])
            with (lab.inbox / "written.csv").open("w", encoding="utf-8") as file:
                file.write(f"Id,Name\n1b4e28ba-2fa1-11d2-883f-0016d3cca427,{names[2]}\n")
            daemon.start()
            wait_until(
                "both are finished", lambda: lab.report("meanwhile.txt") and lab.report("written.csv"), daemon=daemon
            )
        assert lab.differences(names) == []


def test_a_long_listing_does_not_make_intake_look_hung(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 25_000, seed=87)
    with SandboxProcess() as sandbox:
        lab = lab_that_only_takes(tmp_path, sandbox, process={"hung_after_s": 2})
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            lab.drop("long.txt", names)
            wait_until("the receipt", lambda: lab.receipt("long.txt"), daemon=daemon)
        assert not re.search(r"intake \(pid \d+\) has sent no heartbeat", daemon.log())
        assert counts(lab, "long.txt")["accepted"] == 25_000


def test_a_stop_in_the_middle_of_a_long_listing_is_obeyed_and_it_continues_later(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 20_000, seed=89)
    with SandboxProcess() as sandbox:
        lab = lab_that_only_takes(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            lab.drop("long.txt", names)
            wait_until(
                "it is being taken", lambda: lab.query("SELECT 1 FROM listing WHERE items_taken > 0"), daemon=daemon
            )
            daemon.terminate()
            assert daemon.wait(60) == 0
            assert not lab.receipt("long.txt")
            daemon.start()
            wait_until("the receipt", lambda: lab.receipt("long.txt"), daemon=daemon)
        assert counts(lab, "long.txt")["accepted"] == counts(lab, "long.txt")["lines"] == 20_000


def test_a_file_in_utf_16_is_rejected_with_the_reason(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=91)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        (lab.inbox / "notepad.txt").write_bytes(f"{name}\r\n".encode("utf-16"))
        lab.run_once(1)
        rejected = lab.inbox / ".rejected"
        assert (rejected / "notepad.txt").is_file()
        assert "UTF-16" in (rejected / "notepad.txt.receipt.txt").read_text(encoding="utf-8")
        assert '"refused"' in (rejected / "notepad.txt.receipt.json").read_text(encoding="utf-8")
        assert lab.query("SELECT 1 FROM product") == []


def test_an_inbox_that_is_gone_for_a_while_stops_neither_the_daemon_nor_its_downloads(tmp_path: Path) -> None:
    first, second = realistic_safenames("S1_OCN", 2, seed=931)
    reported = f"the inbox {tmp_path / 'inbox'} cannot be used"
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 10_000} for name in (first, second)))
        lab.inbox.rename(tmp_path / "inbox-away")
        lab.inbox.touch()  # as unreadable as a dead mount: at the start
        with DaemonProcess(lab) as daemon:
            wait_until("the log says so", lambda: reported in daemon.log(), daemon=daemon)
            assert lab.status()["why_idle"].startswith(f"{reported} (")
            lab.inbox.unlink()
            (tmp_path / "inbox-away").rename(lab.inbox)
            lab.drop("one.txt", [first])
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
            lab.inbox.rename(tmp_path / "inbox-away")  # and later, when it is missing
            wait_until("the status says so", lambda: str(lab.status()["why_idle"]).startswith(reported), daemon=daemon)
            assert not lab.inbox.exists()  # no directory is made at the mount point
            (tmp_path / "inbox-away").rename(lab.inbox)
            lab.drop("two.txt", [second])
            wait_until("the report", lambda: lab.report("two.txt"), daemon=daemon)
            assert "drop a listing" in lab.status()["why_idle"]
        assert daemon.log().count(reported) == 2  # not at every try
        assert "exited with 65" not in daemon.log()


@needs_root
def test_no_report_is_hidden_below_the_disk_of_the_inbox_when_that_is_away(tmp_path: Path, disk: Disk) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=933)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, inbox={"path": str(disk.place)})
        lab.inbox = disk.place
        sandbox.add_products({"safename": name, "size_bytes": 10_000})
        sandbox.fault(kind="internal_error", operation="list")
        with DaemonProcess(lab) as daemon:
            (lab.inbox / "one.txt").write_text(f"{name}\n", encoding="utf-8")
            wait_until("it is taken", lambda: lab.receipt("one.txt"), daemon=daemon)
            umount = ["umount", str(disk.place)]
            wait_until(
                "it can be unmounted", lambda: subprocess.run(umount, check=False).returncode == 0, daemon=daemon
            )
            wait_until("the log says so", lambda: "its disk is not mounted" in daemon.log(), daemon=daemon)
            sandbox.clear_faults()
            wait_until("the product is there", (lab.spool / name).exists, daemon=daemon)
            assert list(disk.place.iterdir()) == []
            disk.put_back()
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)


def test_a_listing_behind_a_swapped_mount_is_reported_though_the_state_was_made_again_meanwhile(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 3, seed=77)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
        sandbox.fault(kind="internal_error")
        lab.drop("waits.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it is accepted", lambda: lab.receipt("waits.txt"), daemon=daemon)
        lab.inbox.rename(tmp_path / "away")
        for made_again in (lab.inbox, lab.spool):
            shutil.rmtree(made_again, ignore_errors=True)
            made_again.mkdir()
        shutil.rmtree(lab.state)
        sandbox.clear_faults()
        with DaemonProcess(lab) as daemon:
            wait_until("it uses what is there", (lab.inbox / ".accepted").is_dir, daemon=daemon)
            lab.inbox.rename(tmp_path / "aside")
            (tmp_path / "away").rename(lab.inbox)
            wait_until("the report", lambda: lab.report("waits.txt"), 60, daemon=daemon)
        assert lab.states("waits.txt") == dict.fromkeys(names, "done")
