"""Disks that fail in ways of their own: nothing is lost, half, doubled or charged, and the status says which and why.

Each disk is a FUSE file system of the tests (`tests.soak.disks.fuse_disk`), so these need root and ``/dev/fuse``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.names import KINDS, realistic_safenames
from tests.soak.disks.fuse_disk import FuseDisk, enter_own_mount_namespace, fault, why_not
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import Watcher, found_by_the_checker, leftovers, overbooked
from tests.support.sandbox import SandboxProcess

pytestmark = [pytest.mark.soak, pytest.mark.skipif(bool(why_not()), reason=f"no disk can be made: {why_not()}")]

_STAGED, _PUBLISHED = ".cdsed/S1*/*", "S1*.SAFE"


@pytest.fixture(scope="module", autouse=True)
def namespace() -> None:
    """Let all mounts end with this process, however it ends."""
    enter_own_mount_namespace()


@dataclass
class Trial:
    """An installation whose spool is on a disk that can fail."""

    disk: FuseDisk
    lab: Installation
    names: list[str]
    sandbox: SandboxProcess
    watcher: Watcher

    def alarm(self, name: str = "disk") -> str:
        """Return what the status says about a place that is out, with what to do; '' while it says nothing."""
        alarms = [each for each in self.lab.status()["alarms"] if each["name"] == name]
        return f"{alarms[0]['text']} / {alarms[0]['remedy']}" if alarms else ""

    def says(self, *words: str) -> Callable[[], str]:
        """Return a condition: an alarm about the disk has all of these words."""
        return lambda: said if all(word in (said := self.alarm()) for word in words) else ""

    def judge(self, place: Path | None = None, *, ends: tuple[str, ...] = ("done",)) -> list[str]:
        """Return everything that is lost, half, doubled, left over, overbooked or charged."""
        found = self.lab.differences(self.names, place) + leftovers(self.lab) + overbooked(self.sandbox)
        found += [f"{name} was seen half" for name in self.watcher.partial]
        found += [f"{name} was doubled" for name in self.watcher.doubled]
        found += [f"{ending}" for ending in self.lab.endings("some.txt") if ending not in [(end, 0) for end in ends]]
        return found + found_by_the_checker(self.lab)


@contextmanager
def _trial(
    tmp_path: Path, seed: int, *, count: int = 3, bandwidth_bytes_per_s: int | None = None, **settings: Any
) -> Iterator[Trial]:
    with SandboxProcess(bandwidth_bytes_per_s=bandwidth_bytes_per_s) as sandbox:
        names = realistic_safenames("S1_OCN", count, seed=seed)
        sandbox.add_products(*({"safename": name, "size_bytes": 400_000} for name in names))
        with FuseDisk(tmp_path / "store", tmp_path / "disk") as mounted:
            spool = mounted.place / "spool"
            lab = Installation(tmp_path / "lab", sandbox, **{"spools": [str(spool)], **settings})
            lab.spool = spool
            with Watcher(sandbox, [spool]) as watcher:
                watcher.expect(names)
                yield Trial(mounted, lab, names, sandbox, watcher)


_EIO = ("Input/output error (EIO)", "the disk fails", "dmesg", "smartctl")
_FULL = ("no space left (ENOSPC)", "free some")
_READ_ONLY = ("Read-only file system (EROFS)", "mount it for writing", "dmesg")


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        pytest.param(fault("it", ["write"], f"spool/{_STAGED}", error="EIO"), _EIO, id="EIO-writing-a-file"),
        pytest.param(fault("it", ["write", "create", "mkdir"], error="EIO"), _EIO, id="EIO-writing-anything"),
        pytest.param(fault("it", ["read"], "*S1*", error="EIO"), _EIO, id="EIO-reading-of-a-product"),
        pytest.param(fault("it", ["read", "readdir"], error="EIO"), _EIO, id="EIO-reading-anything"),
        pytest.param(fault("it", ["fsync"], error="EIO"), _EIO, id="EIO-syncing"),
        pytest.param(fault("it", ["fsync"], f"spool/{_STAGED}", error="ENOSPC"), _FULL, id="ENOSPC-syncing-a-file"),
        pytest.param(fault("it", ["fsync"], error="ENOSPC"), _FULL, id="ENOSPC-syncing-anything"),
        pytest.param(fault("it", ["flush"], error="ENOSPC"), _FULL, id="ENOSPC-closing"),
        pytest.param(
            fault("it", ["rename"], f"spool/{_PUBLISHED}", error="EROFS", then_read_only=True),
            _READ_ONLY,
            id="read-only-before-the-rename",
        ),
        pytest.param(
            fault("it", ["rename"], f"spool/{_PUBLISHED}", after=True, then_read_only=True),
            _READ_ONLY,
            id="read-only-after-the-rename",
        ),
        pytest.param(
            fault("it", ["rename"], f"spool/{_PUBLISHED}", after=True, error="EIO", then_read_only=True),
            _READ_ONLY,
            id="renamed-with-an-error-and-read-only",
        ),
    ],
)
def test_a_failing_disk_pauses_is_named_and_goes_on_by_itself(
    tmp_path: Path, failing: dict[str, Any], words: tuple[str, ...]
) -> None:
    with _trial(tmp_path, seed=711) as trial:
        trial.lab.drop("none.txt", [])
        with DaemonProcess(trial.lab) as daemon:
            wait_until("it runs", lambda: trial.lab.report("none.txt"), daemon=daemon)
            trial.disk.fails(failing)
            trial.lab.drop("some.txt", trial.names)
            wait_until("the status names the disk", trial.says(str(trial.disk.place), *words), daemon=daemon)
            assert trial.disk.hits("it") > 0
            assert trial.lab.report("some.txt") is None
            trial.disk.works()
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
            wait_until("the alarm ends", lambda: not trial.alarm(), 20, daemon=daemon)
        assert trial.judge(ends=("done", "already_present")) == []
        assert "Traceback" not in daemon.log()


def test_a_disk_that_takes_less_than_it_is_given_costs_nothing(tmp_path: Path) -> None:
    with _trial(tmp_path, seed=713) as trial:
        trial.disk.fails(fault("short", ["write"], short=0.4))
        trial.lab.drop("some.txt", trial.names)
        with DaemonProcess(trial.lab) as daemon:
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
        assert trial.disk.hits("short") > 100
        assert trial.judge() == []
        assert "another cdsed" not in daemon.log()


def test_a_lying_disk_is_found_by_the_judge(tmp_path: Path) -> None:
    with _trial(tmp_path, seed=715) as trial:
        trial.disk.fails(fault("lie", ["write"], "*measurement*", lies=True))
        trial.lab.drop("some.txt", trial.names)
        with DaemonProcess(trial.lab) as daemon:
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
        assert trial.disk.hits("lie") > 0
        assert len([each for each in trial.judge() if "measurement/" in each]) >= len(trial.names)


def test_a_spool_that_cannot_hold_a_name_gets_no_product_of_it_and_the_next_spool_does(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with _trial(tmp_path, seed=717) as trial:
        trial.disk.holds_names_of(len(trial.names[0]) + 3)  # it fits, but not with what cdsed puts behind it
        trial.lab.drop("some.txt", trial.names)
        with DaemonProcess(trial.lab) as daemon:
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
            assert set(trial.lab.endings("some.txt")) == {("failed", 0)}
            said = trial.lab.command("status", "--failed").stdout
            assert f"{trial.lab.spool} holds {len(trial.names[0]) + 3} bytes" in said
            assert "Add a spool on a file system that holds such names. Then `cdsed retry --failed`" in said
            assert "3 NameTooLong" in trial.alarm("failed_products")
        trial.lab.configure(spools=[str(trial.lab.spool), str(other)])
        with DaemonProcess(trial.lab) as daemon:
            daemon.until_at_work()
            assert trial.lab.command("retry", "--failed").returncode == 0
            wait_until("all is done", lambda: len(trial.lab.query("SELECT 1 FROM product WHERE state = 'done'")) == 3)
        assert trial.lab.differences(trial.names, other) == []
        assert leftovers(trial.lab) == []


def test_names_of_143_bytes_are_enough_for_products_and_for_listings(tmp_path: Path) -> None:
    with _trial(tmp_path, seed=719) as trial:
        trial.disk.holds_names_of(143)
        others = [realistic_safenames(kind, 1, seed=719)[0] for kind in KINDS]
        trial.sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in others))
        inbox = trial.disk.place / "inbox"
        inbox.mkdir()
        trial.lab.configure(inbox={"path": str(inbox)})
        trial.lab.inbox = inbox
        listing = f"{'l' * 139}.txt"
        (inbox / listing).write_text("".join(f"{name}\n" for name in [*trial.names, *others]))
        with DaemonProcess(trial.lab) as daemon:
            wait_until("a report", lambda: list(inbox.glob(".accepted/*.report.json")), daemon=daemon)
        assert trial.lab.differences([*trial.names, *others]) == []
        assert "no receipt can be written" not in daemon.log()


def test_two_mounts_of_an_export_whose_server_restarts_lose_nothing(tmp_path: Path) -> None:
    other = FuseDisk(tmp_path / "store", tmp_path / "pre-spool")
    settings = {"process": {"hung_after_s": 4}, "transfer": {"read_timeout_s": 2, "processes": 1}}
    with other, _trial(tmp_path, seed=721, count=8, bandwidth_bytes_per_s=400_000, **settings) as trial:
        trial.lab.configure(pre_spool=str(other.place / "pre"))
        mounts = (trial.disk, other)
        for each in mounts:
            each.shows_changes_after(3)
        trial.lab.drop("some.txt", trial.names)
        done = "SELECT 1 FROM product WHERE state = 'done'"
        with DaemonProcess(trial.lab) as daemon:
            wait_until("one is done", lambda: trial.lab.query(done), daemon=daemon)
            for each in mounts:
                each.hang()
            wait_until("the hang is named", trial.says("has not returned for", "file server hangs"), daemon=daemon)
            for each in mounts:
                each.go_on()
            before = len(trial.lab.query(done))
            wait_until("the next", lambda: len(trial.lab.query(done)) > before, daemon=daemon)
            for each in mounts:
                each.forget_handles()
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
        assert trial.judge(ends=("done", "already_present")) == []
        assert "Traceback" not in daemon.log()


def test_a_mount_whose_handles_stay_stale_says_to_mount_it_again(tmp_path: Path) -> None:
    with _trial(tmp_path, seed=723) as trial:
        trial.lab.drop("none.txt", [])
        with DaemonProcess(trial.lab) as daemon:
            wait_until("it runs", lambda: trial.lab.report("none.txt"), daemon=daemon)
            trial.disk.fails(fault("stale", ["lookup", "getattr", "open", "mkdir", "create", "statfs"], error="ESTALE"))
            trial.lab.drop("some.txt", trial.names)
            wait_until("the status says so", trial.says("(ESTALE)", "mount it again"), daemon=daemon)
            assert trial.alarm("inbox") == ""
            assert trial.lab.receipt("some.txt") is not None
            trial.disk.works()
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
        assert trial.judge() == []


def test_two_daemons_on_two_late_mounts_of_one_export_fetch_each_product_once(tmp_path: Path) -> None:
    other = FuseDisk(tmp_path / "store", tmp_path / "second")
    with other, _trial(tmp_path, seed=725, count=6) as trial:
        second = Installation(tmp_path / "second-lab", trial.sandbox, spools=[str(other.place / "spool")])
        second.spool = other.place / "spool"
        for each in (trial.disk, other):
            each.shows_changes_after(3)
        for lab in (trial.lab, second):
            lab.drop("some.txt", trial.names)
        with DaemonProcess(trial.lab) as one, DaemonProcess(second) as two:
            wait_until("the first report", lambda: trial.lab.report("some.txt"), daemon=one)
            wait_until("the second report", lambda: second.report("some.txt"), daemon=two)
        assert trial.judge(ends=("done", "already_present")) == []
        assert {state for state, _ in second.endings("some.txt")} <= {"done", "already_present"}
        assert second.differences(trial.names) == []


@pytest.mark.parametrize(
    ("failing", "word"),
    [
        pytest.param(
            fault("it", ["readdir", "opendir"], "inbox*", error="EIO"), "Input/output error", id="EIO-listing"
        ),
        pytest.param(fault("it", ["write"], "inbox*", error="EIO"), "Input/output error", id="EIO-writing"),
        pytest.param(fault("it", ["fsync"], "inbox*", error="ENOSPC"), "No space left", id="ENOSPC-syncing"),
        pytest.param(
            fault("it", ["rename"], "inbox/.taking/*", after=True, then_read_only=True), "Read-only", id="read-only"
        ),
    ],
)
def test_a_failing_disk_of_the_inbox_is_named_and_no_listing_is_lost_or_taken_twice(
    tmp_path: Path, failing: dict[str, Any], word: str
) -> None:
    with _trial(tmp_path, seed=727) as trial:
        inbox = trial.disk.place / "inbox"
        inbox.mkdir()
        trial.lab.configure(inbox={"path": str(inbox)})
        trial.lab.inbox = inbox
        with DaemonProcess(trial.lab) as daemon:
            daemon.until_at_work()
            (inbox / ".some").write_text("".join(f"{name}\n" for name in trial.names))
            trial.disk.fails(failing)
            (inbox / ".some").rename(inbox / "some.txt")
            wait_until("it is named", lambda: word in trial.alarm("inbox"), daemon=daemon)
            assert str(inbox) in trial.alarm("inbox")
            assert trial.disk.hits("it") > 0
            trial.disk.works()
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
            wait_until("the alarm ends", lambda: not trial.alarm("inbox"), daemon=daemon)
        assert trial.judge() == []
        assert len(trial.lab.query("SELECT 1 FROM listing")) == 1


@pytest.mark.parametrize("ops", [["write"], ["fsync"], ["write", "fsync", "create"]], ids="+".join)
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failing_disk_of_the_state_is_named_and_no_product_is_charged(
    tmp_path: Path, ops: list[str], error: str
) -> None:
    state = FuseDisk(tmp_path / "state-store", tmp_path / "state-disk", cached=True)
    with state, _trial(tmp_path, seed=729, count=6, bandwidth_bytes_per_s=300_000) as trial:
        trial.lab.configure(state_dir=str(state.place / "state"))
        trial.lab.state = state.place / "state"
        trial.lab.drop("some.txt", trial.names)
        with DaemonProcess(trial.lab) as daemon:
            wait_until(
                "it begins", lambda: trial.lab.query("SELECT 1 FROM product WHERE state = 'downloading'"), daemon=daemon
            )
            state.fails(fault("it", ops, error=error))
            wait_until(
                "the status names it", lambda: str(state.place) in trial.lab.command("status").stdout, daemon=daemon
            )
            said = trial.lab.command("status").stdout
            assert "the disk of the state" in said
            assert state.hits("it") > 0
            state.works()
            wait_until("the report", lambda: trial.lab.report("some.txt"), daemon=daemon)
        assert trial.judge(ends=("done", "already_present")) == []
