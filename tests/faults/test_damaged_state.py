"""The state damaged or deleted, at rest or under a running daemon: recovered, reported, nothing accepted lost."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from cdsed.store.database import FILE_NAME
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

_DAMAGED = 72


@dataclass(frozen=True)
class Used:
    """A lab whose first listing is reported, and whose second is accepted while the service is down.

    The daemon is stopped. The files can be restored to this moment.
    """

    sandbox: SandboxProcess
    lab: Installation
    first: list[str]
    second: list[str]

    def keep(self) -> None:
        for place in (self.lab.state, self.lab.inbox, self.lab.spool):
            shutil.copytree(place, place.with_suffix(".kept"))

    def bring_back(self) -> None:
        for place in (self.lab.state, self.lab.inbox, self.lab.spool):
            shutil.rmtree(place)
            shutil.copytree(place.with_suffix(".kept"), place)

    def finish(self, daemon: DaemonProcess) -> None:
        """End the outage. Everything accepted must arrive, and nothing be fetched or reported twice."""
        lab = self.lab
        reported = _reported(lab, "first.txt")
        self.sandbox.clear_faults()
        wait_until("the second report", lambda: lab.report("second.txt"), daemon=daemon)
        assert set(lab.states("second.txt")) == {*self.second, self.first[0]}
        assert set(lab.states("second.txt").values()) <= {"done", "already_present"}
        assert lab.differences([*self.first, *self.second]) == []
        assert _reported(lab, "first.txt") == reported
        assert lab.query("SELECT state FROM listing WHERE name = 'first.txt'") == [{"state": "reported"}]
        wait_until("that is noted", lambda: not lab.query("SELECT 1 FROM listing WHERE state = 'open'"), daemon=daemon)
        assert lab.query("PRAGMA foreign_key_check") == []


def _reported(lab: Installation, name: str) -> bytes:
    return (lab.inbox / ".accepted" / f"{name}.report.json").read_bytes()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path_factory.mktemp("used") / "lab", sandbox)
        names = realistic_safenames("S1_OCN", 8, seed=901)
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
        used = Used(sandbox, lab, names[:4], names[4:])
        lab.drop("first.txt", used.first)
        with DaemonProcess(lab) as daemon:
            wait_until("the first report", lambda: lab.report("first.txt"), daemon=daemon)
            wait_until("a backup", lambda: list((lab.state / "backups").glob("cdsed-*")), daemon=daemon)
            sandbox.fault(kind="internal_error", times=100_000)
            lab.drop("second.txt", [*used.second, used.first[0], "no product at all"])
            wait_until("the second receipt", lambda: lab.receipt("second.txt"), daemon=daemon)
        used.keep()
        yield used


@pytest.fixture
def used(prepared: Used) -> Used:
    prepared.bring_back()
    prepared.sandbox.clear_faults()
    prepared.sandbox.fault(kind="internal_error", times=100_000)
    return prepared


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096, 2):
        data[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(data)


def _remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "backups"),
    [pytest.param(_flip, True, id="damaged-with-backup"), pytest.param(_remove, False, id="gone-without-backup")],
)
def test_a_start_recovers_the_state_and_everything_accepted_arrives(
    used: Used, damage: Callable[[Path], None], backups: bool
) -> None:
    lab = used.lab
    damage(lab.state / FILE_NAME)
    if not backups:
        shutil.rmtree(lab.state / "backups")
    with DaemonProcess(lab) as daemon:
        used.finish(daemon)
        assert lab.command("state", "check").returncode == 0
        [notice] = lab.status()["notices"]
    assert notice["name"] == "recovered"
    assert ("made again from the backup cdsed-" if backups else "from accepted listings") in notice["text"]
    assert ("is damaged" if damage is _flip else "is gone") in notice["text"]
    assert notice["text"] in lab.command("status").stdout
    log = daemon.log()
    assert ("is damaged" if damage is _flip else "is gone") in log
    assert ("the backup cdsed-" if backups else "without a backup") in log
    [aside] = (lab.state / "aside").iterdir()
    assert (aside / FILE_NAME).exists() is (damage is _flip)
    assert "the new state was made from" in (aside / "why.txt").read_text(encoding="utf-8")
    assert str(aside) in lab.command("state", "check").stdout


def test_a_state_deleted_under_a_running_daemon_ends_it_with_72_and_nothing_is_lost(used: Used) -> None:
    lab = used.lab
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        history = "SELECT product, target FROM event WHERE origin IS NULL ORDER BY id"
        before = lab.query(history)
        (lab.state / FILE_NAME).unlink()
        assert daemon.wait(60) == _DAMAGED, daemon.log()
        assert daemon.worker_pids() == []
        assert "was deleted or replaced while the daemon ran" in daemon.log()
        assert not (lab.state / FILE_NAME).exists()  # no worker has begun an empty one
        daemon.start()
        used.finish(daemon)
        # Its open listing was saved, with the history.
        assert lab.query(history)[: len(before)] == before
        assert lab.receipt("second.txt") is not None


def test_a_state_damaged_under_a_running_daemon_ends_it_with_72_and_the_next_start_recovers(used: Used) -> None:
    lab = used.lab
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        for path in (lab.state / FILE_NAME, lab.state / f"{FILE_NAME}-wal"):
            path.write_bytes(os.urandom(path.stat().st_size))
        lab.drop("third.txt", used.second)  # the next read or write finds the damage
        assert daemon.wait(90) == _DAMAGED, daemon.log()
        daemon.start()
        used.finish(daemon)
        wait_until("the third report", lambda: lab.report("third.txt"), daemon=daemon)


# The hourly check runs every second.
_LOOKS_OFTEN = """
import cdsed.work.maintenance

cdsed.work.maintenance._LOOK_EVERY_S = 1.0
"""


def test_a_damaged_page_that_is_never_read_is_found_by_the_daemon(used: Used, tmp_path: Path) -> None:
    lab = used.lab
    hook = when_opening(tmp_path / "hook", "def opening(path, flags):\n    pass\n" + _LOOKS_OFTEN)
    with DaemonProcess(lab, environ=hook) as daemon:
        daemon.until_at_work()
        [page] = lab.query("SELECT rootpage FROM sqlite_schema WHERE name = 'remark'")  # read for receipts only
        with (lab.state / FILE_NAME).open("r+b") as file:
            file.seek((page["rootpage"] - 1) * 4096)
            file.write(os.urandom(64))
        assert daemon.wait(90) == _DAMAGED, daemon.log()
        assert "the daemon could not look through the state: the state was found damaged" in daemon.log()
        [notice] = [each for each in lab.status()["notices"] if each["name"] == "damaged"]
        assert "the next start recovers it" in notice["text"]
        daemon.start()
        used.finish(daemon)
        assert [each["name"] for each in lab.status()["notices"]] == ["recovered"]


def test_restore_and_rebuild_refuse_a_running_daemon_and_work_without_one(used: Used) -> None:
    lab = used.lab
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        for action in ("restore", "rebuild"):
            refused = lab.command("state", action)
            assert refused.returncode == 75
            assert f"pid {daemon.pid}" in refused.stderr
        assert lab.command("state", "backup").returncode == 0
    restored = lab.command("state", "restore", "--yes")
    assert lab.status()["daemon"]["state"] == "stopped"
    assert restored.returncode == 0, restored.stderr
    assert "the backup cdsed-000002-" in restored.stdout
    recovery = lab.command("state", "rebuild", "--yes", "--json")
    assert recovery.returncode == 0, recovery.stderr
    assert '"source": null' in recovery.stdout
    assert '"listings_reported": 1' in recovery.stdout
    assert '"listings_taken_again": 1' in recovery.stdout
    assert len(list((lab.state / "aside").iterdir())) == 2
    with DaemonProcess(lab) as daemon:
        used.finish(daemon)
