"""Commands of people on the real daemon: remembered over kills, undone by their opposite, and nothing is lost."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.cli import commanding
from cdsed.cli.main import main
from cdsed.clock import SYSTEM_CLOCK
from cdsed.model.listing import Counts, ListingHead, ProductRequest
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import listings, products
from cdsed.store.database import open_state
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import fill
from tests.support.invariants import Eye
from tests.support.sandbox import SandboxProcess

_MB = 10**6
_NAMES = realistic_safenames("S1_GRD", 5, seed=911)


@pytest.fixture
def slow() -> Iterator[SandboxProcess]:
    """Give a sandbox in which each product takes some seconds."""
    with SandboxProcess(1, bandwidth_bytes_per_s=_MB // 4) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 3 * _MB} for name in _NAMES))
        yield sandbox


def _staged(lab: Installation) -> set[str]:
    return {path.name for path in (lab.spool / ".cdsed").iterdir()} - {"marker", "owners", "replaced"}


def test_pause_and_cancel_are_remembered_over_a_kill_and_undone_by_their_opposites(
    slow: SandboxProcess, tmp_path: Path
) -> None:
    lab = Installation(tmp_path, slow, transfer={"processes": 1})
    lab.drop("week.txt", _NAMES[:4])
    lab.drop("other.txt", _NAMES[3:])
    eye = Eye(lab.state)
    with DaemonProcess(lab) as daemon:
        wait_until("some bytes are there", lambda: slow.bytes_sent() > _MB // 2, daemon=daemon)
        assert lab.command("pause", "listing", "week.*", "--for", "2h").returncode == 0
        cancelled = json.loads(lab.command("cancel", "other.txt", "--yes", "--json").stdout)
        assert (len(cancelled["products"]), cancelled["kept"]) == (1, 1)
        assert lab.command("pause").returncode == 0
        daemon.kill_all()
    assert eye.broken() == []
    with DaemonProcess(lab) as daemon:
        wait_until("it runs", lambda: lab.status()["daemon"]["state"] == "running", daemon=daemon)
        report = wait_until("the cancelled listing is reported", lambda: lab.report("other.txt"), daemon=daemon)
        assert {row["state"] for row in report["products"]} == {"cancelled"}
        wait_until("its staging is gone", lambda: _NAMES[4] not in _staged(lab), daemon=daemon)
        sent = slow.bytes_sent()
        time.sleep(1)
        assert slow.bytes_sent() == sent
        assert "everything is paused by a person" in lab.command("status").stdout
        assert "it continues when you resume it" in lab.command("explain", _NAMES[0]).stdout
        assert lab.command("resume").returncode == 0
        assert lab.command("retry", "--listing", "other.txt", "--state", "cancelled").returncode == 0
        wait_until("other.txt is done", lambda: set(lab.states("other.txt").values()) == {"done"}, daemon=daemon)
        assert lab.report("week.txt") is None  # its other products are still paused
        assert lab.query("SELECT max(attempts) AS most FROM product") == [{"most": 0}]
        assert lab.command("resume", "listing", "week.txt").returncode == 0
        wait_until("week.txt is reported", lambda: lab.report("week.txt"), daemon=daemon)
    assert set(lab.states("week.txt").values()) == {"done"}
    assert lab.differences(_NAMES) == []
    assert eye.broken() == []
    assert "commanded: cancel other.txt" in daemon.log()


def test_a_product_is_replaced_only_when_its_new_copy_is_verified_also_over_a_kill(tmp_path: Path) -> None:
    names = _NAMES[:2]
    with SandboxProcess(1, bandwidth_bytes_per_s=_MB // 2) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 3 * _MB} for name in names))
        lab = Installation(tmp_path, sandbox, transfer={"processes": 1})
        lab.drop("week.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it is reported", lambda: lab.report("week.txt"), daemon=daemon)
            assert lab.command("drain", "--wait").stdout.endswith("nothing is in transfer\n")
            damaged = next((lab.spool / names[0]).rglob("*.tiff"))
            damaged.write_bytes(bytes(damaged.stat().st_size))
            assert lab.command("refetch", "week.txt").returncode == 64  # it has no terminal to ask on
            assert lab.command("refetch", "week.txt", "--yes").returncode == 0
            assert damaged.exists()
            assert lab.command("resume").returncode == 0
            under_way = "SELECT 1 FROM product WHERE planned = 1 AND state = 'downloading'"
            wait_until("one is in transfer", lambda: lab.query(under_way), daemon=daemon)
            daemon.kill_all()
        assert all((lab.spool / name).is_dir() for name in names)
        with DaemonProcess(lab) as daemon:
            wait_until(
                "both are done",
                lambda: len(lab.query("SELECT 1 FROM product WHERE state = 'done'")) == 2,
                daemon=daemon,
            )
            wait_until("there is a new report", lambda: lab.status("week.txt")["listing"]["state"] == "reported")
        assert lab.differences(names) == []
        assert [path.name for path in (lab.spool / ".cdsed" / "replaced").iterdir()] == [f"{names[0]}.1"]
        checked = lab.command("check", "--state")
        assert checked.returncode == 0, checked.stdout


def test_a_question_is_asked_on_a_terminal_and_no_changes_nothing(used: Installation) -> None:
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "cdsed", "cancel", "week.txt", "--config", str(used.config)]
    with subprocess.Popen(command, stdin=child, stdout=subprocess.PIPE, stderr=child, text=True) as process:
        os.write(parent, b"n\n")
        assert process.wait(30) == 1
    os.close(child)
    said = os.read(parent, 4096).decode()
    os.close(parent)
    assert "Cancel 1 listing and 2 products? [y/N]" in said
    assert "nothing is changed" in said
    assert used.query("SELECT count(*) AS n FROM product WHERE state = 'queued'") == [{"n": 2}]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("pause", "--dry-run"), 0, "2 unfinished products"),
        (("pause", "listing"), 64, "say which listing"),
        (("pause", "account", "nemo"), 64, "no account is named nemo"),
        (("pause", "disk", "/nowhere"), 64, "no product is written to /nowhere"),
        (("pause", "--until", "2020-01-01"), 64, "has passed"),
        (("pause", "--for", "soon"), 64, "is not a duration"),
        (("resume",), 0, "nothing to resume: no pause of everything"),
        (("cancel", "*.csv", "--yes"), 64, "no listing and no product matches"),
        (("cancel", "week.txt", "--dry-run"), 0, "2 products of 1 listing cancelled"),
        (("cancel", "week.txt"), 64, "add --yes"),
        (("priority", "week.txt", "5"), 64, "should be +N, -N or =N"),
        (("priority", "week.txt", "+5", "--dry-run"), 0, "priority 5, was 0; 2 unfinished products"),
        (("priority", "week.txt", "=1001"), 64, "from -1000 to 1000"),
        (("refetch", "week.txt", "--yes"), 1, "it is queued, not published"),
        (("explain", "week.txt"), 64, "is a listing"),
        (("drain", "--wait"), 3, "no daemon runs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_each_command_says_what_it_did_or_would_do(
    used: Installation, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert main([*arguments, "--config", str(used.config)]) == code
    said = capsys.readouterr()
    assert words in said.out + said.err
    main(["resume", "--config", str(used.config)])


def test_a_state_that_is_replaced_before_a_command_is_done_is_not_taken_for_changed(
    used: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = used.state / "cdsed.sqlite"

    def agreed_after_a_restore(_question: str, *, yes: bool) -> bool:
        restored = Path(shutil.copy(state, state.with_name("restored")))
        for path in used.state.glob("cdsed.sqlite*"):
            path.rename(path.with_name(f"former-{path.name}"))
        restored.rename(state)
        return True

    monkeypatch.setattr(commanding, "agreed", agreed_after_a_restore)
    assert main(["cancel", "week.txt", "--config", str(used.config)]) == 75
    said = capsys.readouterr()
    assert (said.out, "was replaced while this command ran" in said.err) == ("", True)
    assert {row["state"] for row in used.query("SELECT state FROM product")} == {"queued"}


def test_a_command_that_finds_the_disk_of_the_state_full_changes_nothing_and_can_be_given_again(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = _stopped(tmp_path, state_dir=str(small_disk / "state"))
    filler = small_disk / "filler"
    fill(filler)
    command = ["cancel", "week.txt", "--yes", "--config", str(lab.config)]
    assert main(command) == 74
    assert "disk" in capsys.readouterr().err
    filler.unlink()
    assert {row["state"] for row in lab.query("SELECT state FROM product")} == {"queued"}
    assert main(command) == 0
    assert Eye(lab.state).broken() == []


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Give a stopped installation with one listing of two queued products."""
    return _stopped(tmp_path_factory.mktemp("used"))


def _stopped(root: Path, **settings: object) -> Installation:
    sandbox = SandboxProcess(1)
    sandbox.url = "http://127.0.0.1:9"  # no command asks it
    lab = Installation(root / "lab", sandbox, **settings)
    lab.state = Path(str(settings.get("state_dir", lab.state)))
    with contextlib.closing(open_state(lab.state)) as db:
        head = ListingHead(0, "week.txt", "0", "default", 0, None, SYSTEM_CLOCK.utc_s(), None)
        listing = listings.begin(db, SYSTEM_CLOCK, head, str(lab.inbox / "week.txt")).head.id
        for line, name in enumerate(_NAMES[:2], 1):
            number = products.add(db, SYSTEM_CLOCK, ProductRequest(name, "default", 0, None))
            listings.want(db, listing, number, line)
        listings.count(db, listing, 2, Counts(accepted=2), [])
        listings.finish(db, listing, accepted=True, path=str(lab.inbox / "week.txt"))
    return lab
