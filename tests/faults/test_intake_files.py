"""Hostile, careless and damaged files in the inbox: each gets its receipt, and intake continues."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.faults.intake import counts, lab_that_only_takes, refusal
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import needs_root
from tests.support.sandbox import SandboxProcess

NAMES = realistic_safenames("S1_OCN", 40, seed=301)
NAME = NAMES[0]


class Lab:
    """An installation and its daemon."""

    def __init__(self, installation: Installation, daemon: DaemonProcess) -> None:
        self.installation = installation
        self.daemon = daemon
        self.inbox = installation.inbox

    def drop(self, name: str | bytes, content: bytes) -> None:
        """Rename a file in, whatever its name."""
        written = self.installation.root / "written"
        written.write_bytes(content)
        os.rename(os.fsencode(written), os.path.join(os.fsencode(self.inbox), os.fsencode(name)))  # noqa: PTH104, PTH118

    def accepted(self, name: str) -> dict[str, int]:
        """Wait for the receipt of a listing; return what it counts."""
        wait_until(f"{name!r} is taken", lambda: self.installation.receipt(name), daemon=self.daemon)
        return {verdict: count for verdict, count in counts(self.installation, name).items() if count}

    def refused(self, name: str) -> str:
        """Wait for the refusal of a file; return its receipt."""
        text: str = wait_until(f"{name!r} is refused", lambda: refusal(self.installation, name), daemon=self.daemon)
        return text


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with SandboxProcess() as sandbox:
        root = tmp_path_factory.mktemp("intake") / "lab"
        installation = lab_that_only_takes(root, sandbox, pre_spool=str(root / "staging"))
        with DaemonProcess(installation) as daemon:
            daemon.until_at_work()
            pids = daemon.worker_pids("intake")
            yield Lab(installation, daemon)
            assert daemon.worker_pids("intake") == pids, "intake has died over one of the files"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"two\nlines.txt", "two_lines.txt"),
        (b"bytes-\xff\xfe.txt", "bytes-__.txt"),
        (b"n" * 255, "n" * 200),
        (b"\x1b[2Jscreen.txt", "_[2Jscreen.txt"),
        (b"-rf", "-rf"),
        ("déjà vu 🛰.txt".encode(), "déjà vu 🛰.txt"),
    ],
)
def test_any_name_is_taken_under_one_that_reports_and_screens_bear(lab: Lab, name: bytes, kept: str) -> None:
    lab.drop(name, f"{NAME}\n".encode())
    assert lab.accepted(kept)["lines"] == 1


def test_a_name_with_a_line_break_forges_no_line_of_the_log(lab: Lab) -> None:
    lab.drop(b"x\n2026-01-01T00:00:00Z ERROR forged.txt", b"\xff\xfe")
    assert "UTF-16" in lab.refused("x_2026-01-01T00:00:00Z ERROR forged.txt")
    assert not re.search(r"^2026-01-01T00:00:00Z ERROR", lab.daemon.log(), re.MULTILINE)


def test_a_listing_named_like_a_receipt_or_report_blocks_neither(lab: Lab) -> None:
    lab.drop("clash.txt.receipt.json", f"{NAMES[1]}\n".encode())
    lab.drop("clash.txt.report.txt", f"{NAMES[1]}\n".encode())
    assert lab.accepted("clash.txt-receipt.json")["lines"] == 1
    assert lab.accepted("clash.txt-report.txt")["lines"] == 1
    lab.drop("clash.txt", f"{NAMES[1]}\n{NAMES[2]}\n".encode())
    assert lab.accepted("clash.txt")["lines"] == 2
    assert (lab.inbox / ".accepted" / "clash.txt-receipt.json").read_text(encoding="utf-8") == f"{NAMES[1]}\n"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("utf-16.txt", NAME.encode("utf-16"), "UTF-16"),
        ("utf-16-bare.txt", NAME.encode("utf-16-le"), "NUL"),
        ("nul.txt", f"{NAME}\n\0".encode(), "NUL"),
        ("digits.json", b'{"Name": ' + b"9" * 10_000 + b"}", "broken"),
        ("deep.json", b'{"value": ' + b"[" * 100_000, "levels"),
        ("etc.txt", f"# cdsed: outputdir=../../etc\n{NAME}\n".encode(), "absolute path"),
        ("up.txt", f"# cdsed: outputdir=/data/../etc\n{NAME}\n".encode(), "without '..'"),
        ("long.txt", f"# cdsed: outputdir=/{'x' * 5000}\n{NAME}\n".encode(), "a shorter, printable path"),
        ("group.txt", f"# cdsed: group=../../root\n{NAME}\n".encode(), "account group"),
        ("header.csv", b"id;colour\n1;red\n", "no column"),
    ],
)
def test_a_file_that_is_not_a_listing_is_refused_with_a_reason(lab: Lab, name: str, content: bytes, why: str) -> None:
    lab.drop(name, content)
    assert why in lab.refused(name)
    kept = lab.inbox / ".rejected" / name
    wait_until("it follows its receipt", kept.exists)
    assert kept.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("cr.txt", f"{NAMES[3]}\r{NAMES[4]}\r".encode(), {"accepted": 2, "lines": 2}),
        ("latin-1.txt", f"{NAMES[5]}\ncafé\n".encode("latin-1"), {"accepted": 1, "rejected": 1, "lines": 2}),
        ("separator.txt", f"{NAMES[6]}\u2028{NAMES[7]}\n".encode(), {"rejected": 1, "lines": 1}),
        ("bom.txt", f"\ufeff{NAMES[8]}\n\ufeff{NAMES[9]}\n".encode(), {"accepted": 1, "rejected": 1, "lines": 2}),
        (
            "mixed.txt",
            f"{NAMES[10]}\n{{\n/x/{NAMES[11]}\n1,{NAMES[12]}\n".encode(),
            {"accepted": 3, "ignored": 1, "lines": 4},
        ),
        ("empty.txt", b"", {}),
        ("blank.txt", b"\n" * 5000, {"ignored": 5000, "lines": 5000}),
    ],
)
def test_an_unusual_text_loses_no_line(lab: Lab, name: str, content: bytes, expected: dict[str, int]) -> None:
    lab.drop(name, content)
    if not content:
        os.utime(lab.inbox / name, (1, 1))  # an empty file may still be filled: it is taken once it is stable
    assert lab.accepted(name) == expected


def test_what_is_not_a_file_is_ignored_and_delays_nothing(lab: Lab, tmp_path: Path) -> None:
    os.mkfifo(lab.inbox / "fifo.txt")
    (lab.inbox / "directory.txt").mkdir()
    (tmp_path / "elsewhere").write_text(NAME, encoding="utf-8")
    (lab.inbox / "link.txt").symlink_to(tmp_path / "elsewhere")
    (lab.inbox / "null.txt").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(lab.inbox / "s"))
        lab.drop("after-them.txt", f"{NAMES[13]}\n".encode())
        lab.accepted("after-them.txt")
    for name in ("fifo.txt", "directory.txt", "link.txt", "null.txt", "s"):
        assert os.path.lexists(lab.inbox / name)
        wait_until("it is said", lambda: f"{name} is ignored" in lab.daemon.log(), daemon=lab.daemon)  # noqa: B023


def test_two_thousand_links_are_said_in_a_few_lines(lab: Lab) -> None:
    for number in range(2000):
        (lab.inbox / f"link-{number}").symlink_to("nowhere")
    lab.drop("among-links.txt", f"{NAMES[14]}\n".encode())
    lab.accepted("among-links.txt")
    wait_until("it is said", lambda: re.search(r"\d+ more in .* are ignored", lab.daemon.log()), daemon=lab.daemon)
    for number in range(2000):
        (lab.inbox / f"link-{number}").unlink()


def test_a_hard_link_is_taken_once_and_its_other_name_stays(lab: Lab) -> None:
    mine = lab.installation.root / "mine.txt"
    mine.write_text(f"{NAMES[15]}\n", encoding="utf-8")
    os.link(mine, lab.inbox / "hard.txt")
    assert lab.accepted("hard.txt") == {"accepted": 1, "lines": 1}
    assert mine.read_text(encoding="utf-8") == f"{NAMES[15]}\n"


@needs_root
def test_two_owners_of_the_same_content_both_get_a_receipt_in_their_name(lab: Lab) -> None:
    for name, uid in (("root's.txt", 0), ("nobody's.txt", 1)):
        lab.drop(f".{name}", f"{NAMES[16]}\n{NAMES[17]}\n".encode())
        os.chown(lab.inbox / f".{name}", uid, uid)
        (lab.inbox / f".{name}").rename(lab.inbox / name)
        lab.accepted(name)
    receipts = [lab.installation.receipt(name) for name in ("root's.txt", "nobody's.txt")]
    assert [receipt["listing"]["user"] for receipt in receipts if receipt] == ["root", "daemon"]
    assert {verdict: count for verdict, count in counts(lab.installation, "nobody's.txt").items() if count} == {
        "known": 2,
        "lines": 2,
    }


def test_products_are_never_put_into_the_inbox_the_state_or_the_pre_spool(lab: Lab) -> None:
    (lab.installation.root / "way").symlink_to(lab.installation.state)
    staging = lab.installation.root / "staging"
    places = {"in.txt": lab.inbox / ".accepted", "st.txt": lab.installation.root / "way" / "x", "pre.txt": staging}
    for name, place in places.items():
        lab.drop(name, f"# cdsed: outputdir={place}\n{NAMES[18]}\n".encode())
        assert "not a place for products" in lab.refused(name)


def test_a_listing_saved_as_editors_do_is_taken_whole_and_once(lab: Lab) -> None:
    text = f"{NAMES[19]}\n{NAMES[20]}\n".encode()
    # vim: a swap file, the old text as a backup, then the new one under the name
    (lab.inbox / ".vim.txt.swp").write_bytes(b"b0VIM")
    (lab.inbox / "vim.txt~").write_bytes(text[:20])
    (lab.inbox / "vim.txt").write_bytes(text)
    # rsync: a hidden temporary name, then a rename with the old time
    (lab.inbox / ".rsync.txt.Ab12Cd").write_bytes(text)
    os.utime(lab.inbox / ".rsync.txt.Ab12Cd", (1, 1))
    (lab.inbox / ".rsync.txt.Ab12Cd").rename(lab.inbox / "rsync.txt")
    assert lab.accepted("vim.txt")["lines"] == lab.accepted("rsync.txt")["lines"] == 2
    assert sorted(path.name for path in lab.inbox.glob("*vim*")) == [".vim.txt.swp", "vim.txt~"]


def test_a_listing_dropped_again_is_idempotent_and_a_changed_one_a_revision(lab: Lab) -> None:
    for content in (NAMES[21:23], NAMES[21:23], NAMES[21:24]):
        lab.drop("again.txt", "\n".join(content).encode())
        wait_until("it is taken", lambda: not (lab.inbox / "again.txt").exists(), daemon=lab.daemon)
    assert lab.accepted("again.txt") == {"accepted": 2, "lines": 2}
    assert lab.accepted("again-2.txt") == {"known": 2, "lines": 2}
    assert lab.accepted("again-3.txt") == {"accepted": 1, "known": 2, "lines": 3}


def _long(count: int) -> bytes:
    return "".join(f"# {number}\n" for number in range(count)).encode()


def test_a_listing_that_changes_or_vanishes_while_it_is_read_is_said_to_its_owner(lab: Lab) -> None:
    [pid] = lab.daemon.worker_pids("intake")
    for name, spoil in (
        ("grows.txt", lambda path: path.open("ab").close() or path.write_bytes(path.read_bytes() + b"# more\n")),
        ("shrinks.txt", lambda path: os.truncate(path, 5000)),
        ("vanishes.txt", lambda path: path.unlink()),
        ("becomes.txt", lambda path: (path.unlink(), path.symlink_to("/etc/passwd"))),
    ):
        lab.drop(name, _long(20_000))
        taking = lab.inbox / ".taking" / name
        sql = f"SELECT 1 FROM listing WHERE name = '{name}' AND items_taken > 0"
        wait_until(f"{name} is being read", lambda: lab.installation.query(sql), daemon=lab.daemon)  # noqa: B023
        os.kill(pid, signal.SIGSTOP)
        assert taking.exists(), "it was too quick"
        spoil(taking)
        os.kill(pid, signal.SIGCONT)
        found = lab.accepted(name)
        assert found["rejected"] == 1
        receipt = lab.installation.receipt(name)
        assert receipt is not None
        assert "could not be taken; drop it again" in receipt["remarks"][-1]["text"]
    lab.drop("afterwards.txt", f"{NAMES[25]}\n".encode())
    assert lab.accepted("afterwards.txt")["accepted"] == 1


def test_a_listing_written_in_spurts_is_taken_when_its_writer_is_done(lab: Lab) -> None:
    path = lab.inbox / "spurts.txt"
    with path.open("wb", buffering=0) as file:
        for name in NAMES[26:30]:
            file.write(f"{name}\n".encode())
            time.sleep(0.3)
            assert path.exists()
    assert lab.accepted("spurts.txt") == {"accepted": 4, "lines": 4}
